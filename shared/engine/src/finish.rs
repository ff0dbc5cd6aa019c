//! Ends: of composite nodes, of the entry node, of the workflow.

use std::sync::Arc;

use arcstr::ArcStr;
use argosy_api::{
    labels,
    message::ClusterCommand,
    v1alpha1::{LifecycleHook, NodeFlag, NodePhase, NodeStatus, NodeType, Time, WorkflowPhase, WorkflowStep},
};
use argosy_template::tags;
use serde_json::{Value, json};

use crate::{
    Command, Workflow,
    bugs::{bug, count_down},
    call::Call,
    expressions,
    frame::{Body, FrameId, Parent},
    library::TemplateScope,
    nodes::set,
    publish::Field,
    workflow::{Stage, Work},
};

impl Workflow {
    /// Ends a Steps or DAG node: its daemons with it.
    pub(crate) fn end_composite(&mut self, frame: FrameId, phase: NodePhase, message: &str, outbound: Vec<ArcStr>) {
        let Some(node_id) = self.frame(frame).map(|f| f.call.id.clone()) else {
            return bug!(self, "", "a Steps or DAG node ends that has no frame");
        };
        self.set_outbound(&node_id, outbound);
        self.mark(&node_id, phase, Some(message));
        self.stop_daemons(&node_id);
        self.close_boundary(frame);
        self.end_frame(frame);
    }

    /// `failFast` of a template: the node fails at once, and so does the group that runs.
    pub(crate) fn fail_fast(&mut self, frame: FrameId) {
        const MESSAGE: &str = "template has failed or errored children and failFast enabled";
        if let Some(Body::Steps(steps)) = self.frame(frame).map(|f| &f.body) {
            let group = steps.group_id.clone();
            self.mark(&group, NodePhase::Failed, Some(MESSAGE));
        }
        self.end_composite(frame, NodePhase::Failed, MESSAGE, Vec::new());
    }

    /// Daemons end with their boundary, as successes.
    fn stop_daemons(&mut self, boundary: &str) {
        for id in self.daemons.remove(boundary).unwrap_or_default() {
            if self.node(&id).and_then(|n| n.daemoned) != Some(true) {
                continue;
            }
            if self.node(&id).is_some_and(|n| n.r#type == NodeType::Pod) {
                self.stop_pod(&id);
            }
            self.update_node(&id, |n| {
                let is_leaf = n.r#type.executes();
                let progress = crate::pods::completed(&n.progress);
                set(&mut n.daemoned, None)
                    | (is_leaf && set(&mut n.progress, progress))
                    | (is_leaf && set(&mut n.task_result_synced, Some(true)))
            });
            self.mark(&id, NodePhase::Succeeded, Some(""));
            if let Some(frame) = self.live(&id) {
                self.set_live(&id, None);
                self.disarm(&id);
                if let Some(slot) = self.frames.get_mut(frame as usize) {
                    *slot = None;
                }
            }
        }
    }

    pub(crate) fn entry_fulfilled(&mut self) {
        if self.stage != Stage::Running {
            return;
        }
        self.stage = Stage::Exiting;
        self.globals.values.insert("workflow.status".to_owned(), self.implied_phase().to_string());
        self.start_workflow_hooks();
        if self.hooks_open == 0 {
            self.start_exit_handler();
        }
    }

    fn entry(&self) -> Option<&NodeStatus> {
        let entry = self.node(&self.object.metadata.name);
        if entry.is_none() {
            bug!(self, &self.object.metadata.name, "the workflow ends without an entry node");
        }
        entry
    }

    /// The phase that the entry node gives the workflow.
    fn implied_phase(&self) -> WorkflowPhase {
        match self.entry().map(|n| n.phase).unwrap_or_default() {
            NodePhase::Succeeded | NodePhase::Skipped | NodePhase::Omitted => WorkflowPhase::Succeeded,
            NodePhase::Failed => WorkflowPhase::Failed,
            NodePhase::Error => WorkflowPhase::Error,
            NodePhase::Unknown | NodePhase::Pending | NodePhase::Running => WorkflowPhase::Running,
        }
    }

    /// Begins the workflow's hooks whose expression holds now.
    pub(crate) fn start_workflow_hooks(&mut self) {
        let spec = self.spec.clone();
        if spec.hooks.keys().all(|key| key == "exit") {
            return;
        }
        self.globals.values.entry("workflow.status".to_owned()).or_insert_with(|| WorkflowPhase::Running.to_string());
        for (key, hook) in spec.hooks.iter().filter(|(key, _)| key.as_str() != "exit") {
            if self.hooks_begun.contains(key) {
                continue;
            }
            let name = arcstr::format!("{}.hooks.{key}", self.object.metadata.name);
            // As for the hooks of steps and tasks.
            let holds = if self.has_node(&name) { Ok(true) } else { self.hook_holds(hook) };
            match holds {
                Ok(true) => {}
                Ok(false) => continue,
                Err(message) => {
                    // Before the entry node is there, nothing can be in error; the hook is judged again when that ends.
                    let entry = self.id_of(&self.object.metadata.name);
                    self.fail_node(&entry, &message);
                    continue;
                }
            }
            self.hooks_begun.insert(key.clone());
            self.hooks_open += 1;
            self.call_hook(name, hook, Parent::WorkflowHook(key.clone()));
        }
    }

    fn hook_holds(&self, hook: &LifecycleHook) -> Result<bool, String> {
        if hook.expression.is_empty() {
            return Ok(true);
        }
        expressions::eval_bool(&hook.expression, &expressions::environment(&self.globals), &self.globals)
    }

    fn call_hook(&mut self, name: ArcStr, hook: &LifecycleHook, parent: Parent) {
        let step = WorkflowStep {
            template: hook.template.clone(),
            template_ref: hook.template_ref.clone(),
            arguments: hook.arguments.clone(),
            ..Default::default()
        };
        let mut value = crate::publish::json(&step);
        // The workflow's own arguments are data; they were settled with its variables.
        let rendered = step.arguments != self.spec.arguments
            && tags::render_value(&mut value, &self.globals, &tags::Options::once()).is_ok();
        let step = if rendered { argosy_api::v1alpha1::from_value(value).unwrap_or(step) } else { step };
        let call = Call {
            id: self.claim_id(&name),
            name,
            step_name: ArcStr::new(),
            step: Arc::new(step),
            boundary: None,
            scope: TemplateScope::Local,
            parent,
            flag: NodeFlag { hooked: true, ..Default::default() },
            on_exit: true,
            depth: 0,
            attempt: None,
        };
        self.work.push_back(Work::Call(Arc::new(call)));
    }

    pub(crate) fn workflow_hook_fulfilled(&mut self) {
        count_down!(self, self.hooks_open, "");
        if self.hooks_open == 0 && self.stage == Stage::Exiting {
            self.start_exit_handler();
        }
    }

    fn start_exit_handler(&mut self) {
        let hook = self.spec.hooks.get("exit").cloned().or_else(|| {
            let template = self.spec.on_exit.clone();
            let arguments = self.spec.arguments.clone();
            (!template.is_empty()).then(|| LifecycleHook { template, arguments, ..Default::default() })
        });
        self.set_exit_variables();
        let name = arcstr::format!("{}.onExit", self.object.metadata.name);
        // One that has begun is waited for, also when it would not begin any more.
        let has_begun = self.has_node(&name);
        let Some(hook) = hook.filter(|_| has_begun || self.object.spec.shutdown != "Terminate") else {
            return self.conclude();
        };
        match if has_begun { Ok(true) } else { self.hook_holds(&hook) } {
            Ok(true) => self.call_hook(name, &hook, Parent::OnExit),
            Ok(false) => self.conclude(),
            Err(message) => {
                self.complete(WorkflowPhase::Error, &format!("error in exit template execution : {message}"))
            }
        }
    }

    fn set_exit_variables(&mut self) {
        let seconds = self.object.status.started_at.map_or(0.0, |t| self.now.duration_since(t.0).as_secs_f64());
        let nodes = self.object.status.nodes.unordered();
        let mut failed: Vec<&NodeStatus> = nodes.filter(|n| n.phase.is_failed_or_error()).collect();
        failed.sort_by(|a, b| a.id.cmp(&b.id));
        let failed: Vec<Value> = failed.into_iter().map(|n| self.failure_of(n)).collect();
        let failures = if failed.is_empty() { "null".to_owned() } else { Value::Array(failed).to_string() };
        self.globals.values.insert("workflow.status".to_owned(), self.implied_phase().to_string());
        self.globals.values.insert("workflow.duration".to_owned(), format!("{seconds:.6}"));
        self.globals.values.insert("workflow.failures".to_owned(), Value::String(failures).to_string());
    }

    fn failure_of(&self, node: &NodeStatus) -> Value {
        json!({
            "displayName": node.display_name,
            "message": node.message,
            "templateName": node.template_name,
            "phase": node.phase,
            "podName": self.pod_of(&node.id).unwrap_or_default(),
            "finishedAt": node.finished_at,
        })
    }

    pub(crate) fn exit_fulfilled(&mut self) {
        if self.stage == Stage::Exiting {
            self.conclude();
        }
    }

    fn conclude(&mut self) {
        let phase = self.implied_phase();
        let entry_message = self.entry().map(|n| n.message.clone()).unwrap_or_default();
        let exit = self.node(&self.id_of(&format!("{}.onExit", self.object.metadata.name))).cloned();
        let message = match phase {
            WorkflowPhase::Succeeded => ArcStr::new(),
            _ if !self.object.spec.shutdown.is_empty() => {
                arcstr::format!("Stopped with strategy '{}'", self.object.spec.shutdown)
            }
            _ => entry_message,
        };
        match exit.filter(|n| phase == WorkflowPhase::Succeeded && n.phase.is_failed_or_error()) {
            Some(exit) if exit.phase == NodePhase::Failed => self.complete(WorkflowPhase::Failed, &exit.message),
            Some(exit) => self.complete(WorkflowPhase::Error, &exit.message),
            None => self.complete(phase, &message),
        }
    }

    /// The workflow ends: whatever of it still runs ends too.
    pub(crate) fn complete(&mut self, phase: WorkflowPhase, message: &str) {
        if self.stage == Stage::Done {
            return;
        }
        // No pod comes of a wish of this very step.
        let creates =
            |command: &Command| matches!(command, Command::Cluster { command: ClusterCommand::CreatePod { .. }, .. });
        self.commands.retain(|command| !creates(command));
        for id in self.live_pods().into_iter().chain(self.orphans()) {
            self.stop_pod(&id);
        }
        self.stage = Stage::Done;
        self.frames.clear();
        self.live.clear();
        self.work.clear();
        self.held_by_workflow.clear();
        self.held_by_boundary.clear();
        self.timers.clear();
        self.set_phase(phase, message);
        self.object.status.finished_at = Some(Time::new(self.now));
        self.delta.fields.insert(Field::FinishedAt);
        if self.object.status.conditions.iter().any(|c| c.r#type == "PodRunning") {
            self.set_condition("PodRunning", "False");
        }
        self.set_condition("Completed", "True");
        self.set_label(labels::COMPLETED, "true");
        self.settle_progress();
        self.sum_resources();
        self.delete_claims(phase);
        self.end_strays();
        self.delta.completed = true;
    }

    fn live_pods(&self) -> Vec<ArcStr> {
        let ids = self.frames.iter().flatten().map(|frame| &frame.call.id);
        ids.filter(|id| self.node(id).is_some_and(|n| n.r#type == NodeType::Pod)).cloned().collect()
    }

    fn sum_resources(&mut self) {
        if !self.resources.sum.is_empty() {
            self.object.status.resources_duration = self.resources.sum.clone();
            self.delta.fields.insert(Field::ResourcesDuration);
        }
    }

    /// Claims made from templates go with a workflow that succeeded, or with any, as `volumeClaimGC` says.
    fn delete_claims(&mut self, phase: WorkflowPhase) {
        let strategy = self.spec.volume_claim_gc.as_ref().map_or("", |gc| gc.strategy.as_str());
        if phase != WorkflowPhase::Succeeded && strategy != "OnWorkflowCompletion" {
            return;
        }
        let claims = std::mem::take(&mut self.object.status.persistent_volume_claims);
        if claims.is_empty() {
            return;
        }
        for claim in &claims {
            let name = claim
                .pointer("/persistentVolumeClaim/claimName")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            let command = ClusterCommand::DeleteObject {
                api_version: "v1".into(),
                resource_kind: "PersistentVolumeClaim".into(),
                name,
            };
            self.commands.push(Command::Cluster { node_id: self.object.metadata.name.as_str().into(), command });
        }
        self.delta.fields.insert(Field::Claims);
    }
}
