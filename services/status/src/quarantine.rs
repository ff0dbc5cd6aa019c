//! Ends a workflow whose status cannot be read or written, by a write that reads nothing of it.

use argosy_actor::Failure;
use argosy_api::labels;
use argosy_api::v1alpha1::{Time, WorkflowPhase};
use argosy_bus::Quarantined;
use argosy_objects::api;
use argosy_workflows::WorkflowKey;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::context::Context;
use crate::metrics;

/// Longest reason that is written, in characters.
const REASON_MAX: usize = 2048;
/// The same, where the object has no room for more.
const SHORT_REASON_MAX: usize = 160;

/// Writes that the workflow has ended with Error, and why. False when it is gone. Where an object at its limit has no room
/// for that, less is written, then its nodes go, and at last only the bus knows.
///
/// Errors: the API does not take even that.
pub(crate) async fn end(context: &Context, key: &WorkflowKey, why: &str) -> Result<bool, Failure> {
    let workflows = api::workflows(&context.client, &key.namespace);
    let parameters = PatchParams { field_manager: Some(crate::MANAGER.to_owned()), ..PatchParams::default() };
    let at = context.host.clock.now();
    for patch in patches(key, why, &Time::new(at).to_string()) {
        match workflows.patch_metadata(&key.name, &parameters, &Patch::Merge(&patch)).await {
            Ok(_) => {
                said(key, why, "workflow put out of service");
                return Ok(true);
            }
            // Another of its name answers with a conflict, as the uid is not its own.
            Err(error) if matches!(api::answer(&error), api::Answer::NotFound | api::Answer::Conflict) => {
                return Ok(false);
            }
            Err(error) if api::is_too_large(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let entry = Quarantined::workflow(&key.uid, why, at).named(&key.namespace, &key.name);
    context.host.bus.quarantine().put(entry).await?;
    said(key, why, "workflow put out of service; its object has no room to say so");
    Ok(true)
}

fn said(key: &WorkflowKey, reason: &str, what: &str) {
    metrics::QUARANTINED.inc();
    tracing::error!(
        workflow.uid = key.uid,
        workflow.name = key.name,
        workflow.namespace = key.namespace,
        reason,
        "{what}"
    );
}

/// From the one that says all to the smallest.
fn patches(key: &WorkflowKey, why: &str, at: &str) -> [Value; 3] {
    let phase = WorkflowPhase::Error.to_string();
    let patch = |reason_max: usize| {
        let reason: String = why.chars().take(reason_max).collect();
        json!({
            "metadata": {
                "uid": key.uid,
                "labels": {labels::PHASE: phase, labels::COMPLETED: "true", labels::QUARANTINED: "true"},
            },
            "status": {"phase": phase, "message": reason, "finishedAt": at},
        })
    };
    let (mut whole, short) = (patch(REASON_MAX), patch(SHORT_REASON_MAX));
    whole["metadata"]["annotations"] = json!({labels::QUARANTINE_REASON: whole["status"]["message"]});
    let mut smallest = short.clone();
    (smallest["status"]["nodes"], smallest["status"]["compressedNodes"]) = (Value::Null, Value::Null);
    [whole, short, smallest]
}
