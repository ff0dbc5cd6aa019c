//! What the services say to each other over the bus. JSON; every message names its `schema`.
//!
//! Three streams: OBSERVED (facts from outside, one ordered subject per workflow), COMMANDS (wishes for the
//! pod-runner), EVENTS (facts decided, as CloudEvents). Messages hold no secrets: pod manifests name secrets, they
//! never contain them.

mod changed;
mod command;
mod event;
mod locks;
mod manifest;
mod metric;
mod observed;

pub use changed::ChangedNodes;
pub use command::{ClusterCommand, Collection, CommandMessage};
pub use event::{Growth, NodeList, StatusChanged, WorkflowDelta};
pub use locks::{
    LockAnswer, LockEntry, LockFact, LockHolder, LockLimit, LockMessage, LockOwner, LockStage, LockWant, is_locks_uid,
    locks_uid,
};
pub use manifest::{Filling, Manifest, mark, mark_index};
pub use metric::{GaugeOperation, MetricKind, MetricSample};
pub use observed::{
    ContainerSummary, LookupKey, LookupKind, NotCreated, Observed, ObservedMessage, PodPhase, PodSummary,
};

/// The version that this build writes.
pub const SCHEMA: u32 = 1;

/// A sequence that says nothing is left out.
fn is_zero(sequence: &u64) -> bool {
    *sequence == 0
}
