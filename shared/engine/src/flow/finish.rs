//! Ends: of composite nodes, of the entry node, of the workflow.

use std::sync::Arc;

use arcstr::ArcStr;
use argosy_api::{
    message::ClusterCommand,
    v1alpha1::{LifecycleHook, NodeFlag, NodePhase, NodeStatus, NodeType, WorkflowPhase, WorkflowStep},
};
use argosy_template::tags;
use serde_json::{Value, json};

use crate::{
    Workflow,
    state::{Body, Call, FrameId, Parent, Stage, TemplateScope, Work, bug, set},
    values::expressions,
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
                let progress = crate::state::completed(&n.progress);
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

    pub(crate) fn entry_fulfilled(&mut self) {
        if !self.life.is(Stage::Running) {
            return;
        }
        self.life.enter(Stage::Exiting);
        self.globals.set("status", self.implied_phase().to_string());
        self.start_workflow_hooks();
        if !self.life.has_open_hooks() {
            self.start_exit_handler();
        }
    }

    fn entry(&self) -> Option<&NodeStatus> {
        let entry = self.book.node(self.book.name());
        if entry.is_none() {
            bug!(self, self.book.name(), "the workflow ends without an entry node");
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
        let spec = self.plan.spec().clone();
        if spec.hooks.keys().all(|key| key == "exit") {
            return;
        }
        self.globals.set_default("status", || WorkflowPhase::Running.to_string());
        for (key, hook) in spec.hooks.iter().filter(|(key, _)| key.as_str() != "exit") {
            if self.life.has_hook_begun(key) {
                continue;
            }
            let name = arcstr::format!("{}.hooks.{key}", self.book.name());
            // As for the hooks of steps and tasks.
            let holds = if self.book.has_node(&name) { Ok(true) } else { self.hook_holds(hook) };
            match holds {
                Ok(true) => {}
                Ok(false) => continue,
                Err(message) => {
                    // Before the entry node is there, nothing can be in error; the hook is judged again when that ends.
                    let entry = self.book.id_of(self.book.name());
                    self.fail_node(&entry, &message);
                    continue;
                }
            }
            self.life.hook_begins(key);
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
        let mut value = crate::json::json(&step);
        // The workflow's own arguments are data; they were settled with its variables.
        let rendered = step.arguments != self.plan.spec().arguments
            && tags::render_value(&mut value, &self.globals, &tags::Options::once()).is_ok();
        let step = if rendered { argosy_api::v1alpha1::from_value(value).unwrap_or(step) } else { step };
        let call = Call {
            id: self.book.claim_id(&name),
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
        self.agenda.push(Work::Call(Arc::new(call)));
    }

    pub(crate) fn workflow_hook_fulfilled(&mut self) {
        if !self.life.hook_ends() {
            bug!(self, "", "a hook of the workflow ends, and none is open");
        }
        if !self.life.has_open_hooks() && self.life.is(Stage::Exiting) {
            self.start_exit_handler();
        }
    }

    fn start_exit_handler(&mut self) {
        let hook = self.plan.spec().hooks.get("exit").cloned().or_else(|| {
            let template = self.plan.spec().on_exit.clone();
            let arguments = self.plan.spec().arguments.clone();
            (!template.is_empty()).then(|| LifecycleHook { template, arguments, ..Default::default() })
        });
        self.set_exit_variables();
        let name = arcstr::format!("{}.onExit", self.book.name());
        // One that has begun is waited for, also when it would not begin any more.
        let has_begun = self.book.has_node(&name);
        let Some(hook) = hook.filter(|_| has_begun || self.book.spec().shutdown != "Terminate") else {
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
        let seconds = self.book.status().started_at.map_or(0.0, |t| self.clock.now().duration_since(t.0).as_secs_f64());
        let nodes = self.book.nodes().unordered();
        let mut failed: Vec<&NodeStatus> = nodes.filter(|n| n.phase.is_failed_or_error()).collect();
        failed.sort_by(|a, b| a.id.cmp(&b.id));
        let failed: Vec<Value> = failed.into_iter().map(|n| self.failure_of(n)).collect();
        let failures = if failed.is_empty() { "null".to_owned() } else { Value::Array(failed).to_string() };
        self.globals.set("status", self.implied_phase().to_string());
        self.globals.set("duration", format!("{seconds:.6}"));
        self.globals.set("failures", Value::String(failures).to_string());
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
        if self.life.is(Stage::Exiting) {
            self.conclude();
        }
    }

    fn conclude(&mut self) {
        let phase = self.implied_phase();
        let entry_message = self.entry().map(|n| n.message.clone()).unwrap_or_default();
        let exit = self.book.node(&self.book.id_of(&format!("{}.onExit", self.book.name()))).cloned();
        let message = match phase {
            WorkflowPhase::Succeeded => ArcStr::new(),
            _ if !self.book.spec().shutdown.is_empty() => {
                arcstr::format!("Stopped with strategy '{}'", self.book.spec().shutdown)
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
        if self.life.is_done() {
            return;
        }
        // No pod comes of a wish of this very step.
        self.agenda.drop_new_pods();
        for id in self.live_pods().into_iter().chain(self.orphans()) {
            self.stop_pod(&id);
        }
        self.life.enter(Stage::Done);
        self.life.has_ended_at(self.book.watermark());
        self.book.record_end(self.life.ended_at());
        self.frames.clear();
        self.agenda.drop_work();
        self.held.clear();
        self.timers.clear();
        let now = self.time();
        self.book.finish(phase, message, now);
        self.delete_claims(phase);
        self.end_strays();
    }

    fn live_pods(&self) -> Vec<ArcStr> {
        let ids = self.frames.iter().map(|frame| &frame.call.id);
        ids.filter(|id| self.book.node(id).is_some_and(|n| n.r#type == NodeType::Pod)).cloned().collect()
    }

    /// Claims made from templates go with a workflow that succeeded, or with any, as `volumeClaimGC` says.
    fn delete_claims(&mut self, phase: WorkflowPhase) {
        let strategy = self.plan.spec().volume_claim_gc.as_ref().map_or("", |gc| gc.strategy.as_str());
        if phase != WorkflowPhase::Succeeded && strategy != "OnWorkflowCompletion" {
            return;
        }
        for claim in self.book.take_claims() {
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
            self.agenda.wish_cluster(self.book.name().into(), command);
        }
    }
}
