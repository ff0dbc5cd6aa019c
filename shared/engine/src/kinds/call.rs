//! Calling a template: find it, put its inputs in, and begin a node of its kind.

use std::sync::Arc;

use arcstr::ArcStr;
use argosy_api::v1alpha1::{NodePhase, NodeType, Template, WorkflowPhase};

use crate::{
    Workflow, size,
    state::{
        Body, Call, Child, Frame, FrameId, Kind, Parent, Retry, Work, bug, kind_of, locks::waits_for_lock, set,
        set_text,
    },
};

impl Workflow {
    pub(crate) fn frame(&self, id: FrameId) -> Option<&Frame> {
        self.frames.get(id)
    }

    pub(crate) fn frame_mut(&mut self, id: FrameId) -> Option<&mut Frame> {
        self.frames.get_mut(id)
    }

    /// The frame of a node that is live.
    pub(crate) fn live(&self, node_id: &str) -> Option<FrameId> {
        self.frames.at(self.book.place_of(node_id)?)
    }

    pub(crate) fn boundary_id(&self, call: &Call) -> ArcStr {
        let Some(boundary) = call.boundary else { return ArcStr::new() };
        let Some(frame) = self.frame(boundary) else {
            bug!(self, &call.id, "a node is created in a boundary that has ended");
            return ArcStr::new();
        };
        frame.call.id.clone()
    }

    /// Makes the call, or holds it back while a limit is reached.
    pub(crate) fn call(&mut self, call: Arc<Call>) {
        if self.is_orphan(&call) {
            return self.drop_orphan(&call);
        }
        let known = self.book.node(&call.id).map(|n| n.phase);
        if known.is_some_and(NodePhase::is_fulfilled) {
            self.release_locks(&call.id);
            self.agenda.push(Work::Fulfilled(call.parent.clone()));
            return;
        }
        if known.is_none() {
            if self.is_behind_mistake(&call) {
                return self.forget_item(&call);
            }
            if self.is_stopping(&call) {
                return self.call_late(call);
            }
            let Some(call) = self.hold_back(call).and_then(|call| self.park(call)) else { return };
            return self.make(call);
        }
        if let Some(call) = self.park(call) {
            self.make(call);
        }
    }

    /// Under a shutdown nothing begins any more that does work. What only calls others finds out by them.
    fn call_late(&mut self, call: Arc<Call>) {
        let found = self.resolve_template(&call.step, &call.scope);
        match found.as_ref().map(|(compiled, _)| kind_of(&compiled.template)) {
            Ok(Kind::Steps | Kind::Dag) => self.make(call),
            Ok(Kind::Suspend) => {
                // As in Argo, which sees that it ended only after it has looked at the DAG.
                if let Parent::Child { frame, child } = call.parent {
                    self.end_branch(frame, child);
                }
                let message = format!("Stopped with strategy '{}'", self.book.spec().shutdown);
                self.refuse(&call, &message);
            }
            Ok(Kind::Pod | Kind::Unsupported(_)) | Err(_) => self.refuse_call(&call),
        }
    }

    /// The next attempt of a node whose boundary has ended is not made, and the node ends without it.
    pub(crate) fn drop_orphan(&mut self, call: &Call) {
        self.release_locks(&call.id);
        if let Parent::Attempt { frame } = call.parent
            && let Some(id) = self.frame(frame).map(|retry| retry.call.id.clone())
        {
            self.mark(&id, NodePhase::Failed, Some("the node that this one belongs to has ended"));
            self.end_frame(frame);
        }
    }

    /// The boundary that made the call has ended meanwhile.
    fn is_orphan(&self, call: &Call) -> bool {
        if call.boundary.is_some_and(|boundary| self.frame(boundary).is_none()) {
            return true;
        }
        match &call.parent {
            Parent::Child { frame, child } | Parent::ChildHook { frame, child } => {
                let known = self.frame(*frame).and_then(Frame::children).and_then(|c| c.get(*child));
                let is_same = |c: &Child| c.call.as_ref().is_some_and(|known| known.name == call.name);
                !known.is_some_and(|c| matches!(call.parent, Parent::ChildHook { .. }) || is_same(c))
            }
            Parent::Attempt { frame } => self.frame(*frame).is_none(),
            Parent::Entry | Parent::OnExit | Parent::WorkflowHook(_) => false,
        }
    }

    /// The call is an item of a loop that has come to a mistake meanwhile.
    fn is_behind_mistake(&self, call: &Call) -> bool {
        let Parent::Child { frame, child } = call.parent else { return false };
        self.group_of_item(frame, child).is_some_and(|group| self.book.phase_of(&group) == NodePhase::Error)
    }

    fn make(&mut self, call: Arc<Call>) {
        if let Err(message) = self.try_make(&call) {
            self.call_failed(&call, &message);
        }
    }

    fn try_make(&mut self, call: &Arc<Call>) -> Result<(), String> {
        if call.depth > self.plan.config().depth_max {
            return Err(format!(
                "Maximum recursion depth exceeded: {} calls below each other. Templates that call themselves need a condition that \
                 ends the recursion; an operator can raise the limit with --depth-max",
                self.plan.config().depth_max
            ));
        }
        let (compiled, scope) = self.resolve_template(&call.step, &call.scope)?;
        let strategy = compiled.template.retry_strategy.as_deref().or(self.plan.spec().retry_strategy.as_ref());
        let retried = strategy.is_some() && call.attempt.is_none();
        let template = self.instantiate(call, &compiled, retried)?;
        self.check_inputs(call, &template)?;
        if !self.has_locks(call, &template)? {
            return Ok(());
        }
        // Room for it may have been taken while it waited.
        if self.book.node(&call.id).is_some_and(waits_for_lock) && self.hold_back(call.clone()).is_none() {
            return Ok(());
        }
        if self.recall(call, &template)? {
            return Ok(());
        }
        if retried {
            return self.begin_retry(call, template);
        }
        let kind = kind_of(&template);
        let begun = match kind {
            Kind::Pod | Kind::Steps | Kind::Dag if let Some(mistake) = display_mistake(&template) => Err(mistake),
            Kind::Pod => self.begin_pod(call, template.clone(), &compiled),
            Kind::Suspend => self.begin_suspend(call, template.clone()),
            Kind::Steps => self.begin_steps(call, template.clone(), scope, compiled.may_want_results()),
            Kind::Dag => self.begin_dag(call, template.clone(), scope, compiled.may_want_results()),
            Kind::Unsupported(what) => {
                return Err(format!(
                    "template '{}': {what} templates are not supported by this version of Argosy",
                    template.name
                ));
            }
        };
        if begun.is_err() {
            // What it is and was given is known: the node says so.
            let id = self.create_called(call, kind.node_type(), NodePhase::Pending, "");
            self.note_inputs(&id, &template);
        }
        begun
    }

    pub(crate) fn note_inputs(&mut self, node_id: &str, template: &Template) {
        if !template.inputs.parameters.is_empty() || !template.inputs.artifacts.is_empty() {
            let inputs = template.inputs.clone();
            self.book.update_node(node_id, |n| n.inputs.is_none() && set(&mut n.inputs, Some(Box::new(inputs))));
        }
    }

    /// Errors: inputs with which the node would not fit into a message.
    fn check_inputs(&mut self, call: &Call, template: &Template) -> Result<(), String> {
        if template.inputs.parameters.is_empty() && template.inputs.artifacts.is_empty() {
            return Ok(());
        }
        if self.book.node(&call.id).is_none() {
            self.count_values(size::of_inputs(&template.inputs))?;
        }
        let limit = self.room_for_values(&call.name);
        if size::inputs_fit(&template.inputs, limit) {
            return Ok(());
        }
        let bytes = size::of(&template.inputs);
        Err(format!("the inputs take {bytes} bytes, of {limit} at most. {}", size::ADVICE))
    }

    /// Bytes that inputs and outputs of a node may take, so that the node fits into a message of the bus.
    pub(crate) fn room_for_values(&self, name: &str) -> usize {
        // Name and display name, and a message.
        let others = size::bound(name).saturating_mul(2) + size::bound_of_message() + size::NODE_AROUND;
        self.plan.config().message_bytes_max.saturating_sub(others)
    }

    /// Creates the call's node, with its inputs, and a frame for it.
    pub(crate) fn begin(
        &mut self,
        call: &Arc<Call>,
        kind: NodeType,
        phase: NodePhase,
        template: Arc<Template>,
        body: Body,
    ) -> FrameId {
        self.leave_queue(&call.id, kind, phase);
        // It may have been there before this state was: its hooks that have begun are taken up with it.
        let has_begun = |key: &String| self.book.has_node(&format!("{}.hooks.{key}", call.name));
        if self.book.node(&call.id).is_some() && call.step.hooks.keys().any(has_begun) {
            self.agenda.push(Work::Changed(call.parent.clone()));
        }
        let is_new = self.book.node(&call.id).is_none();
        let node_id = self.create_called(call, kind, phase, "");
        if phase == NodePhase::Running {
            let now = self.time();
            self.book.wake(&node_id, now);
        }
        self.note_inputs(&node_id, &template);
        if let Some(text) = template.annotations.get(argosy_api::labels::DISPLAY_NAME) {
            self.book.update_node(&node_id, |n| set_text(&mut n.display_name, text));
        }
        self.note_miss(call, &template);
        if is_new {
            self.measure_begin(&node_id, &template);
        }
        let place = self.book.place_of(&node_id);
        self.frames.begin(place, Frame { call: call.clone(), template, is_seen: false, was_refused: false, body })
    }

    fn begin_retry(&mut self, call: &Arc<Call>, template: Arc<Template>) -> Result<(), String> {
        let frame = self.begin(call, NodeType::Retry, NodePhase::Running, template, Body::Retry(Retry::default()));
        self.next_attempt(frame);
        Ok(())
    }

    /// The frame has nothing left to do.
    pub(crate) fn end_frame(&mut self, frame: FrameId) {
        if let Some(ended) = self.frames.end(frame) {
            self.disarm(&ended.call.id);
            self.release_locks(&ended.call.id);
            self.memorize(&ended);
            if ended.call.attempt.is_none() {
                self.measure_end(&ended.call.id, &ended.template);
            }
            self.agenda.push(Work::Fulfilled(ended.call.parent.clone()));
        }
    }

    /// A call that could not even begin: its node tells why, and who called it learns of it.
    fn call_failed(&mut self, call: &Call, message: &str) {
        self.release_locks(&call.id);
        self.forget_queue(&call.id);
        let is_exit = call.name.ends_with(".onExit");
        let is_new = self.book.node(&call.id).is_none();
        let id = match &call.parent {
            // Nothing tells what it was a hook of.
            Parent::ChildHook { .. } if !is_exit && is_new => {
                self.create_unlinked(call, NodeType::Skipped, NodePhase::Error, message)
            }
            _ => self.create_called(call, NodeType::Skipped, NodePhase::Error, message),
        };
        self.mark(&id, NodePhase::Error, Some(message));
        match &call.parent {
            // What an exit hook comes to is its own affair.
            parent @ Parent::ChildHook { .. } if is_exit => {
                self.agenda.push(Work::Fulfilled(parent.clone()));
            }
            parent => self.caller_learns(parent, message),
        }
    }

    /// A call comes to a mistake of its author while it runs: as one that could not even begin.
    pub(crate) fn end_by_mistake(&mut self, frame: FrameId, message: &str) {
        let Some(ended) = self.frames.end(frame) else {
            return bug!(self, "", "a call ends that has no frame: {message}");
        };
        self.disarm(&ended.call.id);
        self.release_locks(&ended.call.id);
        self.mark(&ended.call.id, NodePhase::Error, Some(message));
        self.caller_learns(&ended.call.parent, message);
    }

    /// Who made a call learns that it came to a mistake, of which its node tells already.
    pub(crate) fn caller_learns(&mut self, parent: &Parent, message: &str) {
        match parent {
            Parent::Entry => {
                self.complete(WorkflowPhase::Error, &format!("error in entry template execution: {message}"))
            }
            Parent::OnExit => {
                self.complete(WorkflowPhase::Error, &format!("error in exit template execution : {message}"))
            }
            Parent::Child { frame, child } => self.child_errored(*frame, *child, message),
            Parent::ChildHook { frame, child } => {
                self.agenda.push(Work::Fulfilled(parent.clone()));
                self.hook_errored(*frame, *child, message);
            }
            Parent::Attempt { frame } if !self.retries_errors(*frame) => self.end_by_mistake(*frame, message),
            parent @ (Parent::WorkflowHook(_) | Parent::Attempt { .. }) => {
                self.agenda.push(Work::Fulfilled(parent.clone()));
            }
        }
    }
}

/// What is wrong with the name under which a template wants to be shown. Source: Argo `displayNameRegex`.
fn display_mistake(template: &Template) -> Option<String> {
    let name = template.annotations.get(argosy_api::labels::DISPLAY_NAME).filter(|name| !name.is_empty())?;
    let is_end = |c: char| c.is_ascii_alphanumeric();
    let is_fine = (2..=63).contains(&name.len())
        && name.chars().all(|c| is_end(c) || matches!(c, '-' | '.'))
        && name.starts_with(is_end)
        && name.ends_with(is_end);
    (!is_fine).then(|| "displayName must match the regex ^[a-zA-Z0-9][a-zA-Z0-9-.]{0,61}[a-zA-Z0-9]$".to_owned())
}
