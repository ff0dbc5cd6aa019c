//! What breaks a rule though nobody could have kept it. Each excuse is counted and printed.

use argosy_api::v1alpha1::{NodePhase, NodeStatus, Workflow};
use tokio::time::{Duration, Instant};

use crate::{
    check::{GRACE, Watch},
    faults::Delayed,
    node::{Played, Suspect},
};

/// How many pods were excused, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Excused {
    /// Their creation was late, and they went again.
    pub late: usize,
    /// They ran again after the loss of a bus that alone knew of them.
    pub again: usize,
    /// Workflows that are in error as the loss of a bus, which alone knew that their daemon had been stopped, came upon them.
    pub forgotten: usize,
    /// Locks that somebody got after the loss of a bus that alone knew that another had them.
    pub lent: usize,
}

/// S1, precisely: a creation that was under way when its sender froze or died cannot be recalled, as Kubernetes has no fence
/// for creations. Such a pod is excused, if it is gone in time (L3). That nothing came of its outcome (S10) is S2, as its node
/// had ended, and S7. Answers the broken rules and how many pods were excused.
pub fn late(suspects: &[Suspect], delayed: &[Delayed], pods: &[Played], calm_at: Instant) -> (Vec<String>, usize) {
    let mut broken = Vec::new();
    let mut excused: Vec<&str> = Vec::new();
    for Suspect { pod, why } in suspects {
        let is_late = |late: &Delayed| {
            (late.pod.namespace.as_str(), late.pod.name.as_str()) == (pod.namespace.as_str(), pod.name.as_str())
                && late.carried_out <= pod.created
                && pod.created - late.carried_out < Duration::from_secs(1)
        };
        if !delayed.iter().any(is_late) {
            broken.push(why.clone());
            continue;
        }
        excused.push(&pod.uid);
        let deadline = pod.created.max(calm_at) + GRACE;
        let now = pods.iter().find(|p| p.uid == pod.uid).unwrap_or(pod);
        if now.ended.is_none_or(|ended| ended > deadline) {
            broken.push(format!("L3: the pod of {} came late, which is excused, and stayed", pod.node_name));
        }
    }
    excused.sort_unstable();
    excused.dedup();
    (broken, excused.len())
}

/// What cannot come back when a bus is lost (`docs/adr/011-a-lost-bus.md`): a pod that was gone before its end had reached the
/// object. Its node runs again, as nobody knows that it ran. Takes those from the suspects, and answers how many there were.
pub fn again<'a>(
    suspects: &mut Vec<Suspect>,
    pods: &[Played],
    watches: impl Iterator<Item = &'a Watch> + Clone,
    losses: &[Instant],
) -> usize {
    let all = suspects.len();
    suspects.retain(|Suspect { pod, .. }| {
        let node = |p: &Played| (p.workflow_uid.clone(), p.node_id.clone());
        let is_before = |p: &&Played| node(p) == node(pod) && p.generation == pod.generation && p.uid != pod.uid;
        let before: Vec<&Played> = pods.iter().filter(is_before).filter(|p| p.created <= pod.created).collect();
        let is_of = |last: &Workflow| last.metadata.uid == pod.workflow_uid;
        let Some(watch) = watches.clone().find(|watch| is_of(&watch.last)) else { return true };
        let forgets = |loss: &Instant| {
            before.iter().any(|p| p.created <= *loss) && *loss <= pod.created && !watch.had_ended(&pod.node_id, *loss)
        };
        let are_gone = before.iter().all(|p| p.gone.is_some_and(|gone| gone <= pod.created));
        !(are_gone && losses.iter().any(forgets))
    });
    all - suspects.len()
}

/// What cannot come back when a bus is lost, either: that a daemon was stopped, as what needed it had ended, if its pod was gone
/// before that had reached the object. Its node is in error, as that of any daemon whose pod is gone.
pub fn forgotten(watch: &Watch, pods: &[Played], losses: &[Instant]) -> bool {
    let object = &watch.last;
    let is_daemon = |name: &str| object.spec.templates.iter().any(|t| t.daemon == Some(true) && t.name == name);
    let is_lost = |node: &NodeStatus| {
        node.phase == NodePhase::Error && node.message == "pod deleted" && is_daemon(&node.template_name)
    };
    let is_gone = |node: &NodeStatus, loss: &Instant| {
        let own = pods.iter().filter(|p| p.workflow_uid == object.metadata.uid && *p.node_id == *node.id);
        let in_flight = Duration::from_secs(1);
        own.filter(|p| p.created <= *loss).any(|p| p.gone.is_some_and(|gone| gone <= *loss + in_flight))
            && !watch.had_ended(&node.id, *loss)
    };
    object.status.nodes.values().filter(|node| is_lost(node)).any(|node| losses.iter().any(|loss| is_gone(node, loss)))
}

#[cfg(test)]
mod tests {
    use argosy_api::v1alpha1::Template;

    use super::*;
    use crate::node::played;

    #[tokio::test(start_paused = true)]
    async fn only_a_creation_that_was_late_is_excused_and_only_if_its_pod_goes() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let pod = crate::faults::PodName { namespace: "argo".to_owned(), name: "p".to_owned() };
        let delayed = [Delayed { pod, carried_out: at(10) }];
        let judge = |created, ended, delayed: &[Delayed]| {
            let pod = played("2", created, ended);
            let suspect = Suspect { pod: pod.clone(), why: "S1: second".to_owned() };
            late(&[suspect], delayed, &[pod], at(0))
        };
        assert_eq!(judge(at(10), Some(at(12)), &delayed), (Vec::new(), 1));
        assert_eq!(judge(at(10), Some(at(12)), &[]), (vec!["S1: second".to_owned()], 0), "nothing was late");
        assert_eq!(judge(at(20), Some(at(22)), &delayed), (vec!["S1: second".to_owned()], 0), "another creation");
        let (broken, count) = judge(at(10), None, &delayed);
        assert!(count == 1 && broken.len() == 1 && broken[0].starts_with("L3"), "{broken:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_runs_again_only_if_the_bus_alone_knew_of_its_pod() {
        let start = Instant::now();
        let mut watch = Watch::default();
        let mut object = Workflow::default();
        object.metadata.uid = "w".to_owned();
        watch.see(object.clone(), start);
        let at = |seconds| start + Duration::from_secs(seconds);
        let judge = |watch: &Watch, gone: Option<Instant>, losses: &[Instant]| {
            let first = Played { gone, ..played("1", at(1), gone) };
            let second = played("2", at(20), None);
            let mut suspects = vec![Suspect { pod: second.clone(), why: "S1: second".to_owned() }];
            let excused = again(&mut suspects, &[first, second], std::iter::once(watch), losses);
            assert_eq!(suspects.len(), 1 - excused);
            excused == 1
        };
        assert!(judge(&watch, Some(at(5)), &[at(10)]));
        assert!(!judge(&watch, Some(at(5)), &[]), "no bus was lost");
        assert!(!judge(&watch, Some(at(5)), &[at(30)]), "the bus was lost later");
        assert!(!judge(&watch, None, &[at(10)]), "the first is still there");
        tokio::time::advance(Duration::from_secs(7)).await;
        let node = NodeStatus { id: "n".into(), phase: NodePhase::Failed, ..NodeStatus::default() };
        object.status.nodes.insert("n".into(), node);
        watch.see(object, start);
        assert!(!judge(&watch, Some(at(5)), &[at(10)]), "the object said so in time");
        assert!(judge(&watch, Some(at(5)), &[at(6)]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_daemon_ends_in_error_only_if_the_bus_alone_knew_that_it_was_stopped() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let judge = |daemon: Option<bool>, gone: Option<Instant>, losses: &[Instant]| {
            let mut object = Workflow::default();
            object.metadata.uid = "w".to_owned();
            object.spec.templates = vec![Template { name: "t".into(), daemon, ..Template::default() }.into()];
            let node = NodeStatus {
                id: "n".into(),
                template_name: "t".into(),
                phase: NodePhase::Error,
                message: "pod deleted".into(),
                ..NodeStatus::default()
            };
            object.status.nodes.insert("n".into(), node);
            let mut watch = Watch::default();
            watch.last = object;
            forgotten(&watch, &[Played { gone, ..played("1", at(1), gone) }], losses)
        };
        assert!(judge(Some(true), Some(at(5)), &[at(10)]));
        assert!(!judge(None, Some(at(5)), &[at(10)]), "no daemon");
        assert!(!judge(Some(true), Some(at(5)), &[]), "no bus was lost");
        assert!(!judge(Some(true), Some(at(15)), &[at(10)]), "it went later");
        assert!(!judge(Some(true), None, &[at(10)]), "it is still there");
    }
}
