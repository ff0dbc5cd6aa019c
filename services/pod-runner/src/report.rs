//! What is told of a pod to the log of its workflow.

use std::hash::Hasher as _;
use std::time::Duration;

use argosy_actor::{Backoff, Failure};
use argosy_api::executor::Report;
use argosy_api::message::{CommandMessage, Observed, PodSummary};
use argosy_api::v1alpha1::{self as v1, NodeResult, WorkflowTaskResult};
use argosy_objects::api;
use argosy_workflows::WorkflowLog as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject};
use tokio::time::Instant;

use crate::context::Context;
use crate::known::PodKey;
use crate::metrics;
use crate::summary::summarize;

/// A task result is written before its pod ends; only a slow replica of the API can lack it for a while.
const RESULT_WAIT: Duration = Duration::from_secs(10);

/// The pod as it looks, with outputs that were too large for its termination message.
///
/// Errors: the API does not answer, which passes.
pub(crate) async fn summary(context: &Context, key: &PodKey, pod: &Pod) -> Result<PodSummary, Failure> {
    let (mut summary, report) = summarize(pod, context.host.clock.now());
    if let Some(Report { task_result: Some(name), .. }) = report {
        match read_result(context, key, &name).await? {
            Ok(result) => {
                summary.outputs = result.outputs.or_else(|| summary.outputs.take());
                summary.progress = result.progress.or_else(|| summary.progress.take());
            }
            Err(why) => {
                tracing::warn!(
                    workflow.uid = key.workflow.uid,
                    pod = key.pod,
                    name,
                    why,
                    "outputs of the pod are lost"
                );
                summary.report_error = format!("outputs are lost: task result '{name}' {why}");
            }
        }
    }
    Ok(summary)
}

/// Appends how the pod looks to the log. `why` tells one telling of the same look from another.
///
/// Errors: the bus does not take it.
pub(crate) async fn publish(
    context: &Context,
    key: &PodKey,
    pod: &Pod,
    summary: PodSummary,
    why: Option<&str>,
) -> Result<(), Failure> {
    // A pod may look the same twice, with a different look in between: the version tells them apart.
    let version = pod.metadata.resource_version.as_deref().unwrap_or_default();
    let mut id = format!("{}:pod:{}:{version}:{:x}", key.workflow.uid, summary.uid, hash(&summary));
    if let Some(why) = why {
        id = format!("{id}:{why}");
    }
    append(context, key, id, summary).await
}

/// Appends once more how the pod looked last. `why` tells one telling from another.
pub(crate) async fn publish_again(
    context: &Context,
    key: &PodKey,
    last: &PodSummary,
    why: &str,
) -> Result<(), Failure> {
    append(context, key, format!("{}:pod:{}:{why}", key.workflow.uid, last.uid), last.clone()).await
}

/// Appends that the pod, which was last seen as `last`, is gone.
pub(crate) async fn publish_gone(context: &Context, key: &PodKey, last: &PodSummary) -> Result<(), Failure> {
    let id = format!("{}:pod:{}:deleted", key.workflow.uid, last.uid);
    append(context, key, id, PodSummary { deleted: true, ready: false, ..last.clone() }).await
}

/// Appends that there is no such pod as the command is about; whether there ever was one, nobody here knows.
pub(crate) async fn publish_absent(
    context: &Context,
    key: &PodKey,
    command: &CommandMessage,
    why: &str,
) -> Result<(), Failure> {
    let (node_id, name, wished_at) = (command.node_id.clone(), key.pod.clone(), command.sequence);
    let summary = PodSummary { node_id, name, wished_at, deleted: true, ..PodSummary::default() };
    append(context, key, format!("{}:pod:{}:absent:{why}", key.workflow.uid, key.pod), summary).await
}

async fn append(context: &Context, key: &PodKey, id: String, summary: PodSummary) -> Result<(), Failure> {
    metrics::REPORTS.inc();
    let body = |pod: PodSummary| Observed::PodChanged { pod: Box::new(pod) };
    match context.host.report(&key.workflow, id.clone(), body(summary.clone())).await {
        Err(error) if error.is_too_large() => {
            metrics::POISON.inc();
            tracing::error!(
                workflow.uid = key.workflow.uid,
                pod = key.pod,
                "what the pod reports is too large for the bus"
            );
            let report_error =
                "the outputs of the step are too large to be passed on; save them as an artifact".to_owned();
            let cut = PodSummary { outputs: None, message: String::new(), report_error, ..summary };
            Ok(context.host.report(&key.workflow, format!("{id}:cut"), body(cut)).await?)
        }
        result => Ok(result?),
    }
}

/// What lies in a WorkflowTaskResult, or why there is nothing.
async fn read_result(context: &Context, key: &PodKey, name: &str) -> Result<Result<NodeResult, String>, Failure> {
    let results: Api<DynamicObject> = Api::namespaced_with(
        context.client.clone(),
        &key.workflow.namespace,
        &api::argo_kind(WorkflowTaskResult::KIND),
    );
    let (mut backoff, deadline) = (Backoff::short(), Instant::now() + RESULT_WAIT);
    loop {
        match results.get_opt(name).await {
            Ok(Some(result)) => {
                let result = v1::from_value(result.data);
                return Ok(result.map_err(|error| format!("cannot be read: {error}")));
            }
            Ok(None) if Instant::now() < deadline => {}
            Ok(None) => return Ok(Err("is missing".to_owned())),
            Err(error) if matches!(api::answer(&error), api::Answer::Transient | api::Answer::Busy) => {
                return Err(error.into());
            }
            Err(error) => return Ok(Err(format!("cannot be read: {}", api::message(&error)))),
        }
        backoff.wait().await;
    }
}

fn hash(summary: &PodSummary) -> u64 {
    // Stable across processes of one build, which is all that the window of the bus needs.
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(&serde_json::to_vec(summary).unwrap_or_default());
    hasher.finish()
}
