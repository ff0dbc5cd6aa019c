//! What a step changed, for EVENTS.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arcstr::ArcStr;
use argosy_api::{
    labels,
    message::{ChangedNodes, Growth, NodeList, SCHEMA, StatusChanged, WorkflowDelta},
    v1alpha1::{Condition, NodeStatus, WorkflowPhase},
};
use foldhash::fast::RandomState;
use indexmap::{IndexMap, IndexSet};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Workflow, size};

/// Members of the object that the step in hand has changed.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    /// In the order of their first change.
    pub nodes: IndexSet<ArcStr, RandomState>,
    /// Places of nodes with new children, and how many they had before.
    pub parents: IndexMap<usize, usize, RandomState>,
    /// Nodes that ended with outbound nodes.
    pub outbound: BTreeSet<ArcStr>,
    pub removed: Vec<ArcStr>,
    pub fields: BTreeSet<Field>,
    pub labels: BTreeMap<String, Option<String>>,
    pub annotations: BTreeMap<String, Option<String>>,
    pub unsuspended: bool,
    pub completed: bool,
}

/// Members of `status` besides its nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    Phase,
    StartedAt,
    FinishedAt,
    Message,
    Progress,
    Outputs,
    Conditions,
    StoredTemplates,
    StoredSpec,
    Claims,
    ResourcesDuration,
}

impl Workflow {
    pub(crate) fn set_label(&mut self, key: &str, value: &str) {
        if self.object.metadata.labels.get(key).is_none_or(|old| old != value) {
            self.object.metadata.labels.insert(key.to_owned(), value.to_owned());
            self.delta.labels.insert(key.to_owned(), Some(value.to_owned()));
        }
    }

    pub(crate) fn set_annotation(&mut self, key: &str, value: &str) {
        if self.object.metadata.annotations.get(key).is_none_or(|old| old != value) {
            self.object.metadata.annotations.insert(key.to_owned(), value.to_owned());
            self.delta.annotations.insert(key.to_owned(), Some(value.to_owned()));
        }
    }

    pub(crate) fn set_phase(&mut self, phase: WorkflowPhase, message: &str) {
        let status = &mut self.object.status;
        if status.phase != phase {
            status.phase = phase;
            self.delta.fields.insert(Field::Phase);
        }
        let message = size::cut(message);
        if status.message != message {
            status.message = message.into_owned();
            self.delta.fields.insert(Field::Message);
        }
        self.set_label(labels::PHASE, phase.as_str());
    }

    pub(crate) fn set_condition(&mut self, kind: &str, status: &str) {
        let conditions = &mut self.object.status.conditions;
        match conditions.iter_mut().find(|c| c.r#type == kind) {
            Some(condition) if condition.status == status => return,
            Some(condition) => condition.status = status.to_owned(),
            None => {
                conditions.push(Condition { r#type: kind.to_owned(), status: status.to_owned(), ..Default::default() })
            }
        }
        self.delta.fields.insert(Field::Conditions);
    }

    /// Says in a condition what is wrong with the spec as it was edited; nothing when it is right again.
    pub(crate) fn set_spec_error(&mut self, error: Option<&str>) {
        const KIND: &str = "SpecError";
        let conditions = &mut self.object.status.conditions;
        let before = conditions.iter().position(|c| c.r#type == KIND);
        let condition = error.map(|error| Condition {
            r#type: KIND.to_owned(),
            status: "True".to_owned(),
            message: format!("{error}. The workflow goes on by its spec before that edit"),
        });
        match (before, condition) {
            (None, None) => return,
            (Some(index), None) => _ = conditions.remove(index),
            (Some(index), Some(condition)) if conditions[index] == condition => return,
            (Some(index), Some(condition)) => conditions[index] = condition,
            (None, Some(condition)) => conditions.push(condition),
        }
        self.delta.fields.insert(Field::Conditions);
    }

    /// Ends the workflow when what the step put into its status outside the nodes does not fit into a message.
    pub(crate) fn check_fields(&mut self) {
        const LARGE: [Field; 3] = [Field::Outputs, Field::StoredTemplates, Field::StoredSpec];
        let changed: Vec<Field> = LARGE.into_iter().filter(|field| self.delta.fields.contains(field)).collect();
        if changed.is_empty() {
            return;
        }
        let bytes: usize = changed.iter().map(|field| size::of(&self.field(*field).1)).sum();
        let limit = self.plan.config().message_bytes_max;
        if bytes <= limit {
            return;
        }
        for field in changed {
            self.delta.fields.remove(&field);
            match field {
                Field::Outputs => self.object.status.outputs = None,
                Field::StoredTemplates => self.object.status.stored_templates.clear(),
                _ => self.object.status.stored_workflow_template_spec = None,
            }
        }
        let message = format!(
            "global outputs and templates in the status take {bytes} bytes, of {limit} at most. {}",
            size::ADVICE
        );
        self.drop_new_nodes();
        self.complete(WorkflowPhase::Error, &message);
    }

    /// The member of the status that follows from the nodes: progress.
    pub(crate) fn finish_status(&mut self) {
        if self.delta.nodes.is_empty() && self.delta.fields.is_empty() {
            return;
        }
        let progress = self.progress.to_string();
        if self.object.status.progress != progress {
            self.object.status.progress = progress;
            self.delta.fields.insert(Field::Progress);
        }
    }

    pub(crate) fn take_delta(&mut self, sequence: u64) -> Option<StatusChanged> {
        let delta = std::mem::take(&mut self.delta);
        let grown = self.growth(&delta);
        let nodes: ChangedNodes = delta.nodes.iter().filter_map(|id| self.without_lists(id)).collect();
        let status: Map<String, Value> = delta.fields.iter().map(|field| self.field(*field)).collect();
        let whole =
            !status.is_empty() || !delta.labels.is_empty() || !delta.annotations.is_empty() || delta.unsuspended;
        if nodes.is_empty() && grown.is_empty() && delta.removed.is_empty() && !whole {
            return None;
        }
        let meta = &self.object.metadata;
        Some(StatusChanged {
            schema: SCHEMA,
            at: self.clock.now(),
            namespace: meta.namespace.clone(),
            workflow: meta.name.clone(),
            workflow_uid: meta.uid.clone(),
            observed_sequence: sequence,
            last: true,
            nodes,
            grown,
            removed_nodes: delta.removed,
            workflow_status: whole.then(|| WorkflowDelta {
                status: if status.is_empty() { Value::Null } else { Value::Object(status) },
                labels: delta.labels,
                annotations: delta.annotations,
                spec: if delta.unsuspended { serde_json::json!({"suspend": null}) } else { Value::Null },
                completed: delta.completed,
            }),
        })
    }

    /// The node as it is published: lists that may be long go by their growth.
    fn without_lists(&mut self, id: &str) -> Option<Arc<NodeStatus>> {
        let nodes = &mut self.object.status.nodes;
        let node = nodes.snapshot(id)?;
        if node.children.is_empty() && node.outbound_nodes.is_empty() {
            return Some(node);
        }
        drop(node);
        let node = nodes.get_mut(id)?;
        let lists = (std::mem::take(&mut node.children), std::mem::take(&mut node.outbound_nodes));
        let published = node.clone();
        (node.children, node.outbound_nodes) = lists;
        Some(Arc::new(published))
    }

    fn growth(&mut self, delta: &Delta) -> Vec<Growth> {
        let mut grown = Vec::with_capacity(delta.parents.len() + delta.outbound.len());
        for (place, before) in &delta.parents {
            let Some(node) = self.object.status.nodes.at(*place) else { continue };
            // What others made of a list of before is not known: the first time it is told whole.
            let is_untold = !self.untold.is_empty() && self.untold.remove(&node.id);
            let from = if is_untold { 0 } else { *before };
            let ids = node.children.get(from..).unwrap_or_default().to_vec();
            grown.push(Growth { node: node.id.clone(), list: NodeList::Children, from, ids });
        }
        for id in &delta.outbound {
            let ids = self.node(id).map(|n| n.outbound_nodes.clone()).unwrap_or_default();
            grown.push(Growth { node: id.clone(), list: NodeList::OutboundNodes, from: 0, ids });
        }
        grown
    }

    fn field(&self, field: Field) -> (String, Value) {
        let status = &self.object.status;
        let (name, value) = match field {
            Field::Phase => ("phase", json(&status.phase)),
            Field::StartedAt => ("startedAt", json(&status.started_at)),
            Field::FinishedAt => ("finishedAt", json(&status.finished_at)),
            // An empty text would stay in the object: null takes the member away.
            Field::Message if status.message.is_empty() => ("message", Value::Null),
            Field::Message => ("message", json(&status.message)),
            Field::Progress => ("progress", json(&status.progress)),
            Field::Outputs => ("outputs", json(&status.outputs)),
            Field::Conditions => ("conditions", json(&status.conditions)),
            Field::StoredTemplates => ("storedTemplates", json(&status.stored_templates)),
            Field::StoredSpec => ("storedWorkflowTemplateSpec", json(&status.stored_workflow_template_spec)),
            Field::Claims => ("persistentVolumeClaims", json(&status.persistent_volume_claims)),
            Field::ResourcesDuration => ("resourcesDuration", json(&status.resources_duration)),
        };
        (name.to_owned(), value)
    }
}

/// The same as text.
pub(crate) fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Our own types always have a JSON form: their keys are strings, their numbers finite.
pub(crate) fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}
