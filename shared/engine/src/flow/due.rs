//! What happens when timers are due.

use arcstr::ArcStr;
use argosy_api::{
    message::ClusterCommand,
    v1alpha1::{NodePhase, NodeType},
};
use jiff::Timestamp;

use crate::{
    Workflow,
    state::{Body, Fired, Stage, Timer, bug, set},
};

/// Message of what ran out of time without having a pod that runs.
pub(crate) const EXCEEDED: &str = "Step exceeded its deadline";

impl Workflow {
    /// Arms the timer of a node, or moves it.
    pub(crate) fn arm(&mut self, timer: Timer, node_id: &ArcStr, due: Timestamp) {
        self.agenda.wish(self.timers.arm(timer, node_id, due));
    }

    /// The node has ended, and its timer with it.
    pub(crate) fn disarm(&mut self, node_id: &str) {
        self.agenda.wish_all(self.timers.disarm(node_id));
    }

    /// Arms the timer of the workflow's deadline, moves it, or takes it away.
    pub(crate) fn arm_workflow_deadline(&mut self) {
        let due = self.deadline();
        self.agenda.wish_all(self.timers.set_workflow_deadline(due));
    }

    pub(crate) fn on_timer(&mut self, key: &str) {
        match self.timers.fire(key, self.clock.now()) {
            Fired::Early(command) => self.agenda.wish(command),
            Fired::WorkflowDeadline => self.on_workflow_deadline(),
            Fired::OfNode(Timer::Deadline, node_id) => self.on_pod_deadline(node_id),
            Fired::OfNode(Timer::Suspend, node_id) => self.on_suspend_over(node_id),
            Fired::OfNode(Timer::Retry, node_id) => self.on_backoff_over(node_id),
            Fired::OfNode(Timer::Refused, node_id) => self.on_pod_due(node_id),
            Fired::Nobodys => {}
        }
    }

    /// A pod that never ran is given up here; one that runs is ended by its own `activeDeadlineSeconds`.
    fn on_pod_deadline(&mut self, node_id: &str) {
        // The node may have ended while the timer's report was under way.
        let Some(frame) = self.live(node_id) else { return };
        if self.book.phase_of(node_id) != NodePhase::Pending {
            return;
        }
        self.stop_pod(node_id);
        self.book.update_node(node_id, |n| set(&mut n.task_result_synced, Some(true)));
        self.mark(node_id, NodePhase::Failed, Some(EXCEEDED));
        self.end_frame(frame);
    }

    fn on_workflow_deadline(&mut self) {
        if !self.life.is(Stage::Running) {
            return;
        }
        for id in self.live_leaves() {
            if self.book.node(&id).is_some_and(|n| n.r#type == NodeType::Pod) {
                self.on_pod_deadline(&id);
            }
            self.end_suspend(&id, NodePhase::Failed, EXCEEDED);
        }
        self.refuse_held(EXCEEDED);
    }

    /// Asks for the end of a node's pod.
    pub(crate) fn stop_pod(&mut self, node_id: &str) {
        let Some(name) = self.pod_of(node_id) else {
            return bug!(self, node_id, "a pod is stopped of a node that is not in the status");
        };
        self.agenda.wish_cluster(node_id.into(), ClusterCommand::StopPod { name });
    }

    /// The name of a pod node's pod.
    pub(crate) fn pod_of(&self, node_id: &str) -> Option<String> {
        let node = self.book.node(node_id)?;
        let template = node.template_ref.as_ref().map_or(node.template_name.as_str(), |r| &r.template);
        Some(self.pod_name_of(&node.name, &node.id, template))
    }

    /// Pods and suspends that have not ended and do not belong to an exit handler.
    pub(crate) fn live_leaves(&self) -> Vec<ArcStr> {
        let frames = self.frames.iter().filter(|f| matches!(f.body, Body::Leaf) && !f.call.on_exit);
        frames.map(|f| f.call.id.clone()).collect()
    }
}
