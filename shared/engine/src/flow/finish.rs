//! Ends: of the entry node, and of the workflow.

use arcstr::ArcStr;
use argosy_api::{
    message::ClusterCommand,
    v1alpha1::{NodePhase, NodeStatus, NodeType, WorkflowPhase},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{
    Workflow,
    state::{Stage, bug},
};

impl Workflow {
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
    pub(super) fn implied_phase(&self) -> WorkflowPhase {
        match self.entry().map(|n| n.phase).unwrap_or_default() {
            NodePhase::Succeeded | NodePhase::Skipped | NodePhase::Omitted => WorkflowPhase::Succeeded,
            NodePhase::Failed => WorkflowPhase::Failed,
            NodePhase::Error => WorkflowPhase::Error,
            NodePhase::Unknown | NodePhase::Pending | NodePhase::Running => WorkflowPhase::Running,
        }
    }

    pub(crate) fn exit_fulfilled(&mut self) {
        if self.life.is(Stage::Exiting) {
            self.conclude();
        }
    }

    pub(super) fn conclude(&mut self) {
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
        let (phase, message) = match exit.filter(|n| phase == WorkflowPhase::Succeeded && n.phase.is_failed_or_error())
        {
            Some(exit) if exit.phase == NodePhase::Failed => (WorkflowPhase::Failed, exit.message),
            Some(exit) => (WorkflowPhase::Error, exit.message),
            None => (phase, message),
        };
        self.measure_workflow_end(phase);
        self.complete(phase, &message);
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
        self.book.forget_followed();
        self.frames.clear();
        self.agenda.drop_work();
        self.held.clear();
        self.release_all_locks();
        self.timers.clear();
        let now = self.time();
        if self.book.status().started_at.is_none() {
            self.book.start(now);
        }
        self.book.finish(phase, message, now);
        self.book.record_expiry(self.expiry(phase));
        self.delete_claims(phase);
        self.delete_disruption_budget();
        self.end_strays();
        self.let_all_go();
    }

    /// When the workflow is to be deleted, having ended now with this phase. The first that applies counts: after a failure
    /// (an error is none), after a success, after any end. Source: Argo `workflow/gccontroller`, docs/fields.md.
    fn expiry(&self, phase: WorkflowPhase) -> Option<Timestamp> {
        let ttl = self.book.spec().ttl_strategy.as_ref().or(self.plan.spec().ttl_strategy.as_ref())?;
        let seconds = match phase {
            WorkflowPhase::Failed => ttl.seconds_after_failure,
            WorkflowPhase::Succeeded => ttl.seconds_after_success,
            _ => None,
        };
        let seconds = seconds.or(ttl.seconds_after_completion)?;
        self.clock.now().checked_add(SignedDuration::from_secs(seconds.into())).ok()
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
