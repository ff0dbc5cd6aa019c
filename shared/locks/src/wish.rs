//! What the locks ask for.

use argosy_api::message::{LockAnswer, LockFact, LockOwner};
use jiff::Timestamp;

/// The timer that has the world looked at while somebody waits.
pub const LOOK: &str = "look";

/// What the locks ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// The log of the workflow is told.
    Answer { to: LockOwner, holder: String, since: u64, answer: LockAnswer },
    /// Report [`LockFact::LimitsRead`] of these semaphores.
    ReadLimits { locks: Vec<String>, up_to: u64 },
    /// Report [`LockFact::HoldersRead`]: nothing is known yet, and nothing is granted before.
    ReadHolders,
    /// Report [`LockFact::LimitsRead`] of the semaphores whose limit is another than that, and [`LockFact::WorkflowGone`] of
    /// those of the workflows that have ended or are no more.
    Look { limits: Vec<(String, u32)>, workflows: Vec<LockOwner>, up_to: u64 },
    /// Report [`LockFact::TimerFired`] when it is due. Arming a timer again moves it.
    ArmTimer { key: String, due: Timestamp },
    /// The timer is not wanted any more.
    DisarmTimer { key: String },
    /// The log of the locks is told its own state, after all else that is asked for: what is before it can go.
    Keep(LockFact),
}
