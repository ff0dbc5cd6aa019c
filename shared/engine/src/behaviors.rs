//! Numbered changes of behaviour. A workflow goes on by the rules that it began with, whatever version takes it over.

use argosy_api::labels;

use crate::Workflow;

/// A change of what the engine decides. Numbers are never used again. The highest one that the engine knew when a workflow
/// began is recorded in the workflow's annotation [`labels::BEHAVIOR`], which goes out with the first status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Behavior {
    /// Calls that wait for the parallelism of a template begin as long as there is room. Before, one began for each node
    /// that ended, so that a slot was lost when that one did not become active (a suspend, a memoized call, a failed one);
    /// the call that should have had it waited until the workflow was taken up anew (see `Workflow::overlooked`).
    RefilledParallelism = 1,
}

impl Behavior {
    /// What a workflow that begins now is recorded with.
    pub const LATEST: u32 = Self::RefilledParallelism as u32;
}

impl Workflow {
    /// Whether the workflow goes by this change.
    pub(crate) fn behaves(&self, behavior: Behavior) -> bool {
        self.behavior >= behavior as u32
    }

    /// Records the rules that a workflow begins with, whatever its author wrote there.
    pub(crate) fn record_behavior(&mut self) {
        self.behavior = Behavior::LATEST;
        self.set_annotation(labels::BEHAVIOR, &Behavior::LATEST.to_string());
    }

    /// The level in the object's annotation; 0 for workflows that began before there were numbers. What cannot be read is
    /// somebody's edit, and counts as the latest.
    pub(crate) fn recorded_behavior(object: &argosy_api::v1alpha1::Workflow) -> u32 {
        match object.metadata.annotations.get(labels::BEHAVIOR) {
            None => 0,
            Some(text) => text.parse().unwrap_or(Behavior::LATEST),
        }
    }
}
