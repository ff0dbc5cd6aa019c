//! What cannot happen: a debug build stops there, a release build goes on and says so.

use std::sync::{Arc, Mutex, PoisonError};

use arcstr::ArcStr;

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

/// The bugs of a workflow that nobody has asked for yet. All owners of its state note theirs in the same place: a copy is
/// another hold of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bugs(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    kept: Vec<Bug>,
    more: u64,
}

impl Bugs {
    /// The bugs that were noticed since the last call, and how many more there were than are kept.
    pub fn take(&self) -> (Vec<Bug>, u64) {
        let Noted { kept, more } = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        (kept, more)
    }

    /// Notes a bug; use the macro `bug!`, which names the place. Panics in a debug build.
    #[cold]
    pub fn note(&self, site: &'static str, node: &str, detail: String) {
        debug_assert!(false, "{site}: node '{node}': {detail}");
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.kept.len() < KEPT_MAX {
            noted.kept.push(Bug { site, node: node.into(), detail });
        } else {
            noted.more += 1;
        }
    }
}

/// `bug!(self, node_id, "what is {wrong}")`: this cannot happen. `self` has a member `bugs`. Panics in a debug build, is noted in a release build.
macro_rules! bug {
    ($owner:expr, $node:expr, $($detail:tt)+) => {
        $owner.bugs.note(concat!(file!(), ":", line!()), $node, format!($($detail)+))
    };
}
pub(crate) use bug;

#[cfg(test)]
mod tests {
    use super::*;

    struct Owner {
        bugs: Bugs,
    }

    #[test]
    #[cfg_attr(debug_assertions, should_panic(expected = "node 'n': it is odd"))]
    fn a_bug_stops_a_debug_build_and_is_kept_by_a_release_build() {
        let bugs = Bugs::default();
        let owner = Owner { bugs: bugs.clone() };
        for _ in 0..KEPT_MAX + 6 {
            bug!(owner, "n", "it is {}", "odd");
        }
        let (kept, more) = bugs.take();
        assert_eq!((kept.len(), more), (KEPT_MAX, 6));
        assert_eq!(bugs.take(), (Vec::new(), 0));
    }
}
