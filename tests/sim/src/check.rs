//! The invariants, named as in the architecture.

use std::collections::BTreeMap;

use argosy_api::{
    message::StatusChanged,
    v1alpha1::{NodePhase, NodeType, Workflow, WorkflowPhase},
};
use argosy_bus::Message;
use argosy_testkit::{compare, world::Folded};
use serde_json::Value;
use tokio::time::Instant;

use crate::node::Played;

/// What was seen of one workflow's object.
#[derive(Debug, Default)]
pub struct Watch {
    phases: BTreeMap<String, NodePhase>,
    phase: WorkflowPhase,
    /// When the object first said that it has ended.
    pub completed: Option<Instant>,
    pub last: Workflow,
}

impl Watch {
    /// A new sight of the object. Answers what is wrong with it.
    pub fn see(&mut self, object: Workflow) -> Vec<String> {
        let mut broken = Vec::new();
        let name = &object.metadata.name;
        for node in object.status.nodes.values() {
            let before = self.phases.insert(node.id.clone(), node.phase).unwrap_or_default();
            if before.is_fulfilled() && before != node.phase {
                broken.push(format!("S2: node {} went from {before} to {}", node.name, node.phase));
            }
            if before == NodePhase::Running && node.phase == NodePhase::Pending {
                broken.push(format!("S2: node {} went from {before} back to {}", node.name, node.phase));
            }
        }
        for id in self.phases.keys().filter(|id| !object.status.nodes.contains_key(id)) {
            broken.push(format!("S2: node {id} of {name} is gone"));
        }
        if self.phase.is_completed() && self.phase != object.status.phase {
            broken.push(format!("S2: workflow {name} went from {} to {}", self.phase, object.status.phase));
        }
        self.phase = object.status.phase;
        if self.phase.is_completed() {
            self.completed.get_or_insert_with(Instant::now);
        }
        self.last = object;
        broken
    }
}

/// What only the whole run shows: the end compared with the engine's own, and the pods' order.
pub fn at_end(watch: &Watch, reference: &Value, pods: &[Played], events: &[Message]) -> Vec<String> {
    let object = &watch.last;
    let name = &object.metadata.name;
    if watch.completed.is_none() {
        return vec![format!(
            "L1: workflow {name} has not ended; it is {} at {}",
            object.status.phase,
            waits_for(object)
        )];
    }
    let actual = serde_json::to_value(object).unwrap_or_default();
    let mut broken: Vec<String> = compare::diff(reference, &actual)
        .iter()
        .map(|d| format!("S7: workflow {name} ended otherwise than the engine alone: {}", d.short()))
        .collect();
    let own: Vec<&Played> = pods.iter().filter(|p| p.workflow == *name).collect();
    broken.extend(order(object, &own));
    broken.extend(parallelism(object, &own));
    for pod in own {
        if watch.completed.is_some_and(|end| pod.created > end) {
            broken.push(format!("S1: a pod for node {} was created after the end", pod.node_name));
        }
    }
    broken.extend(folded(object, events));
    broken
}

fn waits_for(object: &Workflow) -> String {
    let open = object.status.nodes.values().filter(|n| !n.phase.is_fulfilled() && n.r#type.executes());
    let open: Vec<String> = open.map(|n| format!("{} ({})", n.name, n.phase)).collect();
    if open.is_empty() { "no pod".to_owned() } else { open.join(", ") }
}

/// S4: a pod comes after those before it in the graph have ended. S8: so do attempts.
fn order(object: &Workflow, pods: &[&Played]) -> Vec<String> {
    let by_node: BTreeMap<&str, &Played> = pods.iter().map(|p| (p.node_id.as_str(), *p)).collect();
    let mut broken = Vec::new();
    let mut before = |first: &str, second: &str| {
        if let (Some(first), Some(second)) = (by_node.get(first), by_node.get(second))
            && first.ended.is_none_or(|ended| ended > second.created)
        {
            broken
                .push(format!("S4: the pod of {} came before that of {} had ended", second.node_name, first.node_name));
        }
    };
    for node in object.status.nodes.values() {
        match node.r#type {
            NodeType::Retry => node.children.windows(2).for_each(|pair| before(&pair[0], &pair[1])),
            _ => node.children.iter().for_each(|child| before(&node.id, child)),
        }
    }
    broken
}

/// S6: never more pods at once than `spec.parallelism`.
fn parallelism(object: &Workflow, pods: &[&Played]) -> Vec<String> {
    let Some(limit) = object.spec.parallelism else {
        return Vec::new();
    };
    let lives_at = |pod: &Played, at: Instant| pod.created <= at && pod.ended.is_none_or(|ended| ended > at);
    let most = pods.iter().map(|one| pods.iter().filter(|p| lives_at(p, one.created)).count()).max().unwrap_or(0);
    if i64::try_from(most).unwrap_or(i64::MAX) > limit {
        return vec![format!("S6: {most} pods of {} at once, {limit} are allowed", object.metadata.name)];
    }
    Vec::new()
}

/// S7: the object is what the published events add up to. Repeats of older steps are passed over, as `docs/events.md`
/// tells subscribers to.
fn folded(object: &Workflow, events: &[Message]) -> Vec<String> {
    let mut folded = Folded::default();
    let mut newest = 0;
    for message in events {
        let Ok(change) = serde_json::from_slice::<StatusChanged>(&message.payload) else {
            continue;
        };
        if change.workflow_uid == object.metadata.uid && change.observed_sequence >= newest {
            newest = change.observed_sequence;
            folded.apply(&change);
        }
    }
    folded.differences(object)
}
