//! The status as someone has it who only reads the published changes.

use std::collections::BTreeMap;

use argosy_api::{
    ArcStr,
    message::{NodeList, StatusChanged},
    v1alpha1::{NodeStatus, Workflow},
};
use serde_json::{Map, Value, json};

/// The fold of all changes so far.
#[derive(Clone, Debug, Default)]
pub struct Folded {
    status: Value,
    nodes: BTreeMap<ArcStr, NodeStatus>,
}

impl Folded {
    /// Takes one change in.
    pub fn apply(&mut self, changed: &StatusChanged) {
        for id in &changed.removed_nodes {
            self.nodes.remove(id);
        }
        for node in &changed.nodes {
            let mut node = NodeStatus::clone(node);
            if let Some(before) = self.nodes.remove(&node.id) {
                (node.children, node.outbound_nodes) = (before.children, before.outbound_nodes);
            }
            self.nodes.insert(node.id.clone(), node);
        }
        for growth in &changed.grown {
            let node = self.nodes.entry(growth.node.clone()).or_default();
            growth.apply(match growth.list {
                NodeList::Children => &mut node.children,
                NodeList::OutboundNodes => &mut node.outbound_nodes,
            });
        }
        if let Some(delta) = &changed.workflow_status {
            merge(&mut self.status, &delta.status);
        }
    }

    /// Invariant S7: where the fold differs from the object's own status, in words.
    pub fn differences(&self, object: &Workflow) -> Vec<String> {
        let mut status = json!(object.status);
        if let Some(status) = status.as_object_mut() {
            status.remove("nodes");
        }
        let mut found = Vec::new();
        let empty = Map::new();
        let nodes = &object.status.nodes;
        for id in nodes.keys().chain(self.nodes.keys().filter(|id| !nodes.contains_key(id))) {
            if nodes.get(id) != self.nodes.get(id) {
                let fields = fields_that_differ(nodes.get(id), self.nodes.get(id)).join(", ");
                found.push(format!("S7: node {id} is not the fold of the events: {fields}"));
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

/// The fields of a node that are not as the events say, each with both values.
fn fields_that_differ(node: Option<&NodeStatus>, folded: Option<&NodeStatus>) -> Vec<String> {
    let (node, folded) = (json!(node), json!(folded));
    let empty = Map::new();
    let (node, folded) = (node.as_object().unwrap_or(&empty), folded.as_object().unwrap_or(&empty));
    let keys = node.keys().chain(folded.keys().filter(|key| !node.contains_key(*key)));
    let text = |value: Option<&Value>| value.map_or("absent".to_owned(), Value::to_string);
    let differ = keys.filter(|key| node.get(*key) != folded.get(*key));
    differ.map(|key| format!("{key} is {}, the events say {}", text(node.get(key)), text(folded.get(key)))).collect()
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
