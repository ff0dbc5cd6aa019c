//! What the node writes to the API server about a pod.

use std::time::Duration;

use http::HeaderValue;
use http::header::ACCEPT;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::Request;
use kube::{Api, Client, Error};
use serde::de::IgnoredAny;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::pod::PodRun;
use super::state::{GIVEN_UP, Snapshot, State};
use super::status::Phase;

/// A container's end and readiness are written after this time, together with what came meanwhile: the end of the step's own
/// container mostly is the end of the pod.
const SETTLE: Duration = Duration::from_millis(10);
/// The same for changes that nobody waits for, such as an init container's start.
const COALESCE: Duration = Duration::from_millis(100);
/// Asks for an answer without the pod: nobody here reads it.
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// Pause after a failed write; doubled each time up to the second figure.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Writes the pod's status whenever it changes, until `done` and the last state is written or the pod is gone.
pub async fn run(pod: &PodRun, done: &CancellationToken) {
    let api: Api<Pod> = Api::namespaced(pod.node.client.clone(), &pod.namespace());
    let mut states = pod.states.subscribe();
    let mut written: Option<(PodStatus, Phase, Snapshot)> = None;
    let mut pause = BACKOFF.0;
    let mut bound = pod.pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    let mut due: Option<Instant> = None;
    loop {
        let over = done.is_cancelled();
        let snapshot = states.borrow_and_update().clone();
        let (status, phase) = pod.status(written.as_ref().map(|(status, ..)| status).or(pod.pod.status.as_ref()));
        // a pod ends when all of it has: not between the last container and the end of its run
        let premature = phase.is_end() && !over;
        let changed = written.as_ref().is_none_or(|(_, _, before)| *before != snapshot);
        let (before, known) = written.as_ref().map_or((Phase::Pending, None), |(_, p, s)| (*p, Some(s)));
        let within = match phase != before {
            // that a pod runs may set off a hook
            true => Duration::ZERO,
            false if known.is_some_and(|known| is_news(known, &snapshot)) => SETTLE,
            false => COALESCE,
        };
        if pod.is_gone() || over && !changed {
            return;
        }
        let latest = Instant::now() + within;
        due = changed.then(|| due.map_or(latest, |due| due.min(latest)));
        let is_due = due.is_some_and(|due| due <= Instant::now()) && !premature;
        if !over && !is_due {
            tokio::select! {
                _ = states.changed() => {}
                () = done.cancelled() => {}
                () = tokio::time::sleep_until(due.unwrap_or(latest)), if changed && !premature => {}
            }
            continue;
        }
        if !std::mem::replace(&mut bound, true) {
            bind(pod).await;
        }
        match write(pod, &api, &status).await {
            Ok(()) => {
                written = Some((status, phase, snapshot));
                due = None;
                pause = BACKOFF.0;
            }
            // it is gone, or another pod has its name
            Err(Error::Api(refusal)) if refusal.code == 404 || refusal.code == 409 => return,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, pod = %pod.name(), "cannot write a pod's status");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(BACKOFF.1);
            }
        }
    }
}

/// Whether somebody waits for the difference: a main container's end, or readiness.
fn is_news(before: &Snapshot, now: &Snapshot) -> bool {
    now.containers.iter().any(|(name, container)| {
        let old = before.containers.get(name);
        let was_ended = old.is_some_and(|c| matches!(c.state, State::Ended(_)));
        old.is_some_and(|c| c.ready != container.ready) || matches!(container.state, State::Ended(_)) && !was_ended
    })
}

async fn write(pod: &PodRun, api: &Api<Pod>, status: &PodStatus) -> Result<(), Error> {
    let patch = json!({ "metadata": { "uid": pod.uid() }, "status": status });
    let request = Request::new(api.resource_url()).patch_subresource(
        "status",
        &pod.name(),
        &PatchParams::default(),
        &Patch::Merge(&patch),
    );
    let mut request = request.map_err(Error::BuildRequest)?;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static(METADATA));
    pod.node.client.request::<IgnoredAny>(request).await.map(drop)
}

/// Writes that a pod has failed, where its status itself cannot be made.
pub async fn fail(client: &Client, pod: &Pod, message: &str) {
    let meta = &pod.metadata;
    let api: Api<Pod> = Api::namespaced(client.clone(), meta.namespace.as_deref().unwrap_or_default());
    let status = json!({ "phase": "Failed", "reason": GIVEN_UP, "message": message });
    let patch = Patch::Merge(json!({ "metadata": { "uid": meta.uid }, "status": status }));
    let name = meta.name.clone().unwrap_or_default();
    let mut pause = BACKOFF.0;
    loop {
        match api.patch_status(&name, &PatchParams::default(), &patch).await {
            Ok(_) => return,
            Err(Error::Api(refusal)) if refusal.code < 500 => return,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, pod = %name, "cannot write that a pod failed");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(BACKOFF.1);
            }
        }
    }
}

/// Tells the API server which node the pod is on.
async fn bind(pod: &PodRun) {
    let body = json!({
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": { "name": pod.name(), "namespace": pod.namespace(), "uid": pod.uid() },
        "target": { "apiVersion": "v1", "kind": "Node", "name": pod.node.name },
    });
    let path = format!("/api/v1/namespaces/{}/pods/{}/binding", pod.namespace(), pod.name());
    let request =
        http::Request::post(path).header("content-type", "application/json").body(body.to_string().into_bytes());
    let sent = match request {
        Ok(request) => pod.node.client.request_text(request).await.map_err(|e| e.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = sent {
        // it still runs here; only `spec.nodeName` stays empty
        tracing::debug!(%error, pod = %pod.name(), "cannot bind a pod");
    }
}

/// Tells the API server that nothing of a deleted pod is left.
pub async fn confirm_deletion(pod: &PodRun) {
    let api: Api<Pod> = Api::namespaced(pod.node.client.clone(), &pod.namespace());
    let preconditions = Preconditions { uid: Some(pod.uid()), resource_version: None };
    let params =
        DeleteParams { grace_period_seconds: Some(0), preconditions: Some(preconditions), ..DeleteParams::default() };
    let mut pause = BACKOFF.0;
    while !pod.is_gone() {
        match api.delete(&pod.name(), &params).await {
            Ok(_) => return,
            Err(Error::Api(refusal)) if refusal.code == 404 || refusal.code == 409 => return,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, pod = %pod.name(), "cannot confirm a deletion");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(BACKOFF.1);
            }
        }
    }
}
