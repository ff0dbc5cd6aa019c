//! Hooks of the workflow, and its exit handler.

use std::sync::Arc;

use arcstr::ArcStr;
use argosy_api::v1alpha1::{LifecycleHook, NodeFlag, NodeStatus, WorkflowPhase, WorkflowStep};
use argosy_template::tags;
use serde_json::{Value, json};

use crate::{
    Workflow,
    state::{Call, Parent, Stage, TemplateScope, Work, bug},
    values::expressions,
};

impl Workflow {
    /// Begins the workflow's hooks whose expression holds now.
    pub(crate) fn start_workflow_hooks(&mut self) {
        let spec = self.plan.spec().clone();
        if spec.hooks.keys().all(|key| key == "exit") {
            return;
        }
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

    pub(super) fn start_exit_handler(&mut self) {
        let hook = self.exit_hook(&self.plan.spec().on_exit, self.plan.spec().hooks.get("exit"));
        self.set_exit_variables();
        let name = arcstr::format!("{}.onExit", self.book.name());
        // One that has begun is waited for, also when it would not begin any more.
        let has_begun = self.book.has_node(&name);
        let Some(hook) = hook.filter(|_| has_begun || !self.is_terminated()) else {
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
            "templateName": node.template_ref.as_ref().map_or(node.template_name.as_str(), |r| &r.template),
            "phase": node.phase,
            "podName": self.pod_of(&node.id).unwrap_or_default(),
            "finishedAt": node.finished_at,
        })
    }
}
