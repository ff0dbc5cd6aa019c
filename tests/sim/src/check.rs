//! The invariants, named as in the architecture.

use std::{collections::BTreeMap, time::Duration};

use argosy_api::{
    ArcStr,
    message::StatusChanged,
    v1alpha1::{NodePhase, NodeStatus, NodeType, Workflow, WorkflowPhase},
};
use argosy_bus::Message;
use argosy_testkit::{compare, world::Folded};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;
use tokio::time::Instant;

use crate::node::Played;

/// What was seen of one workflow's object.
#[derive(Debug, Default)]
pub struct Watch {
    phases: BTreeMap<ArcStr, NodePhase>,
    phase: WorkflowPhase,
    /// When the object first said that it has ended.
    pub completed: Option<Instant>,
    pub last: Workflow,
    /// Nodes that wait without saying why, and since when.
    silent: BTreeMap<ArcStr, Instant>,
}

/// Bytes of an object that etcd still takes.
const OBJECT_BYTES_MAX: usize = 1_500_000;
/// So long a node may wait without a reason, once nothing goes wrong.
const SILENCE: Duration = Duration::from_secs(120);

impl Watch {
    /// A new sight of the object; from `calm_at` on nothing goes wrong by itself. Answers what is wrong with it.
    pub fn see(&mut self, object: Workflow, calm_at: Instant) -> Vec<String> {
        let mut broken = self.silence(&object, calm_at);
        let bytes = serde_json::to_string(&object).map_or(0, |text| text.len());
        if bytes > OBJECT_BYTES_MAX {
            broken.push(format!("S13: the object of {} has {bytes} bytes", object.metadata.name));
        }
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

    /// L2: nothing waits without a recorded reason.
    pub fn silence(&mut self, object: &Workflow, calm_at: Instant) -> Vec<String> {
        let now = Instant::now();
        let mut broken = Vec::new();
        for (name, since) in &self.silent {
            let waited = now.saturating_duration_since((*since).max(calm_at));
            if waited > SILENCE {
                broken.push(format!("L2: node {name} waited for {} s and did not say why", waited.as_secs()));
            }
        }
        let is_silent = |node: &&NodeStatus| node.phase == NodePhase::Pending && node.message.is_empty();
        let before = std::mem::take(&mut self.silent);
        for node in object.status.nodes.values().filter(is_silent) {
            let since = before.get(&node.name).copied().unwrap_or(now);
            self.silent.insert(node.name.clone(), since);
        }
        broken
    }
}

/// L1: a workflow that ends does so in time.
pub fn in_time(watch: &Watch, until: Instant) -> Vec<String> {
    let late = watch.completed.map(|end| end.saturating_duration_since(until)).filter(|late| !late.is_zero());
    late.map(|late| format!("L1: workflow {} ended {} s too late", watch.last.metadata.name, late.as_secs()))
        .into_iter()
        .collect()
}

/// What only the whole run shows: the end compared with the engine's own, and the pods' order.
///
/// Without a `reference` there is nothing to compare with; without `events` they were lost. `late` is for how long after the
/// end a pod may still come: of a terminated workflow, out of a process that was frozen when it was about to create it. That
/// it goes again is L3.
pub fn at_end(
    watch: &Watch,
    reference: Option<&Value>,
    pods: &[Played],
    events: Option<&[Message]>,
    late: Duration,
) -> Vec<String> {
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
    let differences = reference.map(|reference| compare::diff(reference, &actual)).unwrap_or_default();
    let mut broken: Vec<String> = differences
        .iter()
        .map(|d| format!("S7: workflow {name} ended otherwise than the engine alone: {}", d.short()))
        .collect();
    let own: Vec<&Played> = pods.iter().filter(|p| p.workflow == *name).collect();
    broken.extend(order(object, &own));
    broken.extend(parallelism(object, &own));
    for pod in own {
        if watch.completed.is_some_and(|end| pod.created > end + late) {
            broken.push(format!("S1: a pod for node {} was created after the end", pod.node_name));
        }
    }
    broken.extend(events.map(|events| folded(object, events)).unwrap_or_default());
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

/// S11: no finalizer of ours outlives its work, and all work has ended.
pub fn finalizers(metadata: &ObjectMeta) -> Vec<String> {
    let all = metadata.finalizers.iter().flatten();
    let ours = all.filter(|text| text.contains("argo"));
    ours.map(|text| format!("S11: {} still has the finalizer {text}", metadata.name.as_deref().unwrap_or_default()))
        .collect()
}

/// S13: the API is written to for what happens, not more. Without faults that is nearly exact; each fault may repeat some.
pub fn budget(writes: u64, workflows: u64, pods: u64, faults: u64) -> Vec<String> {
    let allowed = 4 * workflows + 4 * pods + 4 * faults;
    if writes > allowed {
        return vec![format!(
            "S13: {writes} writes to the API for {pods} pods under {faults} faults, {allowed} are allowed"
        )];
    }
    Vec::new()
}

/// L3: pods of a terminated workflow are gone in time.
pub fn terminated(name: &str, pods: &[Played], deadline: Instant) -> Vec<String> {
    let alive = |pod: &&Played| pod.workflow == name && pod.ended.is_none_or(|ended| ended > deadline);
    pods.iter()
        .filter(alive)
        .map(|pod| format!("L3: the pod of {} outlived the termination of {name}", pod.node_name))
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_object_past_the_limit_is_found() {
        let mut object = Workflow::default();
        assert_eq!(Watch::default().see(object.clone(), Instant::now()), Vec::<String>::new());
        object.status.message = "x".repeat(OBJECT_BYTES_MAX);
        assert!(Watch::default().see(object, Instant::now())[0].starts_with("S13"));
    }
}
