//! What is published of a workflow that cannot be run: its owner sees why, and no other workflow notices.

use std::collections::BTreeMap;

use argosy_api::digest::Position;
use argosy_api::labels;
use argosy_api::message::{SCHEMA, StatusChanged, WorkflowDelta};
use argosy_api::v1alpha1::{Time, WorkflowPhase};
use argosy_bus::Publish;
use argosy_engine::Command;
use argosy_host::{Cause, Outgoing};
use argosy_objects::marks;
use argosy_workflows::{HEADER_JUDGED, WorkflowKey};
use kube::api::DynamicObject;
use serde_json::json;

use crate::stamp::stamp;

/// The workflow has ended with Error, for `reason`, past everything that its log holds: none of that is stepped again, unless
/// somebody takes the workflow back into service.
pub(crate) fn last_words(cause: &Cause<'_, WorkflowKey>, object: &DynamicObject, reason: &str) -> Vec<Publish> {
    let (key, newest, at) = (cause.key, cause.sequence, cause.at);
    let written = marks::watermark(object).unwrap_or_default().position();
    let (time, phase) = (Time::new(at), WorkflowPhase::Error.to_string());
    let mut status = json!({"phase": phase, "message": reason, "finishedAt": time.to_string()});
    if object.data.pointer("/status/startedAt").is_none() {
        status["startedAt"] = json!(time.to_string());
    }
    let texts = |pairs: &[(&str, &str)]| -> BTreeMap<String, Option<String>> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect()
    };
    let change = StatusChanged {
        schema: SCHEMA,
        at,
        namespace: key.namespace.clone(),
        workflow: key.name.clone(),
        workflow_uid: key.uid.clone(),
        observed_sequence: newest.max(written.sequence),
        last: true,
        workflow_status: Some(WorkflowDelta {
            status,
            labels: texts(&[(labels::PHASE, &phase), (labels::COMPLETED, "true"), (labels::QUARANTINED, "true")]),
            annotations: texts(&[(labels::QUARANTINE_REASON, reason)]),
            completed: true,
            ..WorkflowDelta::default()
        }),
        ..StatusChanged::default()
    };
    let mut out = Outgoing::default();
    // Where the log is ahead of what was written, an event before this one may be lost for good. This one then names no
    // predecessor, so that status folds it all the same.
    let mut published = if newest > written.sequence { Position::default() } else { written };
    stamp(cause, vec![Command::Publish(Box::new(change))], 1, &mut published, &mut out);
    if let Some(version) = &object.metadata.resource_version {
        let judged = |message: &mut Publish| message.headers.insert(HEADER_JUDGED.to_owned(), version.clone());
        out.messages.iter_mut().for_each(|message| _ = judged(message));
    }
    out.messages
}
