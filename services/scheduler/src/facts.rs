//! What the entities of the scheduler are told, and what they ask of the world outside.

use argosy_api::message::{LockFact, LockOwner, LookupKey, Observed};

/// What a message of a log says.
pub(crate) enum Fact {
    Workflow(Observed),
    Locks(LockFact),
}

/// What an entity asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Question {
    Lookup(LookupKey),
    Locks(LocksQuestion),
}

/// What locks ask.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LocksQuestion {
    /// The limits of these semaphores.
    Limits { locks: Vec<String>, up_to: u64 },
    /// Who holds locks, by the objects of the workflows.
    Holders,
    /// Which of these limits are others by now, and which workflows are no more.
    Look { limits: Vec<(String, u32)>, workflows: Vec<LockOwner>, up_to: u64 },
}
