//! Limits on what runs at a time, and what happens to calls that may not begin.

use std::sync::Arc;

use arcstr::ArcStr;
use argosy_api::v1alpha1::{NodePhase, NodeType, Shutdown};

use crate::{
    Behavior, Workflow,
    state::{Call, FrameId, Stage, Work, kind_of, locks::waits_for_lock},
};

impl Workflow {
    /// Holds the call back while its workflow or its boundary is at its limit; answers it when it may begin.
    ///
    /// Source: Argo `checkParallelism`.
    pub(crate) fn hold_back(&mut self, call: Arc<Call>) -> Option<Arc<Call>> {
        if self.is_suspended() || !self.has_room() {
            self.memo.forget(&call);
            self.held.hold_for_workflow(call);
            return None;
        }
        if let Some(boundary) = call.boundary
            && !self.boundary_has_room(boundary)
            && let Some(id) = self.frame(boundary).map(|frame| frame.call.id.clone())
        {
            self.memo.forget(&call);
            self.held.hold_for_boundary(id, call);
            return None;
        }
        Some(call)
    }

    /// Gives free slots to the calls that wait for them. True when there is work again.
    pub(crate) fn release_held(&mut self) -> bool {
        let freed = self.book.take_freed();
        for boundary in freed.into_iter().filter(|boundary| !boundary.is_empty()) {
            self.check_fail_fast(&boundary);
            self.release_of_boundary(boundary);
        }
        if self.has_room()
            && !self.is_suspended()
            && let Some(call) = self.held.next_of_workflow()
        {
            // The call is counted when it is made; the next one is looked at after that.
            self.book.look_for_room(ArcStr::new());
            self.agenda.push(Work::Call(call));
        }
        !self.agenda.is_idle()
    }

    /// Gives the next call of a boundary its turn, if there is room. It is looked at again after that: not every call
    /// becomes active, and one that does not would take its slot along.
    fn release_of_boundary(&mut self, boundary: ArcStr) {
        let refills = self.life.behaves(Behavior::RefilledParallelism);
        if refills && !self.live(&boundary).is_some_and(|frame| self.boundary_has_room(frame)) {
            return;
        }
        if let Some(call) = self.held.next_of_boundary(&boundary) {
            self.agenda.push(Work::Call(call));
            if refills {
                self.book.look_for_room(boundary);
            }
        }
    }

    /// Whether the workflow's parallelism lets a call begin.
    pub(crate) fn has_room(&self) -> bool {
        self.plan.spec().parallelism.is_none_or(|limit| self.book.active_pods() < limit)
    }

    /// Whether a Steps or DAG node lets a call begin: its parallelism is not used up, and it is not about to fail.
    pub(crate) fn boundary_has_room(&self, frame: FrameId) -> bool {
        // A boundary that has ended holds nothing back; its calls are dropped when it is their turn.
        let Some(frame) = self.frame(frame) else { return true };
        if frame.template.parallelism.is_none() && frame.template.fail_fast.is_none() {
            return true;
        }
        let counts = self.book.counts_of(&frame.call.id);
        let failing = frame.template.fail_fast == Some(true) && counts.unsuccessful > 0;
        !failing && frame.template.parallelism.is_none_or(|limit| counts.active < limit)
    }

    /// A template with `failFast: true` fails once a child has failed and no pod of it is active.
    pub(crate) fn check_fail_fast(&mut self, boundary: &str) {
        let counts = self.book.counts_of(boundary);
        if counts.unsuccessful == 0 || counts.active_pods > 0 {
            return;
        }
        // The boundary may have ended before the last of its nodes.
        let Some(frame) = self.live(boundary) else { return };
        if self.frame(frame).is_some_and(|owner| owner.template.fail_fast == Some(true)) {
            self.fail_fast(frame);
        }
    }

    /// True while `spec.suspend` holds new nodes back.
    pub(crate) fn is_suspended(&self) -> bool {
        let stored = self.book.status().stored_workflow_template_spec.as_ref();
        self.book.spec().suspend.or_else(|| stored.and_then(|spec| spec.suspend)) == Some(true)
    }

    /// True while nothing goes on but what runs already: no node ends by the end of others, and no time is over. As in Argo, whose
    /// controller looks at no template of a suspended workflow. What is taken up anew is taken up all the same.
    pub(crate) fn is_paused(&self) -> bool {
        let is_under_way = matches!(self.life.stage(), Stage::Running | Stage::Exiting);
        // Who terminates a workflow need not resume it first.
        let is_terminated = self.is_terminated();
        is_under_way && self.is_suspended() && !is_terminated && !self.life.is_rebuilding()
    }

    /// True when the workflow is being shut down, exit handlers included.
    pub(crate) fn is_terminated(&self) -> bool {
        Shutdown::of(&self.book.spec().shutdown) == Some(Shutdown::Terminate)
    }

    /// True when the workflow is being shut down and the call is not exempt.
    pub(crate) fn is_stopping(&self, call: &Call) -> bool {
        match Shutdown::of(&self.book.spec().shutdown) {
            None => false,
            Some(Shutdown::Terminate) => true,
            Some(Shutdown::Stop) => !call.on_exit,
        }
    }

    /// The node of a call that comes too late, under shutdown.
    pub(crate) fn refuse_call(&mut self, call: &Call) {
        let message = self.shutdown_message();
        self.refuse(call, &message);
    }

    /// What a node says whose pod the shutdown ended: with two blanks, as in Argo.
    pub(crate) fn shutdown_of_pod(&self) -> String {
        format!("workflow shutdown with strategy:  {}", self.book.spec().shutdown)
    }

    /// What a node says that the shutdown came before.
    pub(crate) fn shutdown_message(&self) -> String {
        format!("workflow shutdown with strategy: {}", self.book.spec().shutdown)
    }

    pub(crate) fn refuse(&mut self, call: &Call, message: &str) {
        let found = self.resolve_template(&call.step, &call.scope);
        let kind = found.as_ref().map_or(NodeType::Skipped, |(compiled, _)| kind_of(&compiled.template).node_type());
        let id = self.create_called(call, kind, NodePhase::Failed, message);
        if let Ok((compiled, _)) = found
            && let Ok(template) = self.instantiate(call, &compiled, false)
        {
            self.note_inputs(&id, &template);
        }
        self.agenda.push(Work::Fulfilled(call.parent.clone()));
    }

    /// Ends every call that waits for its turn.
    pub(crate) fn refuse_held(&mut self, message: &str) {
        for call in self.held.take_unless(|call| call.on_exit) {
            self.refuse(&call, message);
        }
    }

    /// Drops the calls that wait in a boundary that has ended.
    pub(crate) fn close_boundary(&mut self, frame: FrameId) {
        let id = self.frame(frame).map(|f| f.call.id.clone());
        for call in self.held.take_of_boundary(frame, id.as_deref()) {
            self.drop_orphan(&call);
        }
        for call in self.locks.asked_in(frame) {
            if self.book.node(&call.id).is_some_and(waits_for_lock) {
                self.end_waiting(&call, NodePhase::Failed, "the node that this one belongs to has ended");
            } else {
                self.drop_orphan(&call);
            }
        }
    }
}
