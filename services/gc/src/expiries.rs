//! What is remembered of finished workflows: when each expires, and how many there are.

use std::collections::{BTreeMap, BTreeSet};

use argosy_actor::Backoff;
use argosy_api::labels;
use argosy_api::v1alpha1::WorkflowPhase;
use jiff::Timestamp;
use kube::api::ObjectMeta;

/// Names a workflow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub namespace: String,
    pub name: String,
}

/// How many finished workflows stay, by their phase. Source: Argo ConfigMap key `retentionPolicy`, whose missing members are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Of those that succeeded.
    pub completed: usize,
    /// Of those that failed.
    pub failed: usize,
    /// Of those in error.
    pub errored: usize,
}

/// Why something is to be done with a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Only its object tells when it expires.
    Look,
    /// Its time is up.
    Expired,
    /// There are more than are kept.
    TooMany,
}

/// Something to be done, with the workflow of this uid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub key: Key,
    pub uid: String,
    /// As it was when this was decided.
    pub version: Option<String>,
    pub why: Why,
}

#[derive(Debug)]
struct Entry {
    uid: String,
    version: Option<String>,
    phase: WorkflowPhase,
    created: Timestamp,
    /// What is to be done, and when. It stands in `agenda`.
    next: Option<(Timestamp, Why)>,
    is_busy: bool,
    backoff: Backoff,
}

/// The finished workflows.
#[derive(Debug, Default)]
pub(crate) struct Expiries {
    all: BTreeMap<Key, Entry>,
    agenda: BTreeSet<(Timestamp, Key)>,
    /// By phase and age, those that nobody deletes yet; only where there is a limit.
    kept: BTreeMap<&'static str, BTreeSet<(Timestamp, Key)>>,
    retention: Option<Retention>,
    listed: BTreeSet<Key>,
}

impl Expiries {
    pub fn new(retention: Option<Retention>) -> Self {
        Self { retention, ..Self::default() }
    }

    /// A list of all begins.
    pub fn begin_list(&mut self) {
        self.listed.clear();
    }

    /// A list of all is complete: those that it did not have are gone.
    pub fn end_list(&mut self) {
        let listed = std::mem::take(&mut self.listed);
        let gone: Vec<Key> = self.all.keys().filter(|key| !listed.contains(key)).cloned().collect();
        gone.iter().for_each(|key| self.forget(key));
    }

    /// The workflow has ended, and looks like this.
    pub fn note(&mut self, metadata: &ObjectMeta, is_listed: bool, now: Timestamp) {
        let Some((key, uid)) = key_of(metadata).zip(metadata.uid.clone()) else { return };
        if is_listed {
            self.listed.insert(key.clone());
        }
        let version = metadata.resource_version.clone();
        let is_edited = match self.all.get(&key) {
            Some(entry) if entry.uid == uid && entry.version == version => return,
            Some(entry) if entry.uid == uid => true,
            Some(_) | None => false,
        };
        let text = |name: &str| metadata.annotations.as_ref().and_then(|all| all.get(name));
        let next = match (text(labels::EXPIRES_AT).map(|text| text.parse::<Timestamp>()), text(labels::ENDED_AT)) {
            _ if is_edited || metadata.deletion_timestamp.is_some() => Some((now, Why::Look)),
            (Some(Ok(at)), _) => Some((at, Why::Expired)),
            (None, Some(_)) => None,
            // It ended under another controller, or somebody wrote into the annotation.
            (Some(Err(_)), _) | (None, None) => Some((now, Why::Look)),
        };
        self.forget(&key);
        if metadata.deletion_timestamp.is_some() {
            return;
        }
        let phase = metadata.labels.as_ref().and_then(|all| all.get(labels::PHASE)?.parse().ok()).unwrap_or_default();
        let created = metadata.creation_timestamp.as_ref().map_or(now, |time| time.0);
        let backoff = Backoff::new(std::time::Duration::from_secs(1), std::time::Duration::from_secs(60));
        self.all.insert(key.clone(), Entry { uid, version, phase, created, next: None, is_busy: false, backoff });
        self.plan(&key, next);
        self.keep(&key, now);
    }

    /// The workflow is gone, or runs again.
    pub fn forget(&mut self, key: &Key) {
        let Some(entry) = self.all.remove(key) else { return };
        if let Some((at, _)) = entry.next {
            self.agenda.remove(&(at, key.clone()));
        }
        if let Some(kept) = self.kept.get_mut(entry.phase.as_str()) {
            kept.remove(&(entry.created, key.clone()));
        }
    }

    /// What is to be done now, one thing at a time for each workflow.
    pub fn take(&mut self, now: Timestamp) -> Option<Task> {
        let (at, key) = self.agenda.first()?.clone();
        if at > now {
            return None;
        }
        self.agenda.remove(&(at, key.clone()));
        let entry = self.all.get_mut(&key)?;
        let (_, why) = entry.next.take()?;
        entry.is_busy = true;
        Some(Task { uid: entry.uid.clone(), version: entry.version.clone(), key, why })
    }

    /// When something is to be done next.
    pub fn wake(&self) -> Option<Timestamp> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// What came of a task: when the workflow expires, or that it failed and is to be tried again.
    pub fn done(&mut self, task: &Task, expiry: Result<Option<Timestamp>, ()>, now: Timestamp) {
        let Some(entry) = self.all.get_mut(&task.key).filter(|entry| entry.uid == task.uid) else { return };
        if !std::mem::take(&mut entry.is_busy) {
            // It was edited meanwhile, and is looked at again.
            return;
        }
        let next = match expiry {
            Ok(expiry) => {
                entry.backoff.reset();
                expiry.map(|at| (at, Why::Expired))
            }
            Err(()) => now.checked_add(entry.backoff.delay()).ok().map(|at| (at, task.why)),
        };
        self.plan(&task.key, next);
    }

    fn plan(&mut self, key: &Key, next: Option<(Timestamp, Why)>) {
        let Some(entry) = self.all.get_mut(key) else { return };
        if let Some((at, _)) = std::mem::replace(&mut entry.next, next) {
            self.agenda.remove(&(at, key.clone()));
        }
        if let Some((at, _)) = next {
            self.agenda.insert((at, key.clone()));
        }
    }

    /// Counts it among those of its phase; the oldest goes when there are too many.
    fn keep(&mut self, key: &Key, now: Timestamp) {
        let (Some(retention), Some(entry)) = (self.retention, self.all.get(key)) else { return };
        let max = match entry.phase {
            WorkflowPhase::Succeeded => retention.completed,
            WorkflowPhase::Failed => retention.failed,
            WorkflowPhase::Error => retention.errored,
            WorkflowPhase::Unknown | WorkflowPhase::Pending | WorkflowPhase::Running => return,
        };
        let kept = self.kept.entry(entry.phase.as_str()).or_default();
        kept.insert((entry.created, key.clone()));
        let mut surplus = Vec::new();
        while kept.len() > max {
            surplus.extend(kept.pop_first().map(|(_, key)| key));
        }
        surplus.iter().for_each(|key| self.plan(key, Some((now, Why::TooMany))));
    }
}

/// Where an object is.
pub(crate) fn key_of(metadata: &ObjectMeta) -> Option<Key> {
    Some(Key { namespace: metadata.namespace.clone()?, name: metadata.name.clone()? })
}
