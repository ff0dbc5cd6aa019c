//! Numbered changes of behaviour. A workflow goes on by the rules that it began with, whatever version takes it over.

/// A change of what the engine decides. Numbers are never used again. The highest one that the engine knew when a workflow
/// began is recorded in the workflow's annotation [`argosy_api::labels::BEHAVIOR`], which goes out with the first status.
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
