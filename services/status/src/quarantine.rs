//! Ends a workflow whose status cannot be read or written, by a write that reads nothing of it.

use argosy_actor::{Failure, WorkflowKey, api};
use argosy_api::labels;
use argosy_api::v1alpha1::{Time, WorkflowPhase};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::metrics;
use crate::service::Context;

/// Longest reason that is written.
const REASON_MAX: usize = 2048;

/// Writes that the workflow has ended with Error, and why. False when it is gone.
///
/// Errors: the API does not take even that.
pub(crate) async fn end(context: &Context, key: &WorkflowKey, why: &str) -> Result<bool, Failure> {
    let reason: String = why.chars().take(REASON_MAX).collect();
    let (now, phase) = (Time::new(context.host.clock.now()), WorkflowPhase::Error.to_string());
    let patch = json!({
        "metadata": {
            "uid": key.uid,
            "labels": {labels::PHASE: phase, labels::COMPLETED: "true", labels::QUARANTINED: "true"},
            "annotations": {labels::QUARANTINE_REASON: reason},
        },
        "status": {"phase": phase, "message": reason, "finishedAt": now.to_string()},
    });
    let workflows = api::workflows(&context.client, &key.namespace);
    let parameters = PatchParams { field_manager: Some(crate::MANAGER.to_owned()), ..PatchParams::default() };
    match workflows.patch_metadata(&key.name, &parameters, &Patch::Merge(&patch)).await {
        Ok(_) => {
            metrics::QUARANTINED.inc();
            tracing::error!(
                workflow.uid = key.uid,
                workflow.name = key.name,
                workflow.namespace = key.namespace,
                reason,
                "workflow put out of service"
            );
            Ok(true)
        }
        // Another of its name answers with a conflict, as the uid is not its own.
        Err(error) if matches!(api::answer(&error), api::Answer::NotFound | api::Answer::Conflict) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
