//! Pods that carry the workflow's name, and whose nodes are not known.

use std::collections::BTreeMap;

use argosy_api::message::PodPhase;

/// Pods that are remembered.
const STRAYS_MAX: usize = 10_000;

/// Pods of unknown nodes, by the name of the pod. Their nodes may be about to come; those that have not when the workflow
/// ends, end with it. Anybody may make such pods: no more are remembered than fit.
#[derive(Debug, Default)]
pub(crate) struct Strays(BTreeMap<String, Stray>);

/// A pod whose node is not known.
#[derive(Debug)]
pub(crate) struct Stray {
    pub node_id: String,
    pub ended: Option<PodPhase>,
}

impl Strays {
    /// There is such a pod, and it is so.
    pub fn see(&mut self, pod_name: &str, stray: Stray) {
        if self.0.len() < STRAYS_MAX {
            self.0.insert(pod_name.to_owned(), stray);
        }
    }

    /// The pod is gone, or about to go.
    pub fn forget(&mut self, pod_name: &str) {
        self.0.remove(pod_name);
    }

    /// All of them, by the name of the pod. None is remembered any more.
    pub fn take(&mut self) -> impl Iterator<Item = (String, Stray)> + use<> {
        std::mem::take(&mut self.0).into_iter()
    }
}
