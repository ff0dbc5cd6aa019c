//! What cannot happen: a debug build stops there, a release build goes on and says so.

use std::sync::{Mutex, PoisonError};

use arcstr::ArcStr;

use crate::Workflow;

/// Bugs kept until the host asks for them; of more there is only the number.
const KEPT_MAX: usize = 64;

/// Something that the engine takes to be impossible has happened. The workflow goes on without what was being done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bug {
    /// Where it was noticed: file and line of the engine.
    pub site: &'static str,
    /// Id of the node that it is about; empty when it is about the workflow.
    pub node: ArcStr,
    /// What is wrong, in words.
    pub detail: String,
}

/// The bugs of a workflow that nobody has asked for yet.
#[derive(Debug, Default)]
pub(crate) struct Bugs(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    kept: Vec<Bug>,
    more: u64,
}

impl Workflow {
    /// The bugs that were noticed since the last call, and how many more there were than are kept (64). For the host to log
    /// and count after each step.
    pub fn take_bugs(&mut self) -> (Vec<Bug>, u64) {
        let Noted { kept, more } = std::mem::take(self.bugs.0.get_mut().unwrap_or_else(PoisonError::into_inner));
        (kept, more)
    }

    /// Notes a bug; use the macro `bug!`, which names the place. Panics in a debug build.
    #[cold]
    pub(crate) fn note_bug(&self, site: &'static str, node: &str, detail: String) {
        debug_assert!(false, "{site}: node '{node}': {detail}");
        let mut noted = self.bugs.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.kept.len() < KEPT_MAX {
            noted.kept.push(Bug { site, node: node.into(), detail });
        } else {
            noted.more += 1;
        }
    }
}

/// `bug!(workflow, node_id, "what is {wrong}")`: this cannot happen. Panics in a debug build, is noted in a release build.
macro_rules! bug {
    ($workflow:expr, $node:expr, $($detail:tt)+) => {
        $workflow.note_bug(concat!(file!(), ":", line!()), $node, format!($($detail)+))
    };
}
pub(crate) use bug;

/// Takes one off a counter, which cannot be 0.
macro_rules! count_down {
    ($workflow:expr, $counter:expr, $node:expr) => {
        match $counter.checked_sub(1) {
            Some(rest) => $counter = rest,
            None => $crate::bugs::bug!($workflow, $node, "{} would fall below 0", stringify!($counter)),
        }
    };
}
pub(crate) use count_down;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Config;

    #[test]
    #[cfg_attr(debug_assertions, should_panic(expected = "node 'n': it is odd"))]
    fn a_bug_stops_a_debug_build_and_is_kept_by_a_release_build() {
        let mut workflow = Workflow::new(Arc::new(Config::default()), Default::default(), 0);
        for _ in 0..KEPT_MAX + 6 {
            bug!(workflow, "n", "it is {}", "odd");
        }
        let (kept, more) = workflow.take_bugs();
        assert_eq!((kept.len(), more), (KEPT_MAX, 6));
        assert_eq!(workflow.take_bugs(), (Vec::new(), 0));
    }
}
