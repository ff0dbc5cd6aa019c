//! Workflow objects as people see them: whole, or as far as they can be read.

use argosy_api::v1alpha1::{self as v1, Workflow, WorkflowPhase};
use argosy_objects::api::offloaded_version;
use kube::api::DynamicObject;
use serde_json::Value;

use crate::{
    error::{Error, Warn, Warning},
    nodes,
};

/// The object as JSON, without the bookkeeping of field managers; the nodes of a large status decompressed.
///
/// Errors: compressed nodes that are not what they should be, or more than can be shown.
pub fn value(object: &DynamicObject) -> Result<Value, Error> {
    let mut value = serde_json::to_value(object)?;
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    if let Some(text) = compressed_nodes(object)
        && let Some(status) = value.get_mut("status").and_then(Value::as_object_mut)
    {
        let nodes = nodes::decompressed(text)?;
        status.remove("compressedNodes");
        status.insert("nodes".to_owned(), nodes);
    } else if let Some(version) = offloaded_version(object) {
        return Err(Error::NodesElsewhere { version: version.to_owned() });
    }
    Ok(value)
}

/// As [`value`]; where the nodes cannot be read without them, which is warned of.
pub fn shown(object: &DynamicObject, warn: Warn<'_>) -> Result<Value, Error> {
    let error = match value(object) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    warn(Warning { workflow: object.metadata.name.as_deref().unwrap_or_default(), without_nodes: &error });
    let mut object = object.clone();
    if let Some(status) = object.data.get_mut("status").and_then(Value::as_object_mut) {
        status.remove("compressedNodes");
        status.remove("offloadNodeStatusVersion");
    }
    value(&object)
}

/// A workflow that stands for an object that is none, in lists.
pub fn unreadable(item: &Value, why: &str) -> Workflow {
    let text = |path| item.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut workflow = Workflow::default();
    (workflow.metadata.name, workflow.metadata.namespace) = (text("/metadata/name"), text("/metadata/namespace"));
    workflow.status.phase = WorkflowPhase::Error;
    workflow.status.message = format!("the object cannot be read: {why}");
    workflow
}

/// The nodes of a large status, as the object has them.
pub fn compressed_nodes(object: &DynamicObject) -> Option<&str> {
    object.data.pointer("/status/compressedNodes").and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The object as a workflow. Errors: it is none, where somebody wrote past all checks.
pub fn workflow(object: &DynamicObject) -> Result<Workflow, Error> {
    Ok(v1::from_value(value(object)?)?)
}

/// The object as a workflow to show or to stop; of one that cannot be read whole, what can be read.
///
/// Errors: its metadata cannot be read either.
pub fn readable(object: &DynamicObject, warn: Warn<'_>) -> Result<Workflow, Error> {
    readable_value(&shown(object, warn)?)
}

/// As [`readable`], of JSON.
pub fn readable_value(value: &Value) -> Result<Workflow, Error> {
    let mut rest = value.clone();
    for member in ["spec", "status.nodes", "status"] {
        match v1::from_value(rest.clone()) {
            Ok(workflow) => return Ok(workflow),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "left out the {member} of a workflow");
            }
        }
        let (outer, last) = member.split_once('.').unwrap_or(("", member));
        let outer = if outer.is_empty() { Some(&mut rest) } else { rest.get_mut(outer) };
        if let Some(members) = outer.and_then(Value::as_object_mut) {
            members.remove(last);
        }
    }
    Ok(v1::from_value(rest)?)
}
