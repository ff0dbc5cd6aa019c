//! What happens when timers are due.

use arcstr::ArcStr;
use argosy_api::v1alpha1::NodeType;
use jiff::Timestamp;

use crate::{
    Workflow,
    kinds::{EXCEEDED, pod::PodEvent, retry::RetryEvent, suspend::SuspendEvent},
    state::{Body, Fired, Stage, Timer, Work},
};

impl Workflow {
    /// Arms the timer of a node, or moves it.
    pub(crate) fn arm(&mut self, timer: Timer, node_id: &ArcStr, due: Timestamp) {
        self.agenda.wish(self.timers.arm(timer, node_id, due));
    }

    /// The node has ended, and its timer with it.
    pub(crate) fn disarm(&mut self, node_id: &str) {
        self.agenda.wish_all(self.timers.disarm(node_id));
    }

    /// Arms the timer of the workflow's deadline, moves it, or takes it away.
    pub(crate) fn arm_workflow_deadline(&mut self) {
        let due = self.deadline();
        self.agenda.wish_all(self.timers.set_workflow_deadline(due));
    }

    pub(crate) fn on_timer(&mut self, key: &str) {
        match self.timers.fire(key, self.clock.now()) {
            Fired::Early(command) => self.agenda.wish(command),
            Fired::WorkflowDeadline => self.on_workflow_deadline(),
            Fired::OfNode(Timer::Deadline, node_id) if self.is_lock_timeout(node_id) => {}
            Fired::OfNode(Timer::Deadline, node_id) => self.on_pod_event(node_id, PodEvent::Deadline),
            Fired::OfNode(timer @ (Timer::Suspend | Timer::Retry), node_id) => {
                self.agenda.push(Work::Time { timer, node_id: node_id.into() });
            }
            Fired::OfNode(Timer::Refused, node_id) => self.on_pod_event(node_id, PodEvent::PauseOver),
            Fired::Nobodys => {}
        }
    }

    /// What waits for its time goes on, unless the workflow is suspended.
    pub(crate) fn on_time(&mut self, timer: Timer, node_id: &str) {
        match timer {
            Timer::Suspend => self.on_suspend_event(node_id, SuspendEvent::TimeOver),
            Timer::Retry => self.on_retry_event(node_id, RetryEvent::BackoffOver),
            Timer::Deadline | Timer::Refused => {}
        }
    }

    fn on_workflow_deadline(&mut self) {
        if !self.life.is(Stage::Running) {
            return;
        }
        for id in self.live_leaves() {
            if self.book.node(&id).is_some_and(|n| n.r#type == NodeType::Pod) {
                self.on_pod_event(&id, PodEvent::Deadline);
            }
            self.on_suspend_event(&id, SuspendEvent::Deadline);
        }
        self.refuse_held(EXCEEDED);
        self.end_all_waiting(EXCEEDED, |call| call.on_exit);
    }

    /// Pods and suspends that have not ended and do not belong to an exit handler.
    pub(crate) fn live_leaves(&self) -> Vec<ArcStr> {
        let frames = self.frames.iter().filter(|f| matches!(f.body, Body::Leaf) && !f.call.on_exit);
        frames.map(|f| f.call.id.clone()).collect()
    }
}
