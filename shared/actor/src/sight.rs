//! A workflow's object as it is reported to its log. Whoever sees it reports it under the same id, so that it counts once.

use argosy_api::digest::{self, Watermark};
use argosy_api::labels;
use argosy_api::message::{Observed, ObservedMessage, SCHEMA};
use argosy_api::v1alpha1::WorkflowPhase;
use argosy_bus::Publish;
use kube::api::DynamicObject;
use serde_json::Value;

use crate::{Host, WorkflowKey, api};

/// How far the log is folded into the object, and by which status; `None` when the status service never wrote it.
pub fn watermark(object: &DynamicObject) -> Option<Watermark> {
    Watermark::parse(object.metadata.annotations.as_ref()?.get(labels::WATERMARK)?)
}

/// Whether someone else than the status service wrote the status last. A workflow without a status is new; one that ended
/// before it was ours to run is left alone.
pub fn is_foreign(object: &DynamicObject) -> bool {
    let status = object.data.get("status").unwrap_or(&Value::Null);
    let digest = digest::of_status(status);
    match watermark(object) {
        Some(watermark) => watermark.digest != digest,
        None => digest != 0 && !is_completed(status),
    }
}

/// Whether the workflow has ended, by its status.
pub fn is_completed(status: &Value) -> bool {
    let phase = status.get("phase").and_then(Value::as_str).and_then(|phase| phase.parse::<WorkflowPhase>().ok());
    phase.is_some_and(WorkflowPhase::is_completed)
}

/// The report: without what the engine does not read. Of an object that is no Workflow only what is wrong with it is passed
/// on: nothing of it may be taken for what it says.
pub fn workflow_changed(host: &Host, key: &WorkflowKey, mut object: DynamicObject, status_edited: bool) -> Publish {
    let version = object.metadata.resource_version.clone().unwrap_or_default();
    object.metadata.managed_fields = None;
    if !status_edited && let Value::Object(members) = &mut object.data {
        members.remove("status");
    }
    let body = match api::to_workflow(&object) {
        Ok(workflow) => Observed::WorkflowChanged { object: Box::new(workflow), status_edited },
        Err(error) => {
            tracing::warn!(
                workflow.name = key.name,
                workflow.namespace = key.namespace,
                error = &error as &dyn std::error::Error,
                "workflow is not readable"
            );
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            Observed::WorkflowUnreadable { error: format!("{error}{cause}") }
        }
    };
    let message = ObservedMessage { schema: SCHEMA, at: host.clock.now(), body };
    let payload = serde_json::to_vec(&message).expect("messages have string keys only");
    host.observed(key, format!("{}:rv:{version}", key.uid), payload)
}
