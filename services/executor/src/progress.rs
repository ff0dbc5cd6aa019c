//! `wait`, while the step runs: shows its progress.

use std::time::Duration;

use argosy_api::executor::environment;
use argosy_api::labels;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::Error;
use crate::layout::Layout;
use crate::outputs::progress;
use crate::surroundings::Surroundings;
use crate::work::blocking;
use crate::wrapper::duration;

/// How often progress is reported; shorter steps report none. Argo's default of `ARGO_PROGRESS_PATCH_TICK_DURATION`.
const TICK: Duration = Duration::from_secs(60);

/// Shows the progress of a step as an annotation of its pod.
pub struct Progress<'a> {
    /// `wait`.
    pub around: &'a dyn Surroundings,
    /// Where the step writes it.
    pub layout: &'a Layout,
}

impl Progress<'_> {
    /// Shows what changes, and notes in `shown` what was shown last; never ends.
    pub async fn watch(&self, shown: &mut Option<String>) {
        let tick = self.around.variable(environment::PROGRESS_TICK);
        // as Argo does it where that is missing, malformed or zero
        let tick = tick.as_deref().and_then(duration).filter(|tick| !tick.is_zero()).unwrap_or(TICK);
        loop {
            tokio::time::sleep(tick).await;
            let layout = self.layout.clone();
            let now = blocking(move |_| Ok::<_, Error>(progress(&layout))).await.unwrap_or_default();
            if now.is_some() && now != *shown {
                match self.show(now.as_deref()).await {
                    Ok(()) => *shown = now,
                    Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "cannot show progress"),
                }
            }
        }
    }

    async fn show(&self, progress: Option<&str>) -> Result<(), Error> {
        let (client, namespace) = self.around.client().await?;
        let pods: Api<Pod> = Api::namespaced(client, &namespace);
        let pod = self.around.variable(environment::POD_NAME).unwrap_or_default();
        let patch = json!({ "metadata": { "annotations": { labels::PROGRESS: progress } } });
        let patched = pods.patch(&pod, &PatchParams::default(), &Patch::Merge(&patch)).await;
        patched.map(drop).map_err(|source| Error::Report { source: Box::new(source) })
    }
}
