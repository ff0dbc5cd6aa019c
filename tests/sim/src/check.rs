//! The invariants, named as in the architecture.
//!
//! S5 is in `locks.rs`. Not checked yet: S9 (a Secret is in no message, status or log), as nothing in this world reads one.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

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

use crate::{
    locks,
    node::{Played, Suspect},
};

/// What was seen of one workflow's object.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    phases: BTreeMap<ArcStr, NodePhase>,
    phase: WorkflowPhase,
    /// When the object first said that it has ended.
    pub completed: Option<Instant>,
    pub last: Workflow,
    /// When each node was first seen to have ended.
    ended: BTreeMap<ArcStr, Instant>,
    /// Nodes that wait without saying why, and since when.
    silent: BTreeMap<ArcStr, Instant>,
    /// Since when the workflow runs though nothing of it is under way.
    idle: Option<Instant>,
    /// How often it was retried.
    generation: u32,
    /// The most pods at once that any sight of it allowed; `None` once there was no limit.
    parallelism: Option<Option<i64>>,
    /// When the object first said that a holder has a lock, by both names.
    held: BTreeMap<(String, String), Instant>,
}

/// The annotation by which the world says how often it has retried a workflow: what was over is not over any more.
pub const GENERATION: &str = "sim/generation";

/// Bytes of an object that etcd still takes.
const OBJECT_BYTES_MAX: usize = 1_500_000;
/// In which a pod must end that was asked to, and how much longer it may take with us between.
pub const GRACE: Duration = Duration::from_secs(30 + 30);
/// How the message of a node begins whose pod was not seen to run before its deadline, or before somebody stopped it.
const GIVEN_UP: [&str; 2] = ["Step exceeded its deadline", "workflow shutdown with strategy"];
/// So long a node may wait without a reason, once nothing goes wrong.
const SILENCE: Duration = Duration::from_secs(120);

impl Watch {
    /// Whether the object had said by then that the node has ended.
    pub fn had_ended(&self, node: &str, at: Instant) -> bool {
        self.ended.get(node).is_some_and(|ended| *ended <= at)
    }

    /// Whether the object had said by then that the holder has the lock.
    pub fn had_lock(&self, lock: &str, holder: &str, at: Instant) -> bool {
        self.held.get(&(lock.to_owned(), holder.to_owned())).is_some_and(|since| *since <= at)
    }

    /// A new sight of the object; from `calm_at` on nothing goes wrong by itself. Answers what is wrong with it.
    pub fn see(&mut self, object: Workflow, calm_at: Instant) -> Vec<String> {
        let mut broken = self.silence(&object, calm_at);
        let bytes = serde_json::to_string(&object).map_or(0, |text| text.len());
        if bytes > OBJECT_BYTES_MAX {
            broken.push(format!("S13: the object of {} has {bytes} bytes", object.metadata.name));
        }
        let name = &object.metadata.name;
        let generation = object.metadata.annotations.get(GENERATION).and_then(|text| text.parse().ok()).unwrap_or(0);
        if generation != self.generation {
            self.generation = generation;
            self.phases.clear();
            self.ended.clear();
            self.phase = WorkflowPhase::default();
            self.completed = None;
        }
        let limit = object.spec.parallelism;
        self.parallelism = Some(match self.parallelism {
            None => limit,
            Some(before) => before.zip(limit).map(|(a, b)| a.max(b)),
        });
        for node in object.status.nodes.values() {
            if node.phase.is_fulfilled() {
                self.ended.entry(node.id.clone()).or_insert_with(Instant::now);
            }
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
        for (lock, holder) in locks::held(&object.status) {
            self.held.entry((lock, holder)).or_insert_with(Instant::now);
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
        if let Some(since) = self.idle {
            let waited = now.saturating_duration_since(since.max(calm_at));
            if waited > SILENCE {
                let name = &object.metadata.name;
                broken.push(format!("L2: {name} waited for {} s with nothing under way", waited.as_secs()));
            }
        }
        self.idle = is_idle(object).then(|| self.idle.unwrap_or(now));
        broken
    }

    /// How often it was retried.
    pub fn generation(&self) -> u32 {
        self.generation
    }
}

/// Whether the workflow runs and nothing of it is under way or waits for a reason that can be seen. So calls that are held
/// back, which are no nodes yet, are seen to be held by something.
fn is_idle(object: &Workflow) -> bool {
    let is_held = object.spec.suspend == Some(true) || object.spec.parallelism == Some(0);
    let is_under_way = |node: &NodeStatus| {
        !node.phase.is_fulfilled()
            && (node.r#type.executes() || node.r#type == NodeType::Suspend || !node.message.is_empty())
    };
    object.status.phase == WorkflowPhase::Running && !is_held && !object.status.nodes.values().any(is_under_way)
}

/// L1: a workflow that ends does so in time.
pub fn in_time(watch: &Watch, until: Instant) -> Vec<String> {
    let late = watch.completed.map(|end| end.saturating_duration_since(until)).filter(|late| !late.is_zero());
    late.map(|late| format!("L1: workflow {} ended {} s too late", watch.last.metadata.name, late.as_secs()))
        .into_iter()
        .collect()
}

/// With what a workflow's end is compared.
pub enum Reference<'a> {
    /// With nothing: it needed a hand.
    None,
    /// With how the engine alone ends it.
    Phase(&'a Value),
    /// With everything that the engine alone makes of it.
    All(&'a Value),
}

/// What only the whole run shows: the end compared with the engine's own, and the pods' order. Without
/// `events` they were lost. `losses`: when the bus was lost.
pub fn at_end(
    watch: &Watch,
    reference: &Reference<'_>,
    pods: &[Played],
    events: Option<&[Message]>,
    losses: &[Instant],
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
    let what = format!("S7: workflow {name} ended otherwise than the engine alone");
    let mut broken = match reference {
        Reference::None => Vec::new(),
        Reference::Phase(alone) if alone["status"]["phase"] == actual["status"]["phase"] => Vec::new(),
        Reference::Phase(alone) => {
            vec![format!("{what}: {} | {}", alone["status"]["phase"], actual["status"]["phase"])]
        }
        Reference::All(alone) => {
            compare::diff(alone, &actual).iter().map(|d| format!("{what}: {}", d.short())).collect()
        }
    };
    let own: Vec<&Played> = pods.iter().filter(|p| p.workflow_uid == object.metadata.uid).collect();
    broken.extend(order(watch, &own, losses));
    broken.extend(parallelism(watch, &own));
    broken.extend(own.iter().flat_map(|pod| identity(object, pod)));
    broken.extend(events.map(|events| folded(object, events)).unwrap_or_default());
    broken
}

/// Pods that came after the end of their workflow.
pub fn after_end(watch: &Watch, pods: &[Played]) -> Vec<Suspect> {
    let is_late = |pod: &&Played| {
        pod.workflow_uid == watch.last.metadata.uid && watch.completed.is_some_and(|end| pod.created > end)
    };
    let why = |pod: &Played| format!("S1: a pod for node {} was created after the end", pod.node_name);
    pods.iter().filter(is_late).map(|pod| Suspect { pod: pod.clone(), why: why(pod) }).collect()
}

/// S12: a pod's namespace and service account are those of its workflow.
fn identity(object: &Workflow, pod: &Played) -> Vec<String> {
    let account = |name: &str| if name.is_empty() { "default".to_owned() } else { name.to_owned() };
    let (wanted, got) = (account(&object.spec.service_account_name), account(&pod.service_account));
    let mut broken = Vec::new();
    if wanted != got {
        broken.push(format!("S12: the pod of {} runs as {got}, its workflow as {wanted}", pod.node_name));
    }
    if object.metadata.namespace != pod.namespace {
        broken.push(format!(
            "S12: the pod of {} is in {}, its workflow in {}",
            pod.node_name, pod.namespace, object.metadata.namespace
        ));
    }
    broken
}

/// S12: there are no pods of nobody. `uids` are those of all workflows.
pub fn owned(pods: &[Played], uids: &BTreeSet<String>) -> Vec<String> {
    let foreign = pods.iter().filter(|pod| !uids.contains(&pod.workflow_uid));
    foreign.map(|pod| format!("S12: the pod {}/{} is of no workflow", pod.namespace, pod.name)).collect()
}

fn waits_for(object: &Workflow) -> String {
    let open = object.status.nodes.values().filter(|n| !n.phase.is_fulfilled() && n.r#type.executes());
    let open: Vec<String> = open.map(|n| format!("{} ({})", n.name, n.phase)).collect();
    if open.is_empty() { "no pod".to_owned() } else { open.join(", ") }
}

/// S4: a pod comes after those before it in the graph have ended. S8: so do attempts. Not where a bus was lost between that
/// alone knew how the first had ended: that runs again, and the second is found where it was.
fn order(watch: &Watch, pods: &[&Played], losses: &[Instant]) -> Vec<String> {
    let object = &watch.last;
    let by_node: BTreeMap<&str, &Played> = pods.iter().map(|p| (p.node_id.as_str(), *p)).collect();
    let mut broken = Vec::new();
    let mut before = |first: &str, second: &str| {
        if let (Some(first), Some(second)) = (by_node.get(first), by_node.get(second))
            && first.ended.is_none_or(|ended| ended > second.created)
            && !losses.iter().any(|loss| {
                second.created <= *loss && *loss <= first.created && !watch.had_ended(&first.node_id, *loss)
            })
        {
            broken
                .push(format!("S4: the pod of {} came before that of {} had ended", second.node_name, first.node_name));
        }
    };
    for node in object.status.nodes.values() {
        match node.r#type {
            NodeType::Retry => node.children.windows(2).for_each(|pair| before(&pair[0], &pair[1])),
            // What depends on a daemon comes while it runs.
            _ if object.spec.templates.iter().any(|t| t.daemon == Some(true) && t.name == node.template_name) => {}
            // Given up while nothing was heard of its pod: as with Argo, nobody waits until that has ended.
            _ if GIVEN_UP.iter().any(|message| node.message.starts_with(message)) => {}
            _ => node.children.iter().for_each(|child| before(&node.id, child)),
        }
    }
    broken
}

/// S6: never more pods at once than `spec.parallelism`.
fn parallelism(watch: &Watch, pods: &[&Played]) -> Vec<String> {
    let Some(Some(limit)) = watch.parallelism else {
        return Vec::new();
    };
    let lives_at = |pod: &Played, at: Instant| pod.created <= at && pod.ended.is_none_or(|ended| ended > at);
    let most = pods.iter().map(|one| pods.iter().filter(|p| lives_at(p, one.created)).count()).max().unwrap_or(0);
    if i64::try_from(most).unwrap_or(i64::MAX) > limit {
        return vec![format!("S6: {most} pods of {} at once, {limit} are allowed", watch.last.metadata.name)];
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
pub fn terminated(workflow: &Workflow, pods: &[Played], deadline: Instant) -> Vec<String> {
    let name = &workflow.metadata.name;
    let alive =
        |pod: &&Played| pod.workflow_uid == workflow.metadata.uid && pod.ended.is_none_or(|ended| ended > deadline);
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
    use crate::node::played;

    #[tokio::test(start_paused = true)]
    async fn an_object_past_the_limit_is_found() {
        let mut object = Workflow::default();
        assert_eq!(Watch::default().see(object.clone(), Instant::now()), Vec::<String>::new());
        object.status.message = "x".repeat(OBJECT_BYTES_MAX);
        assert!(Watch::default().see(object, Instant::now())[0].starts_with("S13"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_in_another_namespace_under_another_account_or_of_nobody_is_found() {
        let mut object = Workflow::default();
        (object.metadata.namespace, object.metadata.uid) = ("argo".to_owned(), "w".to_owned());
        let mut pod = played("1", Instant::now(), None);
        assert_eq!(identity(&object, &pod), Vec::<String>::new());
        assert_eq!(owned(&[pod.clone()], &["w".to_owned()].into()), Vec::<String>::new());
        (pod.namespace, pod.service_account, pod.workflow_uid) = ("other".into(), "root".into(), "x".into());
        assert_eq!(identity(&object, &pod).len(), 2);
        assert_eq!(owned(&[pod], &["w".to_owned()].into()).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_workflow_with_nothing_under_way_is_found() {
        let mut object = Workflow::default();
        object.status.phase = WorkflowPhase::Running;
        let (started, mut watch) = (Instant::now(), Watch::default());
        assert_eq!(watch.silence(&object, started), Vec::<String>::new());
        tokio::time::sleep(SILENCE + Duration::from_secs(1)).await;
        assert!(watch.silence(&object, started)[0].starts_with("L2"));
        object.spec.suspend = Some(true);
        watch.silence(&object, started);
        tokio::time::sleep(SILENCE + Duration::from_secs(1)).await;
        assert_eq!(watch.silence(&object, started), Vec::<String>::new());
    }
}
