//! What steps and tasks have in common: their nodes, `when`, hooks.

use std::sync::Arc;

use arcstr::ArcStr;
use argosy_api::v1alpha1::{LifecycleHook, NodeFlag, NodePhase, NodeType, WorkflowStep};
use argosy_template::{Scope, tags::Layered, when};

use crate::{
    Workflow, size,
    state::{Body, Call, Child, Children, Frame, FrameId, NewNode, Parent, Work, bug, set, set_text},
    values::{expand::Item, expressions, scope::LocalScope},
};

/// Items of a loop up to which its size is not looked at: no step is larger than an object of the API may be.
const SMALL_LOOP: usize = 64;

/// Bytes of the name of a step with its item. The node's name, its display name and its pod's annotation have it.
const ITEM_NAME_BYTES_MAX: usize = 32 * 1024;

/// Message of a loop without items.
pub(crate) const EMPTY_LOOP: &str = "Skipped, empty params";

impl Workflow {
    /// Errors: more items than the workflow may have nodes, `before` of which are about to be added already; steps that would
    /// take more memory than they may; an item whose name is too long.
    pub(crate) fn check_items(&self, step: &WorkflowStep, items: usize, before: usize) -> Result<(), String> {
        self.check_nodes(before + items)?;
        self.check_loop(step, items)
    }

    /// Errors: an item of the loop has a name that no node can have.
    pub(crate) fn check_names(unrolled: &[Item]) -> Result<(), String> {
        match unrolled.iter().find(|item| item.name.len() > ITEM_NAME_BYTES_MAX) {
            None => Ok(()),
            Some(item) => Err(format!(
                "an item of the loop is {} bytes long, of {ITEM_NAME_BYTES_MAX} at most: nodes are named by their items. \
                 Pass large values as artifacts, and loop over their names",
                item.name.len()
            )),
        }
    }

    /// Errors: the steps of a loop take more memory than they may, each with the step's arguments.
    fn check_loop(&self, step: &WorkflowStep, items: usize) -> Result<(), String> {
        if items < SMALL_LOOP {
            return Ok(());
        }
        let one =
            WorkflowStep { with_items: Vec::new(), with_param: String::new(), with_sequence: None, ..step.clone() };
        let (bytes, limit) = (size::of(&one).saturating_mul(items), self.plan.config().loop_bytes_max);
        if bytes <= limit {
            return Ok(());
        }
        Err(format!(
            "the steps of this loop take {bytes} bytes, of {limit} at most: {items} items with all arguments. Pass large values \
             as artifacts; an operator can raise the limit with --loop-bytes-max"
        ))
    }

    /// Adds a child to a frame. `when` decides whether it is a skipped node, or a call, which is then to be made.
    ///
    /// Errors: a `when` that cannot be evaluated; the child's node has the message.
    pub(crate) fn add_child(
        &mut self,
        frame: FrameId,
        item: Item,
        node_name: ArcStr,
        task: usize,
    ) -> Result<Option<Arc<Call>>, String> {
        let Some(call) = self.enlist(frame, item, node_name, task) else { return Ok(None) };
        let verdict = if call.step.when.is_empty() {
            Ok(true)
        } else {
            when::evaluate_within(&call.step.when, &self.plan.config().limits).map_err(|e| e.to_string())
        };
        match verdict {
            Ok(true) => Ok(Some(call)),
            Ok(false) => {
                let message = format!("when '{}' evaluated false", call.step.when);
                self.create_called(&call, NodeType::Skipped, NodePhase::Skipped, &message);
                self.agenda.push(Work::Fulfilled(call.parent.clone()));
                Ok(None)
            }
            Err(message) => {
                self.create_called(&call, NodeType::Skipped, NodePhase::Error, &message);
                self.agenda.push(Work::Fulfilled(call.parent.clone()));
                Err(message)
            }
        }
    }

    /// A loop over nothing is a skipped node.
    pub(crate) fn add_empty_loop(&mut self, frame: FrameId, step: Arc<WorkflowStep>, name: &str, node_name: ArcStr) {
        if let Some(call) = self.enlist(frame, Item { name: name.into(), step }, node_name, 0) {
            self.create_called(&call, NodeType::Skipped, NodePhase::Skipped, EMPTY_LOOP);
            self.agenda.push(Work::Fulfilled(call.parent.clone()));
        }
    }

    /// Adds a child to a frame; answers the call that it stands for.
    pub(crate) fn enlist(&mut self, frame: FrameId, item: Item, node_name: ArcStr, task: usize) -> Option<Arc<Call>> {
        let id = self.book.claim_id(&node_name);
        let Some(owner) = self.frame(frame) else {
            bug!(self, &id, "a child is added to a node that has no frame");
            return None;
        };
        let call = Call {
            name: node_name,
            id,
            step_name: item.name,
            step: item.step,
            boundary: Some(frame),
            scope: owner.inner_scope(),
            parent: Parent::Child { frame, child: owner.children().map_or(0, Children::next) },
            flag: NodeFlag::default(),
            on_exit: owner.call.on_exit,
            depth: owner.call.depth + 1,
            attempt: None,
        };
        let call = Arc::new(call);
        let child = Child::new(call.clone(), task);
        if let Some(children) = self.frame_mut(frame).and_then(Frame::children_mut) {
            children.push(child);
        }
        Some(call)
    }

    /// Creates the node of a call and hangs it below what it follows. One that exists stays as it is.
    pub(crate) fn create_called(&mut self, call: &Call, kind: NodeType, phase: NodePhase, message: &str) -> ArcStr {
        let id = call.id.clone();
        if self.book.node(&id).is_some() {
            return id;
        }
        let scope = self.scope_label(&call.scope);
        let boundary = self.boundary_id(call);
        self.create_node(NewNode {
            id: id.clone(),
            name: call.name.clone(),
            step_name: Some(&call.step_name),
            kind,
            step: Some(&call.step),
            scope,
            boundary,
            phase,
            flag: call.flag.clone(),
            message,
        });
        for parent in self.graph_parents(&call.parent) {
            self.book.link(parent, &id);
        }
        id
    }

    /// The places of the nodes that a call's node becomes a child of.
    fn graph_parents(&self, parent: &Parent) -> Vec<usize> {
        match parent {
            Parent::Entry | Parent::OnExit | Parent::WorkflowHook(_) => Vec::new(),
            Parent::Attempt { frame } => {
                let owner = self.frame(*frame).map(|f| &f.call.id);
                self.book.places_of(owner).collect()
            }
            Parent::ChildHook { frame, child } => {
                let owner = self.frame(*frame).and_then(Frame::children).and_then(|c| c.get(*child));
                let call = owner.and_then(|c| c.call.as_ref());
                self.book.places_of(call.map(|call| &call.id)).collect()
            }
            Parent::Child { frame, child } => match self.frame(*frame).map(|f| &f.body) {
                Some(Body::Steps(steps)) => self.book.places_of([steps.group_id()]).collect(),
                Some(Body::Dag(dag)) => match dag.children().get(*child) {
                    Some(child) => self.task_parents(*frame, child.task),
                    None => Vec::new(),
                },
                Some(Body::Leaf | Body::Retry(_)) | None => Vec::new(),
            },
        }
    }

    pub(crate) fn child_fulfilled(&mut self, parent: Parent) {
        match parent {
            Parent::Entry => self.entry_fulfilled(),
            Parent::OnExit => self.exit_fulfilled(),
            Parent::WorkflowHook(_) => self.workflow_hook_fulfilled(),
            Parent::Attempt { frame } => self.attempt_fulfilled(frame),
            Parent::Child { frame, child } => {
                // The boundary may have ended meanwhile (`failFast`), or be at a later group of steps: then this is a daemon
                // of an earlier one.
                let Some(state) = self.child_mut(frame, child) else { return };
                state.fulfilled = true;
                if let Some(boundary) = self.frame(frame).map(|f| f.call.id.clone()) {
                    self.check_fail_fast(&boundary);
                }
                if self.frame(frame).is_some() {
                    self.fire_hooks(frame, child);
                    self.settle(frame, child);
                }
            }
            Parent::ChildHook { frame, child } => {
                // As above.
                let Some(state) = self.child_mut(frame, child) else { return };
                let open = state.hooks.as_mut().and_then(|hooks| {
                    hooks.open = hooks.open.checked_sub(1)?;
                    Some(hooks.open)
                });
                if open.is_none() {
                    bug!(self, "", "a hook ends of a child that has none open");
                }
                self.settle(frame, child);
            }
        }
    }

    pub(crate) fn child_changed(&mut self, parent: Parent) {
        if let Parent::Child { frame, child } = parent {
            self.fire_hooks(frame, child);
        }
    }

    fn child_mut(&mut self, frame: FrameId, child: usize) -> Option<&mut Child> {
        self.frame_mut(frame)?.children_mut()?.get_mut(child)
    }

    /// Counts a child off once it and its hooks are done.
    fn settle(&mut self, frame: FrameId, child: usize) {
        let Some(state) = self.child_mut(frame, child) else {
            return bug!(self, "", "a child settles that is not there");
        };
        if !state.fulfilled || state.hooks.as_ref().is_some_and(|hooks| hooks.open > 0) || state.settled {
            return;
        }
        state.settled = true;
        let task = state.task;
        let is_counted = self.frame_mut(frame).and_then(Frame::children_mut).is_some_and(Children::count_off);
        if !is_counted {
            bug!(self, "", "a child settles in a node that has none open");
        }
        let Some(owner) = self.frame(frame) else { return };
        match &owner.body {
            Body::Steps(steps) if steps.is_group_over() => self.finish_group(frame),
            Body::Dag(_) => {
                self.release_call(frame, child);
                self.task_child_settled(frame, task, child);
            }
            Body::Steps(_) | Body::Leaf | Body::Retry(_) => {}
        }
    }

    /// Nothing comes of a child any more that is fulfilled, as a daemon that is up is not.
    fn release_call(&mut self, frame: FrameId, child: usize) {
        let state = self.frame(frame).and_then(Frame::children).and_then(|c| c.get(child));
        // It has been released before.
        let Some(call) = state.and_then(|state| state.call.as_ref()) else { return };
        if self.book.phase_of(&call.id).is_fulfilled()
            && let Some(state) = self.child_mut(frame, child)
        {
            state.call = None;
        }
    }

    /// Begins the hooks of a child whose time has come: each at most once.
    fn fire_hooks(&mut self, frame: FrameId, child: usize) {
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
            Body::Steps(_) => self.group_errored(frame, message),
            Body::Dag(_) => {
                let call = owner.children().and_then(|c| c.list().get(child)).and_then(|state| state.call.as_ref());
                let Some(id) = call.map(|call| call.id.clone()) else { return };
                self.fail_node(&id, message);
                self.agenda.push(Work::Fulfilled(Parent::Child { frame, child }));
            }
            Body::Leaf | Body::Retry(_) => {}
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
