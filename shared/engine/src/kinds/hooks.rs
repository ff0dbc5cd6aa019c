//! Hooks of steps and tasks. Those of the workflow are in [`crate::flow`].

use std::sync::Arc;

use arcstr::ArcStr;
use argosy_api::v1alpha1::{LifecycleHook, NodeFlag, NodePhase, NodeType, WorkflowStep};
use argosy_template::{Scope, tags::Layered};

use super::steps::StepsEvent;
use crate::{
    Workflow,
    state::{Body, Call, Child, Frame, FrameId, Parent, Work, bug},
    values::{expressions, scope::LocalScope},
};

impl Workflow {
    /// Begins the hooks of a child whose time has come: each at most once.
    pub(super) fn fire_hooks(&mut self, frame: FrameId, child: usize) {
        let state = self.frame(frame).and_then(Frame::children).and_then(|c| c.get(child));
        // The boundary may have ended, or the child have settled for good: nothing begins any more.
        let Some(call) = state.and_then(|state| state.call.as_ref()) else { return };
        if call.step.hooks.is_empty() && call.step.on_exit.is_empty() {
            return;
        }
        let call = call.clone();
        let (step, node_name) = (&call.step, &call.name);
        let Some(phase) = self.book.node(&call.id).map(|n| n.phase) else {
            return bug!(self, &call.id, "a child changed that has no node");
        };
        if phase.is_completed() {
            let exit = step.hooks.get("exit").cloned().or_else(|| exit_hook(step));
            if let Some(hook) = exit {
                self.fire_hook(frame, child, "exit", &hook, arcstr::format!("{node_name}.onExit"));
            }
        }
        if matches!(phase, NodePhase::Skipped | NodePhase::Omitted) {
            return;
        }
        if self.is_item_of_task(frame, child) {
            return;
        }
        for (key, hook) in step.hooks.iter().filter(|(key, _)| key.as_str() != "exit") {
            self.fire_hook(frame, child, key, hook, arcstr::format!("{node_name}.hooks.{key}"));
        }
    }

    /// Whether it is time for a hook. Errors: an expression that cannot be evaluated, or is not there.
    fn hook_holds_for(&self, frame: FrameId, key: &str, hook: &LifecycleHook, name: &str) -> Result<bool, String> {
        if hook.expression.is_empty() {
            let needless = key == "exit";
            return if needless { Ok(true) } else { Err(format!("Expression required for hook {name}")) };
        }
        let scope = LocalScope::new(self, frame);
        let scope = Layered::new([&scope as &dyn Scope, &self.globals]);
        expressions::eval_bool(&hook.expression, &expressions::environment(&scope), &self.globals)
    }

    /// A hook that cannot be judged: its step's group is in error, or its task.
    fn hook_failed(&mut self, frame: FrameId, child: usize, key: &str, message: &str) {
        if let Some(state) = self.child_mut(frame, child) {
            state.hooks.get_or_insert_default().begun.push(key.to_owned());
        }
        let Some(owner) = self.frame(frame) else { return };
        match &owner.body {
            Body::Steps(_) => self.on_steps_event(frame, StepsEvent::StepErrored { message }),
            Body::Dag(_) => {
                let call = owner.children().and_then(|c| c.list().get(child)).and_then(|state| state.call.as_ref());
                let Some(id) = call.map(|call| call.id.clone()) else { return };
                self.fail_node(&id, message);
                self.agenda.push(Work::Fulfilled(Parent::Child { frame, child }));
            }
            Body::Leaf | Body::Retry(_) => {}
        }
    }

    fn fire_hook(&mut self, frame: FrameId, child: usize, key: &str, hook: &LifecycleHook, name: ArcStr) {
        let has_begun = |c: &mut Child| c.hooks.as_ref().is_some_and(|hooks| hooks.begun.iter().any(|k| k == key));
        let begun = self.child_mut(frame, child).is_none_or(has_begun);
        if begun {
            return;
        }
        // One that has a node has begun, whether or not its time would be now: the workflow may be taken up anew.
        let holds = if self.book.has_node(&name) { Ok(true) } else { self.hook_holds_for(frame, key, hook, &name) };
        match holds {
            Ok(true) => {}
            Ok(false) => return,
            Err(message) => return self.hook_failed(frame, child, key, &message),
        }
        let step = WorkflowStep {
            template: hook.template.clone(),
            template_ref: hook.template_ref.clone(),
            arguments: hook.arguments.clone(),
            ..Default::default()
        };
        let step = Arc::new(step);
        let resolved = self.resolve_step(frame, &step);
        let id = self.book.claim_id(&name);
        let Some(owner) = self.frame(frame) else {
            return bug!(self, &id, "a hook begins in a node that has no frame");
        };
        let call = Call {
            id,
            name,
            step_name: ArcStr::new(),
            step: resolved.clone().unwrap_or(step),
            boundary: Some(frame),
            scope: owner.inner_scope(),
            parent: Parent::ChildHook { frame, child },
            flag: NodeFlag { hooked: true, ..Default::default() },
            on_exit: true,
            depth: owner.call.depth + 1,
            attempt: None,
        };
        if let Some(state) = self.child_mut(frame, child) {
            let hooks = state.hooks.get_or_insert_default();
            hooks.begun.push(key.to_owned());
            hooks.open += 1;
        }
        match resolved {
            Ok(_) => self.agenda.push(Work::Call(Arc::new(call))),
            Err(message) => {
                self.create_called(&call, NodeType::Skipped, NodePhase::Error, &message);
                self.agenda.push(Work::Fulfilled(call.parent));
            }
        }
    }
}

/// The older way to name an exit hook.
fn exit_hook(step: &WorkflowStep) -> Option<LifecycleHook> {
    (!step.on_exit.is_empty()).then(|| LifecycleHook { template: step.on_exit.clone(), ..Default::default() })
}
