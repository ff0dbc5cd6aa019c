//! `wait`, while the step runs: shows its progress.

use std::time::Duration;

use argosy_api::labels;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use crate::Error;
use crate::layout::Layout;
use crate::outputs::progress;
use crate::work::blocking;
use crate::wrapper::duration;

/// How often progress is reported; shorter steps report none. Argo's default of `ARGO_PROGRESS_PATCH_TICK_DURATION`.
const TICK: Duration = Duration::from_secs(60);

/// Shows the progress of a step as an annotation of its pod.
pub struct Progress<'a> {
    /// Client of the API server.
    pub client: Client,
    /// Namespace of the pod.
    pub namespace: &'a str,
    /// Name of the pod.
    pub pod: &'a str,
    /// How often, as a Go duration; as Argo does it where that is missing, malformed or zero.
    pub tick: Option<&'a str>,
    /// Where the step writes it.
    pub layout: &'a Layout,
}

impl Progress<'_> {
    /// Shows what changes, and notes in `shown` what was shown last; never ends.
    pub async fn watch(&self, shown: &mut Option<String>) {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), self.namespace);
        let tick = self.tick.and_then(duration).filter(|tick| !tick.is_zero()).unwrap_or(TICK);
        loop {
            tokio::time::sleep(tick).await;
            let layout = self.layout.clone();
            let now = blocking(move |_| Ok::<_, Error>(progress(&layout))).await.unwrap_or_default();
            if now.is_some() && now != *shown {
                let patch = json!({ "metadata": { "annotations": { labels::PROGRESS: now } } });
                match pods.patch(self.pod, &PatchParams::default(), &Patch::Merge(&patch)).await {
                    Ok(_) => *shown = now,
                    Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "cannot show progress"),
                }
            }
        }
    }
}
