//! What can go wrong, and what is told beside an answer.

use crate::nodes;

/// What a program asked of the API server for somebody did not come about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The API server refused, or did not answer.
    #[error(transparent)]
    Api(#[from] kube::Error),
    /// There is no workflow of this name.
    #[error("workflows.argoproj.io \"{0}\" not found")]
    NotFound(String),
    /// No object has this name; as part of an address it would lead elsewhere.
    #[error("`{0}` is no name of an object: names have lower-case letters, digits, `-` and `.`")]
    BadName(String),
    /// There is no workflow of this name, but another one that may be meant.
    #[error("workflows.argoproj.io \"{name}\" not found; did you mean `{other}`?")]
    NotFoundBut {
        /// The name.
        name: String,
        /// The other one's.
        other: String,
    },
    /// There is no workflow at all, of which the latest would be meant.
    #[error("there is no workflow")]
    NoWorkflow,
    /// A member of an object is of the wrong type.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The compressed nodes of a status are not what they should be, or more than can be shown.
    #[error("read status.compressedNodes")]
    CompressedNodes(#[from] nodes::Error),
    /// The nodes of a status are kept outside of the object.
    #[error(
        "too large for the object, its nodes are kept on the bus of Argosy ({version}), where this command cannot read them"
    )]
    NodesElsewhere {
        /// Which version of them.
        version: String,
    },
    /// A change is one of nodes that are kept outside of the object.
    #[error(
        "nothing changed: its nodes are too large for the object and kept on the bus of Argosy, where this command cannot change them"
    )]
    UnchangeableNodes,
    /// Another writer was faster each time.
    #[error("{name} changes all the time: tried {tries} times")]
    Contended {
        /// The workflow.
        name: String,
        /// How often it was tried.
        tries: usize,
    },
    /// The API server has not answered in time.
    #[error("the API server does not answer")]
    Silent,
    /// The API server, which had answered before, is gone for good as far as can be told.
    #[error("the API server has not answered for {seconds} seconds")]
    StillSilent {
        /// How long it was waited for.
        seconds: u64,
        /// What was met last.
        #[source]
        source: Box<Error>,
    },
    /// An API server that had answered before refuses us.
    #[error("the API server does not know us any more: another one has taken its place")]
    Stranger,
    /// The end of a watch that has none.
    #[error("the API no longer reports changes")]
    WatchEnded,
    /// A log broke off.
    #[error(transparent)]
    Log(#[from] std::io::Error),
}

/// Something that is worth saying although there is an answer.
#[derive(Clone, Copy, Debug)]
pub struct Warning<'a> {
    /// The workflow, which was read without its nodes.
    pub workflow: &'a str,
    /// Why.
    pub without_nodes: &'a Error,
}

/// Takes warnings.
pub type Warn<'a> = &'a (dyn Fn(Warning<'_>) + Sync);

/// The error and its causes in one text, without those that the text before says already.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let cause = error.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Outer(&'static str, #[source] Option<Box<Outer>>);

    #[test]
    fn no_cause_is_said_twice() {
        let inner = Outer("read `f`: not found", Some(Box::new(Outer("not found", None))));
        assert_eq!(chain(&Outer("start", Some(Box::new(inner)))), "start: read `f`: not found");
    }
}
