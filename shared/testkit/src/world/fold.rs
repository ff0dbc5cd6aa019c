//! The status as someone has it who only reads the published changes.

use argosy_api::{message::StatusChanged, v1alpha1::Workflow};
use serde_json::{Map, Value, json};

/// The fold of all changes so far.
#[derive(Clone, Debug, Default)]
pub struct Folded {
    status: Value,
    nodes: Map<String, Value>,
}

impl Folded {
    /// Takes one change in.
    pub fn apply(&mut self, changed: &StatusChanged) {
        for (id, node) in &changed.nodes {
            self.nodes.insert(id.clone(), json!(node));
        }
        for id in &changed.removed_nodes {
            self.nodes.remove(id);
        }
        if let Some(delta) = &changed.workflow_status {
            merge(&mut self.status, &delta.status);
        }
    }

    /// Invariant S7: where the fold differs from the object's own status, in words.
    pub fn differences(&self, object: &Workflow) -> Vec<String> {
        let mut status = json!(object.status);
        let nodes = status.as_object_mut().and_then(|s| s.remove("nodes")).unwrap_or_else(|| json!({}));
        let mut found = Vec::new();
        let empty = Map::new();
        let nodes = nodes.as_object().unwrap_or(&empty);
        for id in nodes.keys().chain(self.nodes.keys().filter(|id| !nodes.contains_key(*id))) {
            if nodes.get(id) != self.nodes.get(id) {
                found.push(format!("S7: node {id} is not the fold of the events"));
            }
        }
        let fields = status.as_object().unwrap_or(&empty);
        for (key, value) in fields {
            if !same(value, &self.status[key]) {
                found.push(format!("S7: status.{key} is {value}, the events say {}", self.status[key]));
            }
        }
        found
    }
}

/// Equal, where an absent member of the fold may be an empty one.
fn same(value: &Value, folded: &Value) -> bool {
    value == folded || (folded.is_null() && matches!(value, Value::Object(o) if o.is_empty()))
}

/// RFC 7386.
pub fn merge(target: &mut Value, patch: &Value) {
    match patch {
        Value::Object(patch) => {
            if !target.is_object() {
                *target = json!({});
            }
            if let Some(target) = target.as_object_mut() {
                for (key, value) in patch {
                    if value.is_null() {
                        target.remove(key);
                    } else {
                        merge(target.entry(key.clone()).or_insert(Value::Null), value);
                    }
                }
            }
        }
        Value::Null => {}
        value => *target = value.clone(),
    }
}
