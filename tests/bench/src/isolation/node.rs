//! A node that plays pods: each runs for a while, and succeeds.

use std::{collections::HashSet, time::Duration};

use anyhow::{Context, Result};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    api::{Api, Patch, PatchParams},
    runtime::watcher::{self, Event},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a pod runs.
pub const RUNS: Duration = Duration::from_millis(50);

/// Plays all pods until `shutdown`.
///
/// Errors: the API does not answer as it must.
pub async fn run(client: kube::Client, shutdown: CancellationToken) -> Result<()> {
    let mut events =
        std::pin::pin!(kube::runtime::watcher(Api::<Pod>::all(client.clone()), watcher::Config::default()));
    let (mut known, mut playing) = (HashSet::new(), JoinSet::new());
    loop {
        let event = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            Some(played) = playing.join_next() => {
                played.context("a pod was not played")??;
                continue;
            }
            event = events.next() => event.context("the watch of the pods ended")?.context("watch the pods")?,
        };
        match event {
            Event::Apply(pod) | Event::InitApply(pod) => {
                if known.insert(pod.metadata.uid.clone()) {
                    playing.spawn(play(client.clone(), pod));
                }
            }
            Event::Init | Event::InitDone | Event::Delete(_) => {}
        }
    }
}

async fn play(client: kube::Client, pod: Pod) -> Result<()> {
    let name = pod.metadata.name.context("a pod without a name")?;
    let pods: Api<Pod> = Api::namespaced(client, &pod.metadata.namespace.unwrap_or_default());
    for (status, pause) in [(running(), RUNS), (succeeded(), Duration::ZERO)] {
        match pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status)).await {
            Ok(_) => tokio::time::sleep(pause).await,
            // It was deleted.
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            Err(error) => return Err(error).context("say how a pod is"),
        }
    }
    Ok(())
}

fn running() -> Value {
    let state = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
    status("Running", true, &state)
}

fn succeeded() -> Value {
    let (started, finished) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z");
    let state =
        json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": started, "finishedAt": finished}});
    status("Succeeded", false, &state)
}

fn status(phase: &str, is_ready: bool, state: &Value) -> Value {
    let container = |name: &str| json!({"name": name, "image": "bench", "imageID": "", "ready": is_ready, "restartCount": 0, "state": state});
    json!({"status": {
        "phase": phase,
        "podIP": "10.0.0.1",
        "conditions": [{"type": "Ready", "status": if is_ready { "True" } else { "False" }}],
        "containerStatuses": [container("main"), container("wait")],
    }})
}
