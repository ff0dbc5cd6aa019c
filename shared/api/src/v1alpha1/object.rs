//! The objects themselves: metadata, and each kind's envelope.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::*;

/// Kubernetes object metadata, as far as Argosy looks into it; the rest is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ObjectMeta {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub generate_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
    #[serde(skip_serializing_if = "is_default")]
    pub generation: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_timestamp: Option<Time>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Owner references, finalizers, managed fields.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// An object with a spec and, where its kind has one, a status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Object<Spec: Default + PartialEq, Status: Default + PartialEq = Value> {
    pub api_version: String,
    pub kind: String,
    pub metadata: ObjectMeta,
    pub spec: Spec,
    #[serde(skip_serializing_if = "is_default")]
    pub status: Status,
}

/// One run: what is to be done, and how far it is.
pub type Workflow = Object<WorkflowSpec, WorkflowStatus>;
/// Templates shared in a namespace.
pub type WorkflowTemplate = Object<WorkflowSpec>;
/// Templates shared by the whole cluster.
pub type ClusterWorkflowTemplate = Object<WorkflowSpec>;
/// A schedule that creates workflows.
pub type CronWorkflow = Object<CronWorkflowSpec, CronWorkflowStatus>;

/// Reads `value` as `T` the way Go's decoder does: a `null` member is an absent one.
///
/// Errors: a member of the wrong type, named by serde.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(without_nulls(value))
}

/// `value` with no `null` members anywhere.
pub fn without_nulls(mut value: Value) -> Value {
    drop_null_members(&mut value);
    value
}

fn drop_null_members(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(drop_null_members);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_null_members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
