//! The Workflow of a moment.

use argosy_api::labels;
use argosy_api::v1alpha1::API_VERSION;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Its name: that of the CronWorkflow and the moment, so that whoever creates it a second time is told that it exists.
pub fn name(cron: &str, at: Timestamp) -> String {
    format!("{cron}-{}", at.as_second())
}

/// The Workflow that the CronWorkflow `object` starts for the moment `at`.
/// Source: table cron.json, `run`.
pub fn workflow(object: &Value, at: Timestamp) -> Value {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let asked = |key: &str| object.pointer(&format!("/spec/workflowMetadata/{key}")).cloned();
    let map = |key: &str| asked(key).and_then(|value| value.as_object().cloned()).unwrap_or_default();
    let (cron, mut labels_of, mut annotations) = (text("/metadata/name"), map("labels"), map("annotations"));
    labels_of.insert(labels::CRON_WORKFLOW.to_owned(), json!(cron));
    if let Some(instance) = object["metadata"]["labels"][labels::INSTANCE_ID].as_str() {
        labels_of.insert(labels::INSTANCE_ID.to_owned(), json!(instance));
    }
    annotations.insert(labels::SCHEDULED_TIME.to_owned(), json!(at.to_string()));
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), json!(name(cron, at)));
    metadata.insert("namespace".to_owned(), json!(text("/metadata/namespace")));
    metadata.insert("labels".to_owned(), labels_of.into());
    metadata.insert("annotations".to_owned(), annotations.into());
    if let Some(finalizers) = asked("finalizers").filter(Value::is_array) {
        metadata.insert("finalizers".to_owned(), finalizers);
    }
    metadata.insert(
        "ownerReferences".to_owned(),
        json!([{
            "apiVersion": API_VERSION, "kind": "CronWorkflow", "name": cron, "uid": text("/metadata/uid"),
            "controller": true, "blockOwnerDeletion": true,
        }]),
    );
    let spec = object.pointer("/spec/workflowSpec").cloned().unwrap_or_else(|| json!({}));
    json!({"apiVersion": API_VERSION, "kind": "Workflow", "metadata": metadata, "spec": spec})
}
