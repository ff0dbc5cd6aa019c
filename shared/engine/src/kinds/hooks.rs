//! Hooks of steps and tasks. Those of the workflow are in [`crate::flow`].

use std::{borrow::Cow, sync::Arc};

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
        // A node of a workflow that is terminated has no exit handler; one that has begun is waited for.
        if phase.is_completed()
            && let Some(hook) = self.exit_hook(&step.on_exit, step.hooks.get("exit"))
        {
            let exit_name = arcstr::format!("{node_name}.onExit");
            if !self.is_terminated() || self.book.has_node(&exit_name) {
                self.fire_hook(frame, child, "exit", &hook, exit_name);
            }
        }
        if phase == NodePhase::Skipped {
            return;
        }
        if self.is_item_of_task(frame, child) {
            return;
        }
        for (key, hook) in step.hooks.iter().filter(|(key, _)| key.as_str() != "exit") {
            self.fire_hook(frame, child, key, hook, arcstr::format!("{node_name}.hooks.{key}"));
        }
    }

    /// What runs at the end: `onExit` comes before a hook. It gets the workflow's arguments where it has none of its own.
    pub(crate) fn exit_hook(&self, on_exit: &str, hook: Option<&LifecycleHook>) -> Option<LifecycleHook> {
        let arguments = || self.plan.spec().arguments.clone();
        if !on_exit.is_empty() {
            let template = on_exit.to_owned();
            return Some(LifecycleHook { template, arguments: arguments(), ..Default::default() });
        }
        let mut hook = hook?.clone();
        if hook.arguments == Default::default() {
            hook.arguments = arguments();
        }
        Some(hook)
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
        self.hook_errored(frame, child, message);
    }

    /// A hook came to a mistake: its step's group is in error, or its task.
    pub(super) fn hook_errored(&mut self, frame: FrameId, child: usize, message: &str) {
        let Some(owner) = self.frame(frame) else { return };
        match &owner.body {
            Body::Steps(_) => self.on_steps_event(frame, StepsEvent::StepErrored { message }),
            Body::Dag(_) => {
                let call = owner.children().and_then(|c| c.get(child)).and_then(|state| state.call.as_ref());
                let Some(id) = call.map(|call| call.id.clone()) else { return };
                self.fail_node(&id, message);
                self.agenda.push(Work::Fulfilled(Parent::Child { frame, child }));
            }
            Body::Leaf | Body::Retry(_) => {}
        }
    }

    /// The hook's call with everything put in that it may name: what came before its step, and of the step itself the status
    /// and the output parameters. A hook that is no exit hook gets nothing of these where its step has no outputs. What else it
    /// names stays as it is written. Source: the recorded runs; Argo `resolveExitTmplArgument`.
    fn resolve_hook(
        &self,
        frame: FrameId,
        child: usize,
        key: &str,
        step: &Arc<WorkflowStep>,
    ) -> Result<Arc<WorkflowStep>, String> {
        let call = self.frame(frame).and_then(Frame::children).and_then(|c| c.get(child)).and_then(|c| c.call.as_ref());
        let own = call.map(|call| call.step_name.split('(').next().unwrap_or_default().to_owned()).unwrap_or_default();
        let has_outputs = call.and_then(|call| self.book.node(&call.id)).is_some_and(|node| node.outputs.is_some());
        let steps = LocalScope::new(self, frame);
        let scope = HookScope { own: &own, sees_steps: key == "exit" || has_outputs, steps: &steps };
        self.resolve_texts(frame, step, &Layered::new([&scope as &dyn Scope, &self.globals]))
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
        // The workflow's own arguments are data; they were settled with its variables.
        let is_data = key == "exit" && hook.arguments == self.plan.spec().arguments;
        let resolved = if is_data { Ok(step.clone()) } else { self.resolve_hook(frame, child, key, &step) };
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

/// What a hook may name of the steps or tasks of its frame.
struct HookScope<'a> {
    /// The step or task that it belongs to.
    own: &'a str,
    sees_steps: bool,
    steps: &'a LocalScope<'a>,
}

impl HookScope<'_> {
    fn shows(&self, name: &str) -> bool {
        let Some(of_step) = name.strip_prefix("steps.").or_else(|| name.strip_prefix("tasks.")) else { return true };
        let is_own = of_step.strip_prefix(self.own).and_then(|rest| rest.strip_prefix('.'));
        self.sees_steps && is_own.is_none_or(|rest| rest == "status" || rest.starts_with("outputs.parameters"))
    }
}

impl Scope for HookScope<'_> {
    fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        // A hook is a step without a name.
        if name == "steps.name" {
            return Some(Cow::Borrowed(""));
        }
        self.steps.get(name).filter(|_| self.shows(name))
    }

    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.steps.keys().filter(|name| self.shows(name)))
    }
}
