//! What is told of a change of a workflow.

use std::{cmp::Reverse, collections::BTreeMap};

use argosy_api::message::StatusChanged;
use argosy_api::names::{self, PodNameVersion};
use argosy_api::v1alpha1::{NodePhase, NodeStatus, NodeType};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use uuid::Uuid;

/// Who tells it.
const COMPONENT: &str = "argosy";
/// What is told of a node that has begun.
const RUNNING: &str = "WorkflowNodeRunning";
/// Longest message of an Event, in bytes. Source: Kubernetes' validation of Events.
const MESSAGE_BYTES_MAX: usize = 1024;
/// Longest part of a workflow's name in the name of an Event, whose own limit is 253 bytes.
const NAME_BYTES_MAX: usize = 200;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub reason: String,
    pub message: String,
    pub is_warning: bool,
    /// The node that it happened to; `None` for the workflow as a whole.
    pub node: Option<NoteOf>,
}

/// A node that something happened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoteOf {
    pub id: String,
    pub name: String,
    pub kind: String,
    pub started_at: Option<Timestamp>,
    /// The name of its pod, where it has one.
    pub pod: Option<String>,
}

/// What an Event is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum About<'a> {
    Workflow,
    /// The node's pod, with its uid.
    Pod {
        name: &'a str,
        uid: &'a str,
    },
}

/// What happened to the workflow itself, and what to its nodes, in this order.
/// Source: Argo's reasons `WorkflowRunning`, `WorkflowSucceeded`, `WorkflowFailed` (of errors, too), and `WorkflowNode` with
/// the phase.
pub(crate) fn of(change: &StatusChanged) -> Vec<Note> {
    let own = change.workflow_status.as_ref().and_then(|delta| of_workflow(&delta.status));
    let mut nodes: Vec<_> = change.nodes.iter().collect();
    nodes.sort_by_cached_key(|node| order(node));
    let nodes = nodes.into_iter().filter_map(|node| of_node(&change.workflow, node));
    // It begins before its nodes do, and ends after them.
    let (first, last) =
        if own.as_ref().is_some_and(|note| note.reason == "WorkflowRunning") { (own, None) } else { (None, own) };
    first.into_iter().chain(nodes).chain(last).collect()
}

/// In which order what happened to nodes is told: by its moment, and what holds others begins before them and ends after.
fn order(node: &NodeStatus) -> (Option<Timestamp>, bool, Reverse<usize>, String) {
    let has_ended = node.phase.is_fulfilled();
    let at = if has_ended { node.finished_at } else { node.started_at };
    let depth = if has_ended { node.name.len() } else { usize::MAX - node.name.len() };
    (at.map(|at| at.0), has_ended, Reverse(depth), node.name.to_string())
}

fn of_workflow(status: &serde_json::Value) -> Option<Note> {
    let text = |field: &str| status.get(field).and_then(serde_json::Value::as_str).filter(|text| !text.is_empty());
    let (reason, usual) = match text("phase")? {
        "Running" => ("WorkflowRunning", "Workflow Running"),
        "Succeeded" => ("WorkflowSucceeded", "Workflow completed"),
        "Failed" => ("WorkflowFailed", "Workflow failed"),
        "Error" => ("WorkflowFailed", "Workflow ended with an error"),
        _ => return None,
    };
    let is_warning = reason == "WorkflowFailed";
    let message = text("message").filter(|_| is_warning).unwrap_or(usual);
    Some(Note { reason: reason.to_owned(), message: message.to_owned(), is_warning, node: None })
}

fn of_node(workflow: &str, node: &NodeStatus) -> Option<Note> {
    let is_warning = match node.phase {
        NodePhase::Running | NodePhase::Succeeded => false,
        NodePhase::Failed | NodePhase::Error => true,
        NodePhase::Unknown | NodePhase::Pending | NodePhase::Skipped | NodePhase::Omitted => return None,
    };
    let mut message = format!("{} node {}", node.phase, node.name);
    if !node.message.is_empty() {
        message = format!("{message}: {}", node.message);
    }
    let template = if node.template_name.is_empty() {
        node.template_ref.as_ref().map_or("", |reference| reference.template.as_str())
    } else {
        &node.template_name
    };
    let pod = || names::pod_name(workflow, &node.name, template, &node.id, PodNameVersion::V2);
    let node_of = NoteOf {
        id: node.id.to_string(),
        name: node.name.to_string(),
        kind: node.r#type.to_string(),
        started_at: node.started_at.map(|at| at.0),
        pod: (node.r#type == NodeType::Pod).then(pod),
    };
    Some(Note { reason: format!("WorkflowNode{}", node.phase), message, is_warning, node: Some(node_of) })
}

impl Note {
    /// The Event; `index` says where it is among those of the change. The same change gives one of the same name, so that it
    /// is created once however often it is told. Names are in the order of time: clients sort by seconds, and take what is
    /// of the same second as the API lists it, by name.
    pub fn event(self, change: &StatusChanged, index: usize, about: About<'_>) -> Event {
        let id = self.node.as_ref().map_or("", |node| node.id.as_str());
        let fact = format!("{}/{}/{id}/{}", change.workflow_uid, change.observed_sequence, self.reason);
        let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, fact.as_bytes()).simple().to_string();
        let (workflow, nanoseconds) = (cut(&change.workflow, NAME_BYTES_MAX), change.at.as_nanosecond());
        let name = format!("{workflow}.{nanoseconds:016x}.{index:05}.{}", &hash[..8]);
        let annotations = self.node.map(|node| node.annotations(change, about));
        let involved = match about {
            About::Workflow => ["argoproj.io/v1alpha1", "Workflow", &change.workflow, &change.workflow_uid],
            About::Pod { name, uid } => ["v1", "Pod", name, uid],
        };
        let [api_version, kind, involved_name, uid] = involved.map(|text| Some(text.to_owned()));
        let at = Time(change.at);
        Event {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(change.namespace.clone()),
                annotations,
                ..ObjectMeta::default()
            },
            involved_object: ObjectReference {
                api_version,
                kind,
                namespace: Some(change.namespace.clone()),
                name: involved_name,
                uid,
                ..ObjectReference::default()
            },
            type_: Some(if self.is_warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(self.reason),
            message: Some(cut(&self.message, MESSAGE_BYTES_MAX).to_owned()),
            source: Some(EventSource { component: Some(COMPONENT.to_owned()), host: None }),
            reporting_component: Some(COMPONENT.to_owned()),
            first_timestamp: Some(at.clone()),
            last_timestamp: Some(at),
            count: Some(1),
            ..Event::default()
        }
    }
}

impl NoteOf {
    /// Source: Argo `recordNodePhaseEvent`. The start is in nanoseconds since 1970.
    fn annotations(self, change: &StatusChanged, about: About<'_>) -> BTreeMap<String, String> {
        let mut known = vec![("node-id", self.id), ("node-name", self.name), ("node-type", self.kind)];
        known.extend(self.started_at.map(|at| ("node-start-time", at.as_nanosecond().to_string())));
        if let About::Pod { .. } = about {
            known.extend([("workflow-name", change.workflow.clone()), ("workflow-uid", change.workflow_uid.clone())]);
        }
        known.into_iter().map(|(key, value)| (format!("workflows.argoproj.io/{key}"), value)).collect()
    }
}

impl Note {
    /// What is told first of a node that ended before anybody told that it runs. Source: Argo `recordNodePhaseChangeEvents`.
    pub fn running_before(&self) -> Option<Self> {
        let node = self.node.clone().filter(|_| self.reason != RUNNING)?;
        let message = format!("Running node {}", node.name);
        Some(Self { reason: RUNNING.to_owned(), message, is_warning: false, node: Some(node) })
    }
}

/// The beginning of a text, at most so many bytes, whole characters.
fn cut(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(value: serde_json::Value) -> StatusChanged {
        serde_json::from_value(value).expect("a change")
    }

    fn told(change: &StatusChanged) -> Vec<(String, String, bool)> {
        of(change).into_iter().map(|note| (note.reason, note.message, note.is_warning)).collect()
    }

    fn note(reason: &str, message: &str, is_warning: bool) -> (String, String, bool) {
        (reason.to_owned(), message.to_owned(), is_warning)
    }

    #[test]
    fn phases_of_a_workflow_and_of_its_nodes_are_told_in_order() {
        let node = |id: &str, phase: &str, message: &str| json!({"id": id, "name": format!("wf.{id}"), "type": "Pod", "phase": phase, "message": message});
        let begun = change(json!({
            "workflowStatus": {"status": {"phase": "Running", "startedAt": "2026-01-02T03:04:05Z"}},
            "nodes": {"a": node("a", "Pending", ""), "b": node("b", "Running", ""), "c": node("c", "Skipped", "when")},
        }));
        let running = note("WorkflowRunning", "Workflow Running", false);
        assert_eq!(told(&begun), [running, note("WorkflowNodeRunning", "Running node wf.b", false)]);
        let ended = change(json!({
            "workflowStatus": {"status": {"phase": "Error", "message": "child 'b' failed"}, "completed": true},
            "nodes": {"b": node("b", "Failed", "exit code 1"), "d": node("d", "Succeeded", "")},
        }));
        let expected = [
            note("WorkflowNodeFailed", "Failed node wf.b: exit code 1", true),
            note("WorkflowNodeSucceeded", "Succeeded node wf.d", false),
            note("WorkflowFailed", "child 'b' failed", true),
        ];
        assert_eq!(told(&ended), expected);
        // A change that leaves the phases as they are.
        assert_eq!(told(&change(json!({"workflowStatus": {"status": {"progress": "1/2"}}}))), []);
    }

    #[test]
    fn what_holds_others_begins_before_them_and_ends_after_and_names_are_in_this_order() {
        let node = |name: &str, phase: &str, second: u32| {
            json!({"id": name, "name": name, "type": "Pod", "phase": phase,
                "startedAt": "2026-01-02T03:04:05Z", "finishedAt": format!("2026-01-02T03:04:{second:02}Z")})
        };
        let change = change(json!({
            "namespace": "argo", "workflow": "w", "workflowUid": "u", "at": "2026-01-02T03:04:09Z",
            "nodes": {"a": node("w.b", "Running", 0), "b": node("w", "Running", 0), "c": node("w.a", "Succeeded", 9),
                "d": node("w.a.x", "Succeeded", 9), "e": node("w.z", "Failed", 8)},
        }));
        let messages: Vec<_> = told(&change).into_iter().map(|(_, message, _)| message).collect();
        let expected =
            ["Running node w", "Running node w.b", "Failed node w.z", "Succeeded node w.a.x", "Succeeded node w.a"];
        assert_eq!(messages, expected);
        let events =
            of(&change).into_iter().enumerate().map(|(index, note)| note.event(&change, index, About::Workflow));
        let names: Vec<_> = events.filter_map(|event| event.metadata.name).collect();
        assert!(names.is_sorted() && names.len() == 5, "{names:?}");
    }

    #[test]
    fn an_event_of_a_change_is_always_the_same() {
        let change = change(json!({
            "namespace": "argo", "workflow": "w".repeat(300), "workflowUid": "u", "observedSequence": 7,
            "nodes": {"a": {"id": "a", "name": "é".repeat(1_000), "type": "Pod", "phase": "Running"}},
        }));
        let make = || of(&change).remove(0).event(&change, 0, About::Workflow);
        let event = make();
        assert_eq!(event, make());
        assert!(event.metadata.name.as_deref().is_some_and(|name| name.len() <= 253), "{:?}", event.metadata.name);
        assert!(event.message.as_deref().is_some_and(|text| text.len() <= 1024));
        let annotations = event.metadata.annotations.expect("of a node");
        assert_eq!(annotations["workflows.argoproj.io/node-type"], "Pod");
    }
}
