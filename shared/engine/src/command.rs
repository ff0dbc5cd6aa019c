//! What goes in and what comes out.

use arcstr::ArcStr;
use argosy_api::message::{ClusterCommand, LockWant, LookupKey, Observed, StatusChanged};
use jiff::Timestamp;

/// A fact, with its place in the workflow's log.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Sequence in OBSERVED; grows, with gaps.
    pub sequence: u64,
    pub at: Timestamp,
    pub body: EventBody,
}

/// The engine's events are the facts of the log.
pub type EventBody = Observed;

/// A request to see an object of the cluster; the answer comes as [`Observed::LookedUp`].
pub type Lookup = LookupKey;

/// A wish. The shell gives each an id of the workflow's uid, the sequence and what it is about, so that a repeat is
/// recognised: a step has at most one of a kind for a node, or several in the order of the spec.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// For the pod-runner.
    Cluster { node_id: ArcStr, command: ClusterCommand },
    /// Report [`Observed::TimerFired`] with this key once `due` has come. Arming a key again moves it.
    ArmTimer { key: String, due: Timestamp },
    /// The timer by this key is not wanted any more: what it was for has ended. Not uttered at the end of the workflow, with
    /// which all of its timers go (see `Workflow::is_completed`).
    DisarmTimer { key: String },
    /// Answer with [`Observed::LookedUp`].
    Lookup(Lookup),
    /// The locks of the namespace are to be told what a holder wants; they answer with [`Observed::LocksAnswered`].
    WantLocks { namespace: String, want: LockWant },
    /// The locks of the namespace are to be told that the holder wants none any more. `since`: as in [`LockWant`].
    ReleaseLocks { namespace: String, holder: String, since: u64 },
    /// For EVENTS. At most one per step, and the last of its commands. The shell cuts it to size and sets `last`.
    Publish(Box<StatusChanged>),
}
