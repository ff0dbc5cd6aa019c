//! Pod nodes: what can happen to one, and what follows.

mod create;
mod gc;
mod hosts;
mod names;
mod refused;
mod report;

use arcstr::ArcStr;
use argosy_api::{
    message::{ClusterCommand, NotCreated, PodPhase, PodSummary},
    v1alpha1::{NodePhase, NodeType},
};

use self::refused::{ROOM_BEHIND_A_NEW_POD, ROOM_OF_AN_ENDED_POD};
use super::EXCEEDED;
use crate::{
    Workflow,
    state::{FrameId, set},
};

/// What happens to a pod node that has not ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PodEvent<'e> {
    /// Its pod is so.
    Seen(&'e PodSummary),
    /// A pod of its name is so, which was wished for before the workflow ended and was retried.
    SeenOfBefore(&'e PodSummary),
    /// The API refuses its pod for good.
    Rejected { message: &'e str },
    /// A wish for its pod came back.
    NotCreated(&'e NotCreated),
    /// The pause after a refusal is over.
    PauseOver,
    /// Its deadline has passed, or the workflow's.
    Deadline,
    /// The workflow is being shut down.
    Shutdown { message: &'e str },
}

/// What follows for the node.
#[derive(Debug, PartialEq)]
enum Reaction<'e> {
    Nothing,
    /// There is such a pod, which is all that is new.
    Seen,
    /// The node becomes what its pod is.
    Follow(&'e PodSummary),
    /// Its pod is wished for once more.
    WishAnew,
    /// Its pod is wished for once more after a while; its owner sees why it waits.
    Pause {
        message: &'e str,
    },
    /// The node ends, whatever becomes of its pod.
    End {
        phase: NodePhase,
        message: &'e str,
        pod: Pod,
    },
    /// The node comes to a mistake.
    Fail {
        message: &'e str,
    },
}

/// What becomes of the pod of a node that ends.
#[derive(Debug, PartialEq)]
enum Pod {
    /// There is none.
    None,
    Stop,
    Delete,
}

/// `is_seen`: a report has told of the node's pod.
fn react<'e>(phase: NodePhase, is_seen: bool, event: PodEvent<'e>) -> Reaction<'e> {
    use NodePhase::{Failed, Pending, Running};
    match (phase, event) {
        // Whoever told of a pod of before may have been held up for long, so nothing that it says is of the node of now. It may
        // be all that an asking after the node's pod has found, though.
        (Pending, PodEvent::SeenOfBefore(pod)) if !is_seen && !pod.deleting => Reaction::WishAnew,
        (_, PodEvent::SeenOfBefore(_)) => Reaction::Nothing,
        // There is no such pod, and nobody has ever seen one.
        (Pending, PodEvent::Seen(pod)) if pod.deleted && pod.uid.is_empty() => Reaction::WishAnew,
        // A look that a newer one overtook: pods do not go back.
        (Running, PodEvent::Seen(pod)) if pod.phase == PodPhase::Pending && !pod.deleted => Reaction::Seen,
        (_, PodEvent::Seen(pod)) => Reaction::Follow(pod),
        (_, PodEvent::Rejected { message }) => Reaction::Fail { message },
        (Pending, PodEvent::NotCreated(NotCreated::Redelivered) | PodEvent::PauseOver) if !is_seen => {
            Reaction::WishAnew
        }
        (Pending, PodEvent::NotCreated(NotCreated::Refused { message })) if !is_seen => Reaction::Pause { message },
        // It got its pod while the wish was under way.
        (_, PodEvent::NotCreated(_) | PodEvent::PauseOver) => Reaction::Nothing,
        (Pending, PodEvent::Deadline) => Reaction::End { phase: Failed, message: EXCEEDED, pod: Pod::Stop },
        // A pod that runs is ended by its own `activeDeadlineSeconds`.
        (_, PodEvent::Deadline) => Reaction::Nothing,
        (Pending, PodEvent::Shutdown { message }) => Reaction::End { phase: Failed, message, pod: Pod::Delete },
        (_, PodEvent::Shutdown { message }) => Reaction::End { phase: Failed, message, pod: Pod::Stop },
    }
}

impl Workflow {
    pub(crate) fn on_pod(&mut self, pod: &PodSummary) {
        // The node may have ended while the report was under way.
        let Some(frame) = self.live(&pod.node_id) else { return self.on_stray_pod(pod) };
        if !self.is_pod_of(&pod.node_id, &pod.name) {
            // Somebody's pod that carries our node's name.
            return;
        }
        let is_of_before = pod.wished_at > 0 && pod.wished_at < self.life.ended_at();
        let event = if is_of_before { PodEvent::SeenOfBefore(pod) } else { PodEvent::Seen(pod) };
        self.follow_event(frame, &pod.node_id, event);
    }

    pub(crate) fn on_pod_rejected(&mut self, node_id: &str, message: &str) {
        self.on_pod_event(node_id, PodEvent::Rejected { message });
    }

    pub(crate) fn on_pod_not_created(&mut self, node_id: &str, reason: &NotCreated) {
        self.on_pod_event(node_id, PodEvent::NotCreated(reason));
    }

    pub(crate) fn on_pod_event(&mut self, node_id: &str, event: PodEvent<'_>) {
        // The node may have ended while it was under way.
        if let Some(frame) = self.live(node_id) {
            self.follow_event(frame, node_id, event);
        }
    }

    fn follow_event(&mut self, frame: FrameId, node_id: &str, event: PodEvent<'_>) {
        let is_seen = self.frame(frame).is_some_and(|frame| frame.is_seen);
        match react(self.book.phase_of(node_id), is_seen, event) {
            Reaction::Nothing => {}
            Reaction::Seen => self.note_seen(frame),
            Reaction::Follow(pod) => {
                self.note_seen(frame);
                self.follow_pod(frame, pod);
                if self.live(node_id).is_none() {
                    self.try_refused(ROOM_OF_AN_ENDED_POD);
                }
            }
            Reaction::WishAnew => self.wish_pod_anew(frame),
            Reaction::Pause { message } => self.pause(frame, node_id, message),
            Reaction::End { phase, message, pod } => self.end_pod(frame, node_id, phase, message, &pod),
            Reaction::Fail { message } => self.end_by_mistake(frame, message),
        }
    }

    /// There may be room for so many of the pods that were refused: they are wished for now.
    fn try_refused(&mut self, room: usize) {
        for _ in 0..room {
            let Some(node_id) = self.take_refused() else { return };
            self.on_pod_event(&node_id, PodEvent::PauseOver);
        }
    }

    fn note_seen(&mut self, frame: FrameId) {
        let Some(frame) = self.frame_mut(frame) else { return };
        frame.is_seen = true;
        if std::mem::take(&mut frame.was_refused) {
            self.try_refused(ROOM_BEHIND_A_NEW_POD);
        }
    }

    /// Containers of a set end with their pod; they follow each other.
    fn end_containers(&mut self, ids: &[ArcStr], phase: NodePhase, message: &str) {
        let mut left = ids.to_vec();
        while let Some(id) = left.pop() {
            let Some(node) = self.book.node(&id).filter(|node| node.r#type == NodeType::Container) else { continue };
            let is_open = !node.phase.is_fulfilled();
            left.extend(node.children.iter().cloned());
            if is_open {
                self.mark(&id, phase, Some(message));
            }
        }
    }

    fn end_pod(&mut self, frame: FrameId, node_id: &str, phase: NodePhase, message: &str, pod: &Pod) {
        match pod {
            Pod::None => {}
            Pod::Stop => self.stop_pod(node_id),
            Pod::Delete => {
                if let Some(name) = self.pod_of(node_id) {
                    self.agenda.wish_cluster(node_id.into(), ClusterCommand::DeletePod { name });
                }
            }
        }
        let containers = self.book.node(node_id).map(|n| n.children.clone()).unwrap_or_default();
        self.end_containers(&containers, phase, message);
        if *pod != Pod::None {
            self.book.update_node(node_id, |n| set(&mut n.task_result_synced, Some(true)));
        }
        self.mark(node_id, phase, Some(message));
        self.end_frame(frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(phase: &str) -> PodSummary {
        PodSummary { phase: phase.into(), ..Default::default() }
    }

    #[test]
    fn what_happens_to_a_node_that_waits_for_its_pod() {
        fn at(is_seen: bool, event: PodEvent<'_>) -> String {
            format!("{:?}", react(NodePhase::Pending, is_seen, event))
        }
        let lost = PodSummary { deleted: true, ..pod("") };
        let gone = PodSummary { deleted: true, uid: "u".to_owned(), ..pod("") };
        assert_eq!(at(false, PodEvent::Seen(&lost)), "WishAnew");
        assert!(at(true, PodEvent::Seen(&gone)).starts_with("Follow"));
        assert!(at(true, PodEvent::Seen(&pod("Pending"))).starts_with("Follow"));
        assert_eq!(at(false, PodEvent::SeenOfBefore(&pod("Failed"))), "WishAnew");
        assert_eq!(at(true, PodEvent::SeenOfBefore(&pod("Failed"))), "Nothing");
        assert_eq!(at(false, PodEvent::SeenOfBefore(&PodSummary { deleting: true, ..pod("Failed") })), "Nothing");
        assert_eq!(at(false, PodEvent::NotCreated(&NotCreated::Redelivered)), "WishAnew");
        assert_eq!(at(false, PodEvent::PauseOver), "WishAnew");
        let refused = NotCreated::Refused { message: "quota".to_owned() };
        assert_eq!(at(false, PodEvent::NotCreated(&refused)), "Pause { message: \"quota\" }");
        // Its pod is known of: what came back is an older wish, or the same again.
        for late in
            [PodEvent::NotCreated(&NotCreated::Redelivered), PodEvent::NotCreated(&refused), PodEvent::PauseOver]
        {
            assert_eq!(at(true, late), "Nothing");
        }
        assert_eq!(at(false, PodEvent::Rejected { message: "no" }), "Fail { message: \"no\" }");
        assert!(at(false, PodEvent::Deadline).ends_with("pod: Stop }"));
        assert!(at(false, PodEvent::Shutdown { message: "" }).ends_with("pod: Delete }"));
    }

    #[test]
    fn what_happens_to_a_node_whose_pod_runs() {
        fn at(event: PodEvent<'_>) -> String {
            format!("{:?}", react(NodePhase::Running, true, event))
        }
        assert_eq!(at(PodEvent::Seen(&pod("Pending"))), "Seen");
        assert!(at(PodEvent::Seen(&pod("Succeeded"))).starts_with("Follow"));
        assert_eq!(at(PodEvent::SeenOfBefore(&pod("Failed"))), "Nothing");
        let refused = NotCreated::Refused { message: "quota".to_owned() };
        for late in [PodEvent::NotCreated(&NotCreated::Redelivered), PodEvent::NotCreated(&refused)] {
            assert_eq!(at(late), "Nothing");
        }
        assert_eq!(at(PodEvent::PauseOver), "Nothing");
        assert_eq!(at(PodEvent::Deadline), "Nothing");
        assert!(at(PodEvent::Shutdown { message: "" }).ends_with("pod: Stop }"));
        assert_eq!(at(PodEvent::Rejected { message: "no" }), "Fail { message: \"no\" }");
    }
}
