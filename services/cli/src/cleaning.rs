//! Steps that clean up after their workflow was stopped.

use std::time::Duration;

use argosy_api::{labels, v1alpha1::Workflow};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::ListParams};
use tokio::time::{Instant, interval};

use crate::view::{self, View};

/// Kubernetes' own.
const GRACE_SECS: u64 = 30;
/// What a pod may take beyond its grace period to be told to stop and to be seen to have ended.
const MARGIN: Duration = Duration::from_secs(10);

/// The pods of workflows that have ended.
pub struct Cleaning<'a> {
    client: &'a Client,
    workflows: &'a [Workflow],
}

impl<'a> Cleaning<'a> {
    pub fn new(client: &'a Client, workflows: &'a [Workflow]) -> Self {
        Self { client, workflows }
    }

    /// Waits until no pod runs any more, at most for the longest of their grace periods; shows logs meanwhile.
    pub async fn wait(&self, view: &mut View) {
        let begun = Instant::now();
        let mut tick = interval(view::REDRAW);
        let mut is_told = false;
        loop {
            tick.tick().await;
            let running = match self.running().await {
                Ok(running) => running,
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "look for steps that clean up");
                    return;
                }
            };
            let Some(grace) = running.iter().map(grace).max() else { return };
            if begun.elapsed() > grace + MARGIN {
                view.notice("steps do not end in their grace period: they are killed");
                return;
            }
            if !is_told {
                is_told = true;
                let secs = grace.as_secs();
                view.notice(&format!("waiting at most {secs} s for steps to end. Press Ctrl-C again to kill them."));
            }
            view.redraw(self.workflows);
        }
    }

    async fn running(&self) -> Result<Vec<Pod>, kube::Error> {
        let mut running = Vec::new();
        for Workflow { metadata, .. } in self.workflows {
            let params = ListParams::default().labels(&format!("{}={}", labels::WORKFLOW, metadata.name));
            let pods = Api::<Pod>::namespaced(self.client.clone(), &metadata.namespace).list(&params).await?;
            running.extend(pods.items.into_iter().filter(is_running));
        }
        Ok(running)
    }
}

/// A pod that has not ended, and has begun: its containers may clean up.
fn is_running(pod: &Pod) -> bool {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
}

fn grace(pod: &Pod) -> Duration {
    let secs = pod.spec.as_ref().and_then(|spec| u64::try_from(spec.termination_grace_period_seconds?).ok());
    Duration::from_secs(secs.unwrap_or(GRACE_SECS))
}
