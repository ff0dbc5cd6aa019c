//! Timers: their keys, and what happens when they are due.

use arcstr::ArcStr;
use argosy_api::{message::ClusterCommand, v1alpha1::NodePhase};

use crate::{Command, Workflow, frame::Body, nodes::set};

/// The workflow has run as long as it may.
pub(crate) const WORKFLOW_DEADLINE: &str = "workflow-deadline";
const DEADLINE: &str = "deadline/";
const SUSPEND: &str = "suspend/";
const RETRY: &str = "retry/";
const POD: &str = "pod/";

/// A pod node has run as long as it may.
pub(crate) fn deadline_of(node_id: &str) -> String {
    format!("{DEADLINE}{node_id}")
}

/// A suspend node has waited as long as it should.
pub(crate) fn suspend_of(node_id: &str) -> String {
    format!("{SUSPEND}{node_id}")
}

/// The backoff before the next attempt of a retry node is over.
pub(crate) fn retry_of(node_id: &str) -> String {
    format!("{RETRY}{node_id}")
}

/// A pod node whose pod the API refused for a while wishes for it again.
pub(crate) fn pod_of(node_id: &str) -> String {
    format!("{POD}{node_id}")
}

/// Message of what ran out of time without having a pod that runs.
pub(crate) const EXCEEDED: &str = "Step exceeded its deadline";

impl Workflow {
    pub(crate) fn on_timer(&mut self, key: &str) {
        if key == WORKFLOW_DEADLINE {
            self.on_workflow_deadline();
        } else if let Some(node) = key.strip_prefix(DEADLINE) {
            self.on_pod_deadline(node);
        } else if let Some(node) = key.strip_prefix(SUSPEND) {
            self.on_suspend_over(node);
        } else if let Some(node) = key.strip_prefix(RETRY) {
            self.on_backoff_over(node);
        } else if let Some(node) = key.strip_prefix(POD) {
            self.on_pod_due(node);
        }
    }

    /// A pod that never ran is given up here; one that runs is ended by its own `activeDeadlineSeconds`.
    fn on_pod_deadline(&mut self, node_id: &str) {
        let Some(frame) = self.live(node_id) else { return };
        if self.phase_of(node_id) != NodePhase::Pending {
            return;
        }
        self.stop_pod(node_id);
        self.update_node(node_id, |n| set(&mut n.task_result_synced, Some(true)));
        self.mark(node_id, NodePhase::Failed, Some(EXCEEDED));
        self.end_frame(frame);
    }

    fn on_workflow_deadline(&mut self) {
        if self.stage != crate::workflow::Stage::Running {
            return;
        }
        for id in self.live_leaves() {
            self.on_pod_deadline(&id);
            self.end_suspend(&id, NodePhase::Failed, EXCEEDED);
        }
        self.refuse_held(EXCEEDED);
    }

    /// Asks for the end of a node's pod.
    pub(crate) fn stop_pod(&mut self, node_id: &str) {
        let Some(name) = self.pod_of(node_id) else { return };
        self.commands.push(Command::Cluster { node_id: node_id.into(), command: ClusterCommand::StopPod { name } });
    }

    /// The name of a pod node's pod.
    pub(crate) fn pod_of(&self, node_id: &str) -> Option<String> {
        let node = self.node(node_id)?;
        let template = node.template_ref.as_ref().map_or(node.template_name.as_str(), |r| &r.template);
        Some(self.pod_name_of(&node.name, &node.id, template))
    }

    /// Pods and suspends that have not ended and do not belong to an exit handler.
    pub(crate) fn live_leaves(&self) -> Vec<ArcStr> {
        let frames = self.frames.iter().flatten().filter(|f| matches!(f.body, Body::Leaf) && !f.call.on_exit);
        frames.map(|f| f.call.id.clone()).collect()
    }
}
