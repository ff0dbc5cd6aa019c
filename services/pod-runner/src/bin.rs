//! What waits to be dealt with: pods that are to get their label, or to go.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use argosy_api::digest::Position;
use argosy_api::message::{Collection, CommandMessage};
use argosy_workflows::WorkflowKey;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;

use crate::known::PodKey;

/// Pods of one workflow that go in one go, so that others have their turns in between.
const PODS_MAX: usize = 256;
/// The object is looked at again after this, and after longer each time.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Pods of a shard that are to go, and those that went by our hand.
#[derive(Default)]
pub(crate) struct Bin {
    pods: Mutex<Pods>,
    more: Notify,
}

#[derive(Default)]
struct Pods {
    /// By workflow, so that its object is looked at once for all of them.
    waiting: BTreeMap<WorkflowKey, Of>,
    /// Uids of pods that were deleted here, until the watch has told so: that is no news for their workflow.
    collected: HashSet<String>,
}

/// The pods of one workflow.
#[derive(Default)]
pub(crate) struct Of {
    pub pods: BTreeMap<String, Entry>,
    /// No pod is due before.
    first: Option<Timestamp>,
    /// The object is not looked at before.
    not_before: Option<Timestamp>,
    tries: u32,
}

/// One pod that is to go.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    due: Timestamp,
    pub published: Position,
    pub deletes: bool,
    pub selector: Option<Value>,
    /// How far the log was stepped when it was wished for: a pod of a later wish is another.
    pub wished: u64,
}

impl Of {
    /// Its pods, and the same without any.
    pub fn empty(self) -> (BTreeMap<String, Entry>, Self) {
        (self.pods, Self { pods: BTreeMap::new(), first: None, ..self })
    }

    fn due(&self) -> Option<Timestamp> {
        let first = self.first?;
        Some(self.not_before.map_or(first, |at| at.max(first)))
    }
}

impl Bin {
    /// The pod is to go (`deletes`) or to be marked, on these terms.
    pub fn put(&self, key: PodKey, command: &CommandMessage, deletes: bool, terms: &Collection) {
        let delay = i64::try_from(terms.delay_ms).map_or(jiff::SignedDuration::MAX, jiff::SignedDuration::from_millis);
        let due = if deletes { command.at.checked_add(delay).unwrap_or(Timestamp::MAX) } else { command.at };
        let (published, selector) = (terms.published, terms.selector.clone());
        let entry = Entry { due, published, deletes, selector, wished: command.sequence };
        let mut pods = self.pods.lock();
        let of = pods.waiting.entry(key.workflow).or_default();
        // The newest wish counts: it is of the newest pod. An equal one is a repeat.
        let is_newer = |before: &Entry| entry.wished > before.wished;
        if of.pods.get(&key.pod).is_none_or(is_newer) {
            of.first = Some(of.first.map_or(due, |first| first.min(due)));
            of.pods.insert(key.pod, entry);
        }
        drop(pods);
        self.more.notify_one();
    }

    /// Waits until something is put in.
    pub async fn more(&self) {
        self.more.notified().await;
    }

    /// The pod is about to be deleted here; or it was not, after all.
    pub fn note_collected(&self, uid: &str, is_so: bool) {
        let mut pods = self.pods.lock();
        _ = if is_so { pods.collected.insert(uid.to_owned()) } else { pods.collected.remove(uid) };
    }

    /// Whether the pod was deleted here.
    pub fn has_collected(&self, uid: &str) -> bool {
        self.pods.lock().collected.contains(uid)
    }

    /// The same, and the watch has told that it is gone.
    pub fn take_collected(&self, uid: &str) -> bool {
        self.pods.lock().collected.remove(uid)
    }

    /// Takes what is due now.
    pub fn take(&self, now: Timestamp) -> Vec<(WorkflowKey, Of)> {
        let mut pods = self.pods.lock();
        let mut taken = Vec::new();
        for (workflow, of) in &mut pods.waiting {
            if of.due().is_none_or(|due| due > now) {
                continue;
            }
            let mut room = PODS_MAX;
            let is_due = |_: &String, entry: &mut Entry| {
                let is_taken = entry.due <= now && room > 0;
                room -= usize::from(is_taken);
                is_taken
            };
            let due = of.pods.extract_if(.., is_due).collect();
            of.first = of.pods.values().map(|entry| entry.due).min();
            taken.push((workflow.clone(), Of { pods: due, first: None, not_before: None, tries: of.tries }));
        }
        pods.waiting.retain(|_, of| !of.pods.is_empty());
        taken
    }

    /// Puts back what could not go yet.
    pub fn put_back(&self, workflow: WorkflowKey, back: Of, now: Timestamp) {
        let mut pods = self.pods.lock();
        if back.pods.is_empty() {
            if let Some(of) = pods.waiting.get_mut(&workflow) {
                (of.not_before, of.tries) = (None, 0);
            }
            return;
        }
        let pause = PAUSE.saturating_mul(1 << back.tries.min(8)).min(PAUSE_MAX);
        let of = pods.waiting.entry(workflow).or_default();
        for (name, entry) in back.pods {
            of.first = Some(of.first.map_or(entry.due, |first| first.min(entry.due)));
            of.pods.entry(name).or_insert(entry);
        }
        (of.not_before, of.tries) = (now.checked_add(pause).ok(), back.tries.saturating_add(1));
    }

    /// When something is due next.
    pub fn next(&self) -> Option<Timestamp> {
        self.pods.lock().waiting.values().filter_map(Of::due).min()
    }
}
