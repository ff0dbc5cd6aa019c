//! How far the workflow is in its life, and what of it happens only once.

use std::collections::BTreeSet;

use argosy_api::{labels, v1alpha1 as api};

use crate::Behavior;

/// Where a workflow is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// No event yet.
    New,
    /// Waits for the objects that its spec names.
    Preparing,
    /// `spec.suspend` was set before the start.
    Held,
    Running,
    /// The entry node has ended; workflow hooks and the exit handler run.
    Exiting,
    Done,
}

/// The stage of the workflow and what belongs to its whole life: whether it is being taken up, the shutdown that it obeys,
/// its hooks, the rules that it goes by. A workflow that is done stays so; a shutdown is carried out once; a hook of the
/// workflow begins once, and the number of open hooks is the number of those that began and have not ended.
#[derive(Debug)]
pub(crate) struct Life {
    stage: Stage,
    /// The frames are being rebuilt from nodes that exist.
    rebuilding: bool,
    /// The shutdown that was carried out since the state was built: one that the object asks for already when it is built
    /// from it is carried out when its event comes, as before.
    shutdown_done: String,
    /// The object that the state was built from asks for a shutdown that the log has not come to.
    stop_ahead: bool,
    /// Hooks of the workflow that have begun, by key.
    hooks_begun: BTreeSet<String>,
    hooks_open: usize,
    /// How far the log was stepped when the workflow last ended; 0 when it never has.
    ended_at: u64,
    /// The number of the last [`Behavior`] that the workflow goes by.
    behavior: u32,
}

impl Life {
    /// Of the workflow that `object` stands for.
    pub fn of(object: &api::Workflow) -> Self {
        Self {
            stage: if object.status.phase.is_completed() { Stage::Done } else { Stage::New },
            rebuilding: false,
            shutdown_done: String::new(),
            stop_ahead: false,
            hooks_begun: BTreeSet::new(),
            hooks_open: 0,
            ended_at: recorded_end(object),
            behavior: recorded_behavior(object),
        }
    }

    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether the workflow is at that stage.
    pub fn is(&self, stage: Stage) -> bool {
        self.stage == stage
    }

    pub fn is_done(&self) -> bool {
        self.is(Stage::Done)
    }

    /// The workflow comes to another stage.
    pub fn enter(&mut self, stage: Stage) {
        debug_assert!(!self.is_done(), "a workflow that is done comes to stage {stage:?}");
        self.stage = stage;
    }

    /// True while frames are rebuilt from nodes that exist: nothing is decided by the time then.
    pub fn is_rebuilding(&self) -> bool {
        self.rebuilding
    }

    pub fn set_rebuilding(&mut self, rebuilding: bool) {
        self.rebuilding = rebuilding;
    }

    /// Whether a shutdown that the log has not come to yet is about to be carried out.
    pub fn is_stop_ahead(&self) -> bool {
        self.stop_ahead
    }

    pub fn set_stop_ahead(&mut self, stop_ahead: bool) {
        self.stop_ahead = stop_ahead;
    }

    /// True when this shutdown is to be carried out now: the spec asks for one, and it has not been done before.
    pub fn begin_shutdown(&mut self, asked: &str) -> bool {
        if asked.is_empty() || asked == self.shutdown_done {
            return false;
        }
        asked.clone_into(&mut self.shutdown_done);
        true
    }

    pub fn has_hook_begun(&self, key: &str) -> bool {
        self.hooks_begun.contains(key)
    }

    /// A hook of the workflow begins.
    pub fn hook_begins(&mut self, key: &str) {
        self.hooks_begun.insert(key.to_owned());
        self.hooks_open += 1;
    }

    /// A hook of the workflow has ended. False when none was open.
    pub fn hook_ends(&mut self) -> bool {
        let rest = self.hooks_open.checked_sub(1);
        self.hooks_open = rest.unwrap_or_default();
        rest.is_some()
    }

    pub fn has_open_hooks(&self) -> bool {
        self.hooks_open > 0
    }

    /// How far the log was stepped when the workflow last ended; 0 when it never has. What was wished for before is of no node
    /// that is live now, though a retry has given one its name.
    pub fn ended_at(&self) -> u64 {
        self.ended_at
    }

    /// The workflow has ended at this sequence; an earlier one than is known changes nothing.
    pub fn has_ended_at(&mut self, sequence: u64) {
        self.ended_at = self.ended_at.max(sequence);
    }

    /// Whether the workflow goes by this change.
    pub fn behaves(&self, behavior: Behavior) -> bool {
        self.behavior >= behavior as u32
    }

    /// The workflow begins now, and goes by the rules of this version, whatever its author wrote there.
    pub fn begin_by_latest(&mut self) {
        self.behavior = Behavior::LATEST;
    }
}

/// The level in the object's annotation; 0 for workflows that began before there were numbers. What cannot be read is
/// somebody's edit, and counts as the latest.
fn recorded_behavior(object: &api::Workflow) -> u32 {
    match object.metadata.annotations.get(labels::BEHAVIOR) {
        None => 0,
        Some(text) => text.parse().unwrap_or(Behavior::LATEST),
    }
}

/// The end in the object's annotation, unless it is another workflow's.
fn recorded_end(object: &api::Workflow) -> u64 {
    let recorded = object.metadata.annotations.get(labels::ENDED_AT).and_then(|text| text.split_once(':'));
    let ours = recorded.filter(|(_, uid)| *uid == object.metadata.uid);
    ours.and_then(|(sequence, _)| sequence.parse().ok()).unwrap_or_default()
}
