//! One mutex or semaphore.

use std::{cmp::Reverse, collections::BTreeSet};

use argosy_api::message::LockEntry;
use jiff::Timestamp;

/// A holder: the uid of its workflow, and its own name.
pub(crate) type HolderId = (String, String);

/// A place in a queue. Orders by who comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn {
    /// Who says that it has the locks already comes before all others.
    is_new: bool,
    priority: Reverse<i32>,
    created: Timestamp,
    came: u64,
    pub id: HolderId,
}

impl Turn {
    pub fn of(entry: &LockEntry) -> Self {
        let want = &entry.want;
        Self {
            is_new: !want.claims,
            priority: Reverse(want.priority),
            created: want.created,
            came: entry.came,
            id: (entry.workflow.uid.clone(), want.holder.clone()),
        }
    }
}

/// Who has it, and who waits for it: no more than the limit have it, but for those who had it before the limit became smaller.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lock {
    /// None: nobody has looked it up yet.
    limit: Option<u32>,
    holders: BTreeSet<HolderId>,
    queue: BTreeSet<Turn>,
    /// Those of the queue that want other locks, too.
    several: BTreeSet<HolderId>,
}

impl Lock {
    /// The lock of this name, with nobody in it.
    pub fn named(name: &str) -> Self {
        Self { limit: is_mutex(name).then_some(1), ..Self::default() }
    }

    pub fn limit(&self) -> Option<u32> {
        self.limit
    }

    /// True when that changed it.
    pub fn set_limit(&mut self, limit: u32) -> bool {
        self.limit.replace(limit) != Some(limit)
    }

    /// How many more may have it.
    pub fn free(&self) -> i64 {
        i64::from(self.limit.unwrap_or_default()) - i64::try_from(self.holders.len()).unwrap_or(i64::MAX)
    }

    /// Who comes first of those that wait.
    pub fn first(&self) -> Option<&HolderId> {
        self.queue.first().map(|turn| &turn.id)
    }

    /// Those that wait, in their order.
    pub fn queue(&self) -> impl Iterator<Item = &HolderId> {
        self.queue.iter().map(|turn| &turn.id)
    }

    /// Those that wait and want other locks, too.
    pub fn several(&self) -> impl Iterator<Item = &HolderId> {
        self.several.iter()
    }

    /// `wants_others`: it wants other locks, too.
    pub fn enter(&mut self, turn: Turn, wants_others: bool) {
        if wants_others {
            self.several.insert(turn.id.clone());
        }
        self.queue.insert(turn);
    }

    pub fn leave(&mut self, turn: &Turn) {
        self.queue.remove(turn);
        self.several.remove(&turn.id);
        self.holders.remove(&turn.id);
    }

    pub fn take(&mut self, turn: &Turn) {
        self.queue.remove(turn);
        self.several.remove(&turn.id);
        self.holders.insert(turn.id.clone());
    }

    pub fn holders(&self) -> impl Iterator<Item = &HolderId> {
        self.holders.iter()
    }

    pub fn is_wanted(&self) -> bool {
        !self.queue.is_empty()
    }

    pub fn is_unused(&self) -> bool {
        self.queue.is_empty() && self.holders.is_empty()
    }
}

/// Whether the name `<namespace>/<kind>/…` is one of a mutex.
pub(crate) fn is_mutex(name: &str) -> bool {
    name.split('/').nth(1) == Some("Mutex")
}

/// The limit that a ConfigMap says; none where it is no number above 0. Source: Argo reads it by Go's `strconv.Atoi`.
pub fn limit_of(text: &str) -> Option<u32> {
    text.parse().ok().filter(|limit| *limit > 0)
}
