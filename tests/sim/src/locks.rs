//! S5: no more hold a lock than may, and each of them is alive.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use argosy_api::v1alpha1::{NodeStatus, NodeType, Synchronization, Workflow, WorkflowStatus};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::{check::Watch, node::Played};

/// The limit of every semaphore of the corpus.
const SEMAPHORE: usize = 2;

/// Who has which lock, by the status: lock and holder.
pub fn held(status: &WorkflowStatus) -> Vec<(String, String)> {
    let Some(status) = &status.synchronization else { return Vec::new() };
    let mutexes = status.mutex.iter().flat_map(|m| &m.holding).map(|held| (held.mutex.clone(), held.holder.clone()));
    let semaphores = status.semaphore.iter().flat_map(|s| &s.holding);
    let of_semaphores =
        semaphores.flat_map(|held| held.holders.iter().map(|holder| (held.semaphore.clone(), holder.clone())));
    mutexes.chain(of_semaphores).collect()
}

/// A pod that runs under a lock.
struct Use {
    holder: String,
    created: Instant,
    /// Of the pod, or of its node before that: whoever stops a node does not wait for its pod.
    ended: Option<Instant>,
    /// The object said by then that the holder has the lock, for each loss of the bus.
    was_known_at: Vec<(Instant, bool)>,
}

/// Pods that ran at once under a lock of which fewer may be held, in words, and how many of those are excused: a bus was lost
/// that alone knew that the earlier one had the lock (`docs/adr/022-locks.md`).
pub fn shared<'w>(
    watches: impl Iterator<Item = &'w Watch>,
    pods: &[Played],
    started: Instant,
    losses: &[Instant],
) -> (Vec<String>, usize) {
    let mut uses: BTreeMap<String, Vec<Use>> = BTreeMap::new();
    for watch in watches {
        let object = &watch.last;
        for pod in pods.iter().filter(|pod| pod.workflow_uid == object.metadata.uid) {
            let Some(node) = object.status.nodes.get(pod.node_id.as_str()) else { continue };
            // Of a retry that has begun anew nothing tells how its node ended before.
            let finished = node.finished_at.filter(|_| pod.generation == watch.generation());
            let finished = finished.and_then(|time| moment(started, time.0));
            let ended = pod.ended.into_iter().chain(finished).min();
            for (lock, holder) in locks_of(object, node) {
                let was_known_at = losses.iter().map(|at| (*at, watch.had_lock(&lock, &holder, *at))).collect();
                uses.entry(lock).or_default().push(Use { holder, created: pod.created, ended, was_known_at });
            }
        }
    }
    let (mut broken, mut excused) = (Vec::new(), 0);
    for (lock, uses) in &uses {
        let limit = if lock.contains("/Mutex/") { 1 } else { SEMAPHORE };
        for late in uses.iter().filter(|one| one.ended.is_none_or(|ended| ended > one.created)) {
            let lives = |one: &&Use| one.created <= late.created && one.ended.is_none_or(|ended| ended > late.created);
            let alive: Vec<&Use> = uses.iter().filter(lives).collect();
            let holders: BTreeSet<&str> = alive.iter().map(|one| one.holder.as_str()).collect();
            if holders.len() <= limit {
                continue;
            }
            let is_lost = |one: &&Use| {
                let known = one.was_known_at.iter();
                known
                    .into_iter()
                    .any(|(at, was_known)| *at >= one.created - MARGIN && *at <= late.created && !was_known)
            };
            if alive.iter().any(is_lost) {
                excused += 1;
            } else {
                broken.push(format!("S5: {lock} is held by {holders:?} at once"));
            }
        }
    }
    (broken, excused)
}

/// A creation may be under way when the bus is lost.
const MARGIN: Duration = Duration::from_secs(1);

/// The moment of a node, which is cut to a second.
fn moment(started: Instant, at: Timestamp) -> Option<Instant> {
    let began: Timestamp = "2026-01-01T00:00:00Z".parse().ok()?;
    started.checked_add(Duration::try_from(at.duration_since(began)).ok()?)
}

/// The locks that a node runs under, and who holds each: it, what is around it, the workflow.
fn locks_of(object: &Workflow, node: &NodeStatus) -> Vec<(String, String)> {
    let meta = &object.metadata;
    let own = format!("{}/{}", meta.namespace, meta.name);
    let mut found = named(object.spec.synchronization.as_ref(), &meta.namespace, &own);
    let template = |node: &NodeStatus| object.spec.templates.iter().find(|t| *t.name == *node.template_name);
    let mut at = Some(node);
    for _ in 0..100 {
        let Some(node) = at else { break };
        let retry =
            object.status.nodes.values().find(|of| of.r#type == NodeType::Retry && of.children.contains(&node.id));
        let holder = format!("{own}/{}", retry.unwrap_or(node).id);
        let synchronization = template(node).and_then(|template| template.synchronization.as_deref());
        found.extend(named(synchronization, &meta.namespace, &holder));
        at = object.status.nodes.get(node.boundary_id.as_str());
    }
    found
}

fn named(synchronization: Option<&Synchronization>, own: &str, holder: &str) -> Vec<(String, String)> {
    let Some(synchronization) = synchronization else { return Vec::new() };
    let namespace = |text: &String| if text.is_empty() { own.to_owned() } else { text.clone() };
    let mutexes = synchronization.mutexes.iter().map(|m| format!("{}/Mutex/{}", namespace(&m.namespace), m.name));
    let semaphores = synchronization.semaphores.iter().filter_map(|s| {
        let key = s.config_map_key_ref.as_ref()?;
        Some(format!("{}/ConfigMap/{}/{}", namespace(&s.namespace), key.name, key.key))
    });
    mutexes.chain(semaphores).map(|lock| (lock, holder.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use argosy_api::v1alpha1::{Mutex, Template};

    use super::*;
    use crate::node::played;

    #[tokio::test(start_paused = true)]
    async fn two_pods_under_one_mutex_are_found_unless_a_lost_bus_alone_knew_of_the_first() {
        let started = Instant::now();
        let at = |seconds| started + Duration::from_secs(seconds);
        let watch = |uid: &str| {
            let mut object = Workflow::default();
            (object.metadata.uid, object.metadata.name) = (uid.to_owned(), uid.to_owned());
            object.metadata.namespace = "argo".to_owned();
            let mutexes = vec![Mutex { name: "m".to_owned(), ..Mutex::default() }];
            let synchronization = Some(Box::new(Synchronization { mutexes, ..Synchronization::default() }));
            object.spec.templates = vec![Template { name: "t".into(), synchronization, ..Template::default() }.into()];
            let node = NodeStatus { id: "n".into(), template_name: "t".into(), ..NodeStatus::default() };
            object.status.nodes.insert("n".into(), node);
            let mut watch = Watch::default();
            watch.last = object;
            watch
        };
        let pod = |uid: &str, created, ended| Played { workflow_uid: uid.to_owned(), ..played(uid, created, ended) };
        let watches = [watch("a"), watch("b")];
        let judge = |pods: &[Played], losses: &[Instant]| shared(watches.iter(), pods, started, losses);
        let apart = [pod("a", at(1), Some(at(5))), pod("b", at(5), None)];
        assert_eq!(judge(&apart, &[]), (Vec::new(), 0));
        let together = [pod("a", at(1), Some(at(6))), pod("b", at(5), None)];
        let (broken, excused) = judge(&together, &[]);
        assert!(excused == 0 && broken.len() == 1 && broken[0].starts_with("S5: argo/Mutex/m"), "{broken:?}");
        assert_eq!(judge(&together, &[at(3)]), (Vec::new(), 1));
        assert_eq!(judge(&together, &[at(9)]).0.len(), 1, "the bus was lost later");
    }
}
