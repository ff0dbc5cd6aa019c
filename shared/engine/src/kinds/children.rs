//! What steps and tasks have in common: their nodes, `when`, and when they are done.

use std::sync::Arc;

use arcstr::ArcStr;
use argosy_api::v1alpha1::{NodeFlag, NodePhase, NodeType, WorkflowStep};
use argosy_template::when;

use super::steps::StepsEvent;
use crate::{
    Workflow, size,
    state::{Body, Call, Child, Children, Frame, FrameId, NewNode, Parent, Work, bug, set_text},
    values::expand::Item,
};

/// Message of a loop without items.
pub(crate) const EMPTY_LOOP: &str = "Skipped, empty params";

impl Workflow {
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
        if self.book.node(&call.id).is_some() {
            return call.id.clone();
        }
        let id = self.create_unlinked(call, kind, phase, message);
        for parent in self.graph_parents(&call.parent) {
            self.book.link(parent, &id);
        }
        if call.parent == Parent::Entry {
            self.link_workflow_hooks();
        }
        id
    }

    /// Creates the node of a call, which must not exist yet, below no other.
    pub(crate) fn create_unlinked(&mut self, call: &Call, kind: NodeType, phase: NodePhase, message: &str) -> ArcStr {
        let id = call.id.clone();
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
        id
    }

    /// The workflow's own hooks hang below its entry node, which may come after them.
    fn link_workflow_hooks(&mut self) {
        let hook = |key: &String| self.book.id_of(&format!("{}.hooks.{key}", self.book.name()));
        let hooks: Vec<ArcStr> = self.plan.spec().hooks.keys().map(hook).collect();
        let Some(entry) = self.book.place_of(self.book.name()) else { return };
        for id in hooks.into_iter().filter(|id| self.book.node(id).is_some()).collect::<Vec<_>>() {
            self.book.link(entry, &id);
        }
    }

    /// The places of the nodes that a call's node becomes a child of.
    fn graph_parents(&self, parent: &Parent) -> Vec<usize> {
        match parent {
            Parent::Entry | Parent::OnExit => Vec::new(),
            Parent::WorkflowHook(_) => self.book.place_of(self.book.name()).into_iter().collect(),
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
                let Some((boundary, is_dag)) =
                    self.frame(frame).map(|f| (f.call.id.clone(), matches!(f.body, Body::Dag(_))))
                else {
                    return;
                };
                if !is_dag {
                    self.check_fail_fast(&boundary);
                }
                if self.frame(frame).is_some() {
                    self.fire_hooks(frame, child);
                    self.settle(frame, child);
                }
                // A DAG that is over by then ends as its tasks did. The loop that this was the last item of is yet to settle.
                let is_last_item =
                    self.group_of_item(frame, child).is_some_and(|id| self.book.phase_of(&id).is_fulfilled());
                if is_dag && !is_last_item && self.frame(frame).is_some() {
                    self.check_fail_fast(&boundary);
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

    pub(super) fn child_mut(&mut self, frame: FrameId, child: usize) -> Option<&mut Child> {
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
            Body::Steps(_) => self.on_steps_event(frame, StepsEvent::StepSettled),
            Body::Dag(_) => {
                self.release_call(frame, child);
                self.task_child_settled(frame, task, child);
            }
            Body::Leaf | Body::Retry(_) => {}
        }
    }

    /// An item of this one's loop came to a mistake: those that wait for room do not begin.
    fn forget_held_items(&mut self, frame: FrameId, child: usize) {
        let Some(children) = self.frames.get(frame).and_then(Frame::children) else { return };
        let task_of = |child: usize| children.get(child).map(|c| c.task);
        let task = task_of(child);
        let is_item = |call: &Call| match call.parent {
            Parent::Child { frame: of, child } => of == frame && task_of(child) == task,
            _ => false,
        };
        let begins = |call: &Call| self.book.node(&call.id).is_none() && is_item(call);
        let asked: Vec<_> = self.locks.calls().filter(|call| begins(call)).cloned().collect();
        for call in self.held.take_if(is_item).into_iter().chain(asked) {
            self.release_locks(&call.id);
            self.forget_item(&call);
        }
    }

    /// An item of a loop that came to a mistake before this one began is counted off without a node.
    pub(super) fn forget_item(&mut self, call: &Call) {
        let Parent::Child { frame, child } = call.parent else {
            return bug!(self, &call.id, "an item of a loop is no child");
        };
        if let Some(state) = self.child_mut(frame, child) {
            state.fulfilled = true;
            state.call = None;
        }
        self.settle(frame, child);
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

    /// A step or task could not be begun: its group says why, or its node.
    pub(crate) fn child_errored(&mut self, frame: FrameId, child: usize, message: &str) {
        let found = self.frame(frame).and_then(|owner| Some((owner, owner.children()?.get(child)?.call.as_ref()?)));
        let Some((owner, call)) = found else {
            return bug!(self, "", "a child could not begin that is not there: {message}");
        };
        let (id, name) = (call.id.clone(), call.name.clone());
        match &owner.body {
            Body::Steps(_) => {
                let message = format!("step group deemed errored due to child {name} error: {message}");
                self.on_steps_event(frame, StepsEvent::StepErrored { message: &message });
            }
            Body::Dag(_) => {
                let message = format!("task '{name}' errored: {message}");
                self.book.update_node(&id, |n| set_text(&mut n.message, &size::cut(&message)));
                if let Some(group) = self.group_of_item(frame, child) {
                    self.mark(&group, NodePhase::Error, None);
                    self.forget_held_items(frame, child);
                }
                self.agenda.push(Work::Fulfilled(Parent::Child { frame, child }));
            }
            Body::Leaf | Body::Retry(_) => {}
        }
    }
}
