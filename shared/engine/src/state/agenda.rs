//! What is yet to be done.

use std::{collections::VecDeque, sync::Arc};

use arcstr::ArcStr;
use argosy_api::message::ClusterCommand;

use super::{Call, FrameId, Parent, Timer};
use crate::{Command, Event};

/// What is to be done within the step, in order.
#[derive(Debug)]
pub(crate) enum Work {
    /// The node of a frame, or a node without one, is fulfilled: tell who waits for it.
    Fulfilled(Parent),
    /// A child of a composite changed without ending: its hooks may fire.
    Changed(Parent),
    /// A call that had to wait has its turn.
    Call(Arc<Call>),
    /// Tasks of a DAG whose dependencies are all settled.
    Task { frame: FrameId, task: usize },
    /// The next group of a Steps node.
    Group { frame: FrameId, index: usize },
    /// The time of a node has come while the workflow was suspended.
    Time { timer: Timer, node_id: ArcStr },
}

/// Pieces of work for this step, wishes for the host after it, and events that wait until lookups are answered. All keep the
/// order in which they came: what is published follows from it.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    work: VecDeque<Work>,
    commands: Vec<Command>,
    /// Events that came while lookups were under way.
    backlog: VecDeque<Event>,
}

impl Agenda {
    /// To be done in this step, after all that is to be done already.
    pub fn push(&mut self, work: Work) {
        self.work.push_back(work);
    }

    pub fn extend(&mut self, work: impl IntoIterator<Item = Work>) {
        self.work.extend(work);
    }

    /// The next piece of work.
    pub fn next(&mut self) -> Option<Work> {
        self.work.pop_front()
    }

    /// Pieces of work that are left.
    pub fn pieces(&self) -> usize {
        self.work.len()
    }

    pub fn is_idle(&self) -> bool {
        self.work.is_empty()
    }

    /// Nothing comes of the work any more: the workflow has ended.
    pub fn drop_work(&mut self) {
        self.work.clear();
    }

    /// A wish for the host.
    pub fn wish(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// Commands that go out before all others of this step.
    pub fn wish_before(&mut self, commands: Vec<Command>) {
        self.commands.splice(0..0, commands);
    }

    pub fn wish_all(&mut self, commands: impl IntoIterator<Item = Command>) {
        self.commands.extend(commands);
    }

    /// A wish for the cluster, on behalf of a node.
    pub fn wish_cluster(&mut self, node_id: ArcStr, command: ClusterCommand) {
        self.commands.push(Command::Cluster { node_id, command });
    }

    /// Takes back the wishes for pods of this very step.
    pub fn drop_new_pods(&mut self) {
        let creates =
            |command: &Command| matches!(command, Command::Cluster { command: ClusterCommand::CreatePod { .. }, .. });
        self.commands.retain(|command| !creates(command));
    }

    /// Takes back the wishes on behalf of nodes that are no more.
    pub fn drop_wishes_of(&mut self, is_gone: impl Fn(&str) -> bool) {
        self.commands.retain(|command| match command {
            Command::Cluster { node_id, .. } => !is_gone(node_id),
            Command::ArmTimer { .. }
            | Command::DisarmTimer { .. }
            | Command::Lookup(_)
            | Command::WantLocks { .. }
            | Command::ReleaseLocks { .. }
            | Command::Publish(_) => true,
        });
    }

    /// The wishes of the step, in their order. None is left.
    pub fn take_commands(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands)
    }

    /// Keeps an event until lookups are answered.
    pub fn put_off(&mut self, event: Event) {
        self.backlog.push_back(event);
    }

    /// The next event that was put off.
    pub fn next_put_off(&mut self) -> Option<Event> {
        self.backlog.pop_front()
    }
}
