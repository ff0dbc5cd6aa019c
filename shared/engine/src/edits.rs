//! Edits of the object by others: its creation, shutdown, suspend and resume, nodes set by hand, a retry.

use arcstr::ArcStr;
use argosy_api::{
    message::ClusterCommand,
    v1alpha1::{self as api, NodePhase, NodeType},
};

use crate::{Command, Workflow, frame::Body, nodes::set, workflow::Stage};

impl Workflow {
    pub(crate) fn on_object(&mut self, object: api::Workflow, status_edited: bool) {
        match self.stage {
            Stage::New => {
                if !status_edited {
                    let status = std::mem::take(&mut self.object.status);
                    self.object = object;
                    self.object.status = status;
                } else {
                    self.object = object;
                }
                self.prepare();
            }
            Stage::Done if status_edited && !object.status.phase.is_completed() => self.restart(object),
            Stage::Done => self.adopt_metadata(object),
            Stage::Preparing | Stage::Held | Stage::Running | Stage::Exiting => {
                if status_edited {
                    self.adopt_nodes(&object);
                }
                self.adopt_spec(object);
            }
        }
    }

    fn adopt_metadata(&mut self, object: api::Workflow) {
        self.object.metadata = object.metadata;
    }

    /// `argo retry`: the same object, with nodes taken away and phases set back.
    fn restart(&mut self, object: api::Workflow) {
        let (config, watermark, now) = (self.config.clone(), self.watermark, self.now);
        *self = Self::new(config, object, watermark);
        self.set_now(now);
        self.rebuilding = true;
        self.prepare();
    }

    /// Of a running workflow, these members of the spec may change: shutdown, suspend, the deadline, parallelism.
    fn adopt_spec(&mut self, object: api::Workflow) {
        let object_stored = object.status.stored_workflow_template_spec.clone();
        let before = std::mem::replace(&mut self.object.spec, object.spec);
        self.adopt_labels(object.metadata);
        let spec = &self.object.spec;
        if spec.parallelism != before.parallelism {
            let parallelism = spec.parallelism;
            std::sync::Arc::make_mut(&mut self.spec).parallelism = parallelism;
            self.freed.insert(ArcStr::new());
        }
        if self.object.spec.active_deadline_seconds != before.active_deadline_seconds {
            let secs = self.object.spec.active_deadline_seconds;
            std::sync::Arc::make_mut(&mut self.spec).active_deadline_seconds = secs;
            if let Some(due) = self.deadline() {
                self.commands.push(Command::ArmTimer { key: crate::timers::WORKFLOW_DEADLINE.to_owned(), due });
            }
        }
        if self.object.spec.shutdown != self.shutdown_done && !self.object.spec.shutdown.is_empty() {
            self.shutdown_done.clone_from(&self.object.spec.shutdown);
            self.on_shutdown();
        }
        if let Some(stored) = object_stored {
            self.object.status.stored_workflow_template_spec = Some(stored);
        }
        if !self.is_suspended() {
            if self.stage == Stage::Held {
                self.enter();
            }
            self.freed.insert(ArcStr::new());
        }
    }

    fn adopt_labels(&mut self, metadata: api::ObjectMeta) {
        let ours = [argosy_api::labels::PHASE, argosy_api::labels::COMPLETED];
        let kept: Vec<_> =
            ours.iter().filter_map(|k| Some(((*k).to_owned(), self.object.metadata.labels.get(*k)?.clone()))).collect();
        self.object.metadata = metadata;
        self.object.metadata.labels.extend(kept);
    }

    /// Suspend nodes that were resumed or set by hand.
    fn adopt_nodes(&mut self, object: &api::Workflow) {
        for (id, edited) in &object.status.nodes {
            let Some(node) = self.node(id) else { continue };
            if node.r#type != NodeType::Suspend || node.phase.is_fulfilled() || edited == node {
                continue;
            }
            let (outputs, message, display) =
                (edited.outputs.clone(), edited.message.clone(), edited.display_name.clone());
            self.update_node(id, |n| {
                set(&mut n.outputs, outputs) | set(&mut n.message, message) | set(&mut n.display_name, display)
            });
            if edited.phase.is_fulfilled() {
                self.end_suspend(id, edited.phase, "");
            }
        }
    }

    /// Stop and Terminate end what runs; Stop spares exit handlers.
    fn on_shutdown(&mut self) {
        let strategy = self.object.spec.shutdown.clone();
        if self.stage == Stage::Held {
            return self.complete(api::WorkflowPhase::Failed, &format!("Stopped with strategy '{strategy}'"));
        }
        let spare_exit = strategy != "Terminate";
        let leaves: Vec<(ArcStr, bool)> = self
            .frames
            .iter()
            .flatten()
            .filter(|f| !matches!(f.body, Body::Steps(_) | Body::Dag(_)))
            .filter(|f| !spare_exit || !f.call.on_exit)
            .map(|f| (f.call.id.clone(), matches!(f.body, Body::Retry(_))))
            .collect();
        for (id, retry) in leaves {
            if retry {
                self.on_backoff_over_if_waiting(&id);
                continue;
            }
            match self.node(&id).map(|n| (n.r#type, n.phase)) {
                Some((NodeType::Suspend, _)) => {
                    self.end_suspend(&id, NodePhase::Failed, &format!("Stopped with strategy '{strategy}'"))
                }
                Some((NodeType::Pod, NodePhase::Pending)) => {
                    if let Some(name) = self.pod_of(&id) {
                        self.commands.push(Command::Cluster {
                            node_id: id.clone(),
                            command: ClusterCommand::DeletePod { name },
                        });
                    }
                    self.update_node(&id, |n| set(&mut n.task_result_synced, Some(true)));
                    self.mark(&id, NodePhase::Failed, Some(&format!("workflow shutdown with strategy: {strategy}")));
                    if let Some(frame) = self.live(&id) {
                        self.end_frame(frame);
                    }
                }
                Some((NodeType::Pod, _)) => self.stop_pod(&id),
                Some(_) | None => {}
            }
        }
        self.refuse_held(&format!("workflow shutdown with strategy: {strategy}"));
    }

    /// A retry node between two attempts does not get the next one.
    fn on_backoff_over_if_waiting(&mut self, id: &str) {
        let waiting = self.attempts_of(id).last().is_some_and(|last| self.phase_of(last).is_fulfilled());
        if waiting {
            self.on_backoff_over(id);
        }
    }

    pub(crate) fn on_deleted(&mut self) {
        if self.stage != Stage::Done {
            self.complete(api::WorkflowPhase::Failed, "the workflow was deleted");
        }
    }
}
