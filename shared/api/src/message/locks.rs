//! What workflows and the locks of a namespace say to each other. Both have a log in OBSERVED: a workflow tells that of the locks
//! what a holder of its wants and when it wants it no more, and is answered in its own.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What the uid of every log of locks begins with. No object has such a uid.
const UID: &str = "locks-";

/// The uid by which the log of a namespace's locks is named.
pub fn locks_uid(namespace: &str) -> String {
    format!("{UID}{namespace}")
}

/// Whether the log of this uid is one of locks.
pub fn is_locks_uid(uid: &str) -> bool {
    uid.starts_with(UID)
}

/// One fact for the locks of a namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LockMessage {
    pub schema: u32,
    pub at: Timestamp,
    #[serde(flatten)]
    pub body: LockFact,
}

/// A fact for the locks of a namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum LockFact {
    /// A holder wants locks, all of them or none. A repeat is answered again.
    Wanted { workflow: LockOwner, want: LockWant },
    /// A holder wants none any more. `since`: how far the workflow's log was stepped then; what the holder has wanted later stays.
    Released { workflow: LockOwner, holder: String, since: u64 },
    /// Limits of semaphores, as their ConfigMaps have them. `up_to`: who wanted them up to there in the log waited for this.
    LimitsRead { limits: Vec<LockLimit>, up_to: u64 },
    /// The workflow has ended, or is no more, and whatever of it wanted a lock up to there in the log has it no more.
    WorkflowGone { uid: String, up_to: u64 },
    /// Who holds locks, as the objects of the workflows have it. Counts once, for locks of which nothing else is known.
    HoldersRead { holders: Vec<LockHolder> },
    /// A timer is due.
    TimerFired { key: String },
    /// A part of the whole state as it was after the facts up to `up_to`: with all `parts` of it, nothing before is needed.
    Kept { up_to: u64, part: usize, parts: usize, limits: BTreeMap<String, u32>, entries: Vec<LockEntry> },
}

/// Whose a holder is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LockOwner {
    pub uid: String,
    pub namespace: String,
    pub name: String,
}

/// What a holder wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LockWant {
    /// `<namespace>/<workflow>`, with `/<node id>` for a node.
    pub holder: String,
    /// Full names, such as `<namespace>/Mutex/<name>`, in the order of the spec.
    pub locks: Vec<String>,
    pub priority: i32,
    /// When its workflow was created.
    pub created: Timestamp,
    /// How far the workflow's log was stepped when it wanted them.
    pub since: u64,
    /// It says that it has them already, as its object does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub claims: bool,
}

/// The limit of a semaphore; none where the ConfigMap, or the key, is not there or is no number above 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LockLimit {
    pub lock: String,
    pub limit: Option<u32>,
}

/// Locks that a holder has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LockHolder {
    pub workflow: LockOwner,
    pub holder: String,
    pub locks: Vec<String>,
    /// How far the workflow's log was stepped for what says so.
    pub since: u64,
}

/// One holder, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LockEntry {
    pub workflow: LockOwner,
    pub want: LockWant,
    /// Where in the log it came.
    pub came: u64,
    pub stage: LockStage,
}

/// How far a holder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LockStage {
    /// The limits of its semaphores are looked up.
    Asking,
    Waiting,
    Holding,
}

/// The answer to what a holder wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum LockAnswer {
    /// It has all of them.
    Granted,
    /// It waits, first of all for `lock`, of which `free` are free of `limit`. `holders`: who has each that it wants, if anybody.
    Waiting { lock: String, free: i64, limit: i64, holders: BTreeMap<String, Vec<String>> },
    /// It gets none.
    Refused { message: String },
}
