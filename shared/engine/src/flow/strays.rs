//! Pods that were wished for before: asking after them, and ending those that nobody wishes for.

use arcstr::ArcStr;
use argosy_api::{
    message::{ClusterCommand, PodPhase, PodSummary},
    v1alpha1::{NodePhase, NodeStatus, NodeType},
};

use crate::{
    Command, Workflow,
    state::{Body, Stray, locks::waits_for_lock, set},
};

impl Workflow {
    /// Asks how the pods of all open nodes are. `is_check`: whoever watches them should have told already; nodes that say why
    /// they have no pod yet are left out then.
    pub fn confirm_pods(&mut self, is_check: bool) -> Vec<Command> {
        let open: Vec<ArcStr> = self.open_pods().collect();
        for id in open {
            let waits = |node: &NodeStatus| node.phase == NodePhase::Pending && !node.message.is_empty();
            if !is_check || !self.book.node(&id).is_some_and(waits) {
                self.confirm_pod(&id, is_check);
            }
        }
        self.agenda.take_commands()
    }

    fn open_pods(&self) -> impl Iterator<Item = ArcStr> {
        let leaves = self.frames.iter().filter(|frame| matches!(frame.body, Body::Leaf));
        leaves.map(|frame| frame.call.id.clone()).filter(|id| {
            self.book.node(id).is_some_and(|node| node.r#type == NodeType::Pod && !node.phase.is_fulfilled())
        })
    }

    pub(crate) fn confirm_pod(&mut self, node_id: &ArcStr, is_check: bool) {
        if let Some(name) = self.pod_of(node_id) {
            let command = ClusterCommand::ConfirmPod { name, is_check };
            self.agenda.wish_cluster(node_id.clone(), command);
        }
    }

    /// A pod of a node that has ended, or that the workflow does not know. It may have been created by a request that was under
    /// way when the node ended, or its end was asked for and the asking got lost, or what its node had come to was lost with the
    /// bus. One that still runs is ended, one that has ended is marked as dealt with.
    pub(crate) fn on_stray_pod(&mut self, pod: &PodSummary) {
        let Some(node) = self.book.node(&pod.node_id) else { return self.on_unknown_pod(pod) };
        if !self.is_pod_of(&pod.node_id, &pod.name) {
            // Somebody's pod that carries our node's name.
            return;
        }
        if waits_for_lock(node) && !self.life.is_done() {
            // A lost bus alone knew that the node had its locks. When it has them again it comes upon its pod.
            return self.on_unknown_pod(pod);
        }
        if !node.phase.is_fulfilled() && !self.life.is_done() {
            return self.on_orphaned_pod(pod);
        }
        if !pod.deleted && !pod.deleting {
            self.end_stray(node.id.clone(), pod.name.clone(), pod.has_ended().then_some(pod.phase));
        }
    }

    /// The pod of a node whose boundary has ended in error while it ran: nothing comes of it, but it takes its place until it
    /// has ended. A workflow that was taken up since has no frame for it. Source: Argo, which follows such pods as well.
    fn on_orphaned_pod(&mut self, pod: &PodSummary) {
        let phase = match pod.phase {
            PodPhase::Succeeded => NodePhase::Succeeded,
            PodPhase::Failed => NodePhase::Failed,
            _ if pod.deleted => NodePhase::Error,
            PodPhase::Running => NodePhase::Running,
            PodPhase::Unset | PodPhase::Pending | PodPhase::Unknown => return,
        };
        let message = if pod.deleted && !pod.has_ended() { "pod deleted" } else { &pod.message };
        self.mark(&pod.node_id, phase, Some(message));
        if phase.is_fulfilled() {
            self.book.update_node(&pod.node_id, |node| set(&mut node.task_result_synced, Some(true)));
            if !pod.deleted {
                self.let_go(pod.node_id.as_str().into(), pod.name.clone(), pod.phase);
            }
        }
    }

    /// Asks after the pods of such nodes.
    pub(crate) fn confirm_orphans(&mut self) {
        for id in self.orphans() {
            self.confirm_pod(&id, false);
        }
    }

    pub(crate) fn orphans(&self) -> Vec<ArcStr> {
        let nodes = self.book.nodes().unordered();
        let open =
            nodes.filter(|node| node.r#type == NodeType::Pod && !node.phase.is_fulfilled() && !waits_for_lock(node));
        let mut orphans: Vec<ArcStr> = open.map(|node| node.id.clone()).filter(|id| self.live(id).is_none()).collect();
        orphans.sort_unstable();
        orphans
    }

    /// While the workflow runs, the node may be about to come; when it does not, the pod ends with the workflow.
    fn on_unknown_pod(&mut self, pod: &PodSummary) {
        if pod.deleted || pod.deleting {
            self.strays.forget(&pod.name);
        } else if self.life.is_done() {
            self.end_stray(self.own_id(), pod.name.clone(), pod.has_ended().then_some(pod.phase));
        } else {
            self.strays
                .see(&pod.name, Stray { node_id: pod.node_id.clone(), ended: pod.has_ended().then_some(pod.phase) });
        }
    }

    /// The workflow has ended: so do the pods whose nodes never came.
    pub(crate) fn end_strays(&mut self) {
        for (name, stray) in self.strays.take() {
            if self.book.node(&stray.node_id).is_none() {
                self.end_stray(self.own_id(), name, stray.ended);
            }
        }
    }

    fn end_stray(&mut self, node_id: ArcStr, name: String, ended: Option<PodPhase>) {
        match ended {
            Some(phase) => self.let_go(node_id, name, phase),
            None => self.agenda.wish_cluster(node_id, ClusterCommand::StopPod { name }),
        }
    }

    /// What a pod says of its node may be anything: wishes for one whose node is not known go under the workflow's own name.
    fn own_id(&self) -> ArcStr {
        self.book.name().into()
    }
}
