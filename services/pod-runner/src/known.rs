//! The pods that a watch has told of.

use std::collections::{BTreeMap, BTreeSet};

use argosy_workflows::WorkflowKey;
use parking_lot::Mutex;

/// Names a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PodKey {
    pub workflow: WorkflowKey,
    pub pod: String,
}

/// What never changes of a pod.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub uid: String,
    /// How far the log was stepped when it was wished for.
    pub wished_at: Option<u64>,
}

/// The pods that are there, as far as the watch has told.
#[derive(Default)]
pub(crate) struct KnownPods(Mutex<BTreeMap<PodKey, Known>>);

impl KnownPods {
    pub fn insert(&self, key: PodKey, pod: Known) {
        self.0.lock().insert(key, pod);
    }

    pub fn find(&self, key: &PodKey) -> Option<Known> {
        self.0.lock().get(key).cloned()
    }

    pub fn remove(&self, key: &PodKey) {
        self.0.lock().remove(key);
    }

    /// Whether the watch has told of the pod, and will tell of what becomes of it.
    pub fn contains(&self, key: &PodKey) -> bool {
        self.0.lock().contains_key(key)
    }

    /// Those that are not in a whole list are no more: removes and gives them.
    pub fn retain(&self, listed: &BTreeSet<PodKey>) -> Vec<PodKey> {
        let mut known = self.0.lock();
        let gone: Vec<PodKey> = known.keys().filter(|key| !listed.contains(key)).cloned().collect();
        gone.iter().for_each(|key| _ = known.remove(key));
        gone
    }
}
