//! How Steps and DAG nodes end, and nodes that fail from outside.

use arcstr::ArcStr;
use argosy_api::v1alpha1::{NodePhase, NodeType};

use crate::{
    Workflow,
    state::{Body, FrameId, bug, completed, set, set_text},
};

impl Workflow {
    /// Ends a Steps or DAG node: its daemons with it.
    pub(crate) fn end_composite(&mut self, frame: FrameId, phase: NodePhase, message: &str, outbound: Vec<ArcStr>) {
        let Some(node_id) = self.frame(frame).map(|f| f.call.id.clone()) else {
            return bug!(self, "", "a Steps or DAG node ends that has no frame");
        };
        self.book.set_outbound(&node_id, outbound);
        self.mark(&node_id, phase, Some(message));
        self.stop_daemons(&node_id);
        self.close_boundary(frame);
        self.end_frame(frame);
    }

    /// `failFast` of a template: the node fails at once, and so does the group that runs.
    pub(crate) fn fail_fast(&mut self, frame: FrameId) {
        const MESSAGE: &str = "template has failed or errored children and failFast enabled";
        if let Some(Body::Steps(steps)) = self.frame(frame).map(|f| &f.body) {
            let group = steps.group_id().clone();
            self.mark(&group, NodePhase::Failed, Some(MESSAGE));
        }
        self.end_composite(frame, NodePhase::Failed, MESSAGE, Vec::new());
    }

    /// Daemons end with their boundary, as successes.
    fn stop_daemons(&mut self, boundary: &str) {
        for id in self.book.take_daemons(boundary) {
            if self.book.node(&id).and_then(|n| n.daemoned) != Some(true) {
                continue;
            }
            if self.book.node(&id).is_some_and(|n| n.r#type == NodeType::Pod) {
                self.stop_pod(&id);
            }
            self.book.update_node(&id, |n| {
                let is_leaf = n.r#type.executes();
                let progress = completed(&n.progress);
                set(&mut n.daemoned, None)
                    | (is_leaf && set(&mut n.progress, progress))
                    | (is_leaf && set(&mut n.task_result_synced, Some(true)))
            });
            self.mark(&id, NodePhase::Succeeded, Some(""));
            if let Some(frame) = self.live(&id) {
                self.disarm(&id);
                self.frames.end(frame);
            }
        }
    }

    /// The node is in error, whatever it does. One that ended in this very step, so that nobody knows of it yet, ends so.
    pub(crate) fn fail_node(&mut self, id: &ArcStr, message: &str) {
        let Some(node) = self.book.node(id) else { return };
        if node.phase.is_fulfilled() {
            if node.finished_at == Some(self.time()) {
                self.book.update_node(id, |n| set(&mut n.phase, NodePhase::Error) | set_text(&mut n.message, message));
            }
            return;
        }
        let is_pod = node.r#type == NodeType::Pod;
        let live = self.live(id);
        match live.and_then(|live| Some((live, &self.frame(live)?.body))) {
            Some((live, Body::Steps(_) | Body::Dag(_))) => {
                self.end_composite(live, NodePhase::Error, message, Vec::new());
            }
            Some((live, Body::Leaf | Body::Retry(_))) => {
                if is_pod {
                    self.stop_pod(id);
                }
                self.mark(id, NodePhase::Error, Some(message));
                self.end_frame(live);
            }
            None => self.mark(id, NodePhase::Error, Some(message)),
        }
    }
}
