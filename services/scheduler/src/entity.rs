//! A workflow as an entity of the host: the engine's state machine, and how far it was published.

use argosy_api::digest::{Position, Watermark};
use argosy_api::labels;
use argosy_api::message::{ClusterCommand, CommandMessage, Observed};
use argosy_api::v1alpha1::{NodePhase, Workflow as Object};
use argosy_bus::{Publish, Stream};
use argosy_engine::{Command, Event as EngineEvent, Wait, Workflow};
use argosy_host::{Cause, Outgoing};
use argosy_workflows::WorkflowKey;
use jiff::Timestamp;

use crate::facts::Question;
use crate::metrics;
use crate::stamp::stamp;

/// One live workflow.
pub(crate) struct WorkflowEntity {
    pub key: WorkflowKey,
    pub workflow: Workflow,
    /// Position of the last status published.
    pub published: Position,
    /// It was not begun when it was loaded: nothing was asked for.
    pub is_new: bool,
    /// A shutdown had been asked for when it was loaded.
    pub is_ending: bool,
    /// The log holds its object behind what was stored.
    pub knows_object: bool,
    /// Of the installation.
    pub shards: u16,
}

impl WorkflowEntity {
    pub fn step(&mut self, sequence: u64, at: Timestamp, fact: Observed) -> Vec<Command> {
        let body = self.ignore_stale_edit(fact);
        let timer = metrics::OPERATION_SECONDS.start_timer();
        let commands = self.workflow.step(EngineEvent { sequence, at, body });
        timer.observe_duration();
        self.tell_bugs();
        commands
    }

    /// Has the engine take up a workflow that was begun, and ask for all that its nodes still wait for.
    pub fn recover(&mut self, at: Timestamp) -> Vec<Command> {
        if self.is_new {
            return Vec::new();
        }
        let commands = self.workflow.resume(at);
        self.tell_bugs();
        commands
    }

    /// Asks after the pods that the workflow waits for.
    pub fn inquire(&mut self, is_check: bool) -> Vec<Command> {
        self.workflow.confirm_pods(is_check)
    }

    pub fn stamp(&mut self, cause: &Cause<'_, WorkflowKey>, commands: Vec<Command>, out: &mut Outgoing<Question>) {
        stamp(cause, commands, self.shards, &mut self.published, out);
    }

    pub fn timers(&self) -> Vec<(String, Timestamp)> {
        let timer = |wait| match wait {
            Wait::Timer { key, due } => Some((key, due)),
            _ => None,
        };
        self.workflow.waits().into_iter().filter_map(timer).collect()
    }

    pub fn overlooked(&self) -> Vec<String> {
        self.workflow.overlooked().into_iter().map(|found| format!("{found:?}")).collect()
    }

    pub fn replayed(&mut self, fact: &Observed, out: &mut Outgoing<Question>) {
        match fact {
            Observed::TimerFired { key } => out.fired(key),
            Observed::LookedUp { key, .. } => out.answered(&Question::Lookup(key.clone())),
            Observed::WorkflowChanged { .. } => self.knows_object = true,
            Observed::WorkflowReferenced { .. }
            | Observed::WorkflowUnreadable { .. }
            | Observed::WorkflowDeleted
            | Observed::PodChanged { .. }
            | Observed::PodRejected { .. }
            | Observed::PodNotCreated { .. }
            | Observed::LocksAnswered { .. } => {}
        }
    }

    /// A repeated wish for a pod whose node has begun, or ended, since was carried out long ago. The bus knows its id only for
    /// a while, and the pod may be gone: it must not come back. How the pod of one that runs is, is asked instead, as the report
    /// of its beginning may be all that the log has.
    pub fn still_wished(&self, message: Publish) -> Option<Publish> {
        if message.stream != Stream::Commands {
            return Some(message);
        }
        let Ok(command) = serde_json::from_slice::<CommandMessage>(&message.payload) else {
            return Some(message);
        };
        match &command.body {
            ClusterCommand::CreatePod { manifest, .. } => {
                let node = self.workflow.object().status.nodes.get(&command.node_id)?;
                if node.phase == NodePhase::Pending {
                    return Some(message);
                }
                if node.phase.is_fulfilled() {
                    return None;
                }
                let body = ClusterCommand::ConfirmPod { name: manifest.pod_name().to_owned(), is_check: false };
                let payload =
                    serde_json::to_vec(&CommandMessage { body, ..command }).expect("messages have string keys only");
                Some(Publish { id: format!("{}.confirm", message.id), payload: payload.into(), ..message })
            }
            ClusterCommand::ConfirmPod { .. }
            | ClusterCommand::StopPod { .. }
            | ClusterCommand::DeletePod { .. }
            | ClusterCommand::LabelPodCompleted { .. }
            | ClusterCommand::CollectPod { .. }
            | ClusterCommand::CollectPods { .. }
            | ClusterCommand::CreateObject { .. }
            | ClusterCommand::SaveCacheEntry { .. }
            | ClusterCommand::DeleteObject { .. } => Some(message),
        }
    }
}

impl WorkflowEntity {
    /// An edit of the status that was made before its author could see that the workflow had ended is no wish to have it run
    /// again; it comes so late when nobody watched for a while.
    fn ignore_stale_edit(&self, body: Observed) -> Observed {
        let is_stale = |object: &Object| {
            let mark = object.metadata.annotations.get(labels::WATERMARK);
            let seen = mark.and_then(|text| Watermark::parse(text, &self.key.uid));
            self.workflow.is_completed() && seen.is_some_and(|seen| seen.position() < self.published)
        };
        match body {
            Observed::WorkflowChanged { object, status_edited: true } if is_stale(&object) => {
                Observed::WorkflowChanged { object, status_edited: false }
            }
            body => body,
        }
    }

    /// What the engine took to be impossible is told and counted.
    fn tell_bugs(&mut self) {
        let (bugs, more) = self.workflow.take_bugs();
        metrics::BUGS.inc_by(bugs.len() as u64 + more);
        for bug in bugs {
            tracing::error!(
                workflow.uid = self.key.uid,
                workflow.name = self.key.name,
                node.id = bug.node.as_str(),
                site = bug.site,
                detail = bug.detail,
                "bug of the engine"
            );
        }
    }
}
