//! What all pods of a node share.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use parking_lot::Mutex;

use super::backend::Backend;
use super::builtin::Builtin;
use super::pod::PodRun;

/// What all pods of a node share.
pub(crate) struct Shared {
    pub client: Client,
    pub name: String,
    pub data_dir: PathBuf,
    pub builtins: Vec<Arc<dyn Builtin>>,
    pub outlive: bool,
    pub records_events: bool,
    pub executable: PathBuf,
    /// How often the node's own code failed over a pod.
    pub panics: AtomicU64,
    pub backend: Box<dyn Backend>,
    pub pods: Mutex<HashMap<(String, String), Arc<PodRun>>>,
}

impl Shared {
    /// Keeps of a pod that has ended only what its logs need.
    pub fn retire(&self, run: &Arc<PodRun>) {
        if let Some(kept) = self.pods.lock().get_mut(&key(&run.pod)).filter(|kept| Arc::ptr_eq(kept, run)) {
            *kept = Arc::new(run.remains());
        }
    }

    /// The pod of this name, while it is kept.
    pub fn find(&self, namespace: &str, pod: &str) -> Option<Arc<PodRun>> {
        self.pods.lock().get(&(namespace.to_owned(), pod.to_owned())).cloned()
    }
}

/// Namespace and name of a pod.
pub fn key(pod: &Pod) -> (String, String) {
    (pod.metadata.namespace.clone().unwrap_or_default(), pod.metadata.name.clone().unwrap_or_default())
}
