//! What has been told, so that a node that changes while it runs is told once.

use std::collections::{HashMap, HashSet};

use crate::notes::Note;

/// So many workflows are remembered. When there are more, all are forgotten, and some of their nodes are told again.
const WORKFLOWS_MAX: usize = 10_000;

/// What is to become of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worth {
    New,
    /// It has been told.
    Old,
    /// Its workflow has had enough.
    TooMany,
}

/// By the uid of the workflow, what was told of which node.
pub(crate) struct Seen {
    told: HashMap<String, HashSet<(String, String)>>,
    notes_max: usize,
}

impl Seen {
    /// Of each workflow's nodes at most so many things are told.
    pub fn new(notes_max: usize) -> Self {
        Self { told: HashMap::new(), notes_max }
    }

    pub fn look(&mut self, uid: &str, note: &Note) -> Worth {
        let Some(id) = note.node.as_ref().map(|node| &node.id) else { return Worth::New };
        if self.told.len() >= WORKFLOWS_MAX && !self.told.contains_key(uid) {
            self.told.clear();
        }
        let told = self.told.entry(uid.to_owned()).or_default();
        let fact = (id.clone(), note.reason.clone());
        if told.contains(&fact) {
            Worth::Old
        } else if told.len() >= self.notes_max {
            Worth::TooMany
        } else {
            told.insert(fact);
            Worth::New
        }
    }

    /// The workflow has ended. Should it be retried, its nodes begin anew.
    pub fn forget(&mut self, uid: &str) {
        self.told.remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notes::NoteOf;

    fn note(id: &str, reason: &str) -> Note {
        let id = id.to_owned();
        let node = Some(NoteOf { name: id.clone(), id, kind: "Pod".to_owned(), started_at: None, pod: None });
        Note { reason: reason.to_owned(), message: String::new(), is_warning: false, node }
    }

    #[test]
    fn a_node_is_told_once_in_each_phase_and_a_workflow_not_for_ever() {
        let mut seen = Seen::new(500);
        assert_eq!(seen.look("u", &note("a", "Running")), Worth::New);
        assert_eq!(seen.look("u", &note("a", "Running")), Worth::Old);
        assert_eq!(seen.look("u", &note("a", "Failed")), Worth::New);
        assert_eq!(seen.look("v", &note("a", "Running")), Worth::New);
        let last = (0..500).map(|n| seen.look("u", &note(&format!("n{n}"), "Running"))).last();
        assert_eq!(last, Some(Worth::TooMany));
        assert_eq!(seen.look("u", &Note { node: None, ..note("", "WorkflowFailed") }), Worth::New);
        seen.forget("u");
        assert_eq!(seen.look("u", &note("a", "Running")), Worth::New);
        (0..WORKFLOWS_MAX).for_each(|n| _ = seen.look(&n.to_string(), &note("a", "Running")));
        assert!(seen.told.len() <= WORKFLOWS_MAX);
    }
}
