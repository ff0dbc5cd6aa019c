//! Timers: their keys, and what happens when they are due. One for the workflow's deadline, and one for each thing that a node has to do in its time;
//! they go with their node and with the workflow.

use std::collections::HashMap;

use arcstr::ArcStr;
use argosy_api::{
    message::ClusterCommand,
    v1alpha1::{NodePhase, NodeType},
};
use foldhash::fast::RandomState;
use jiff::Timestamp;

use crate::{Command, Workflow, bugs::bug, frame::Body, nodes::set};

/// The key of the timer for the workflow's deadline.
const WORKFLOW_DEADLINE: &str = "workflow-deadline";

/// What the timer of a node is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// A pod node has run as long as its template lets it.
    Deadline,
    /// A suspend node has waited as long as it should.
    Suspend,
    /// The backoff before the next attempt of a retry node is over.
    Retry,
    /// A pod node whose pod the API refused for a while wishes for it again.
    Refused,
}

impl Timer {
    const ALL: [Self; 4] = [Self::Deadline, Self::Suspend, Self::Retry, Self::Refused];

    fn prefix(self) -> &'static str {
        match self {
            Self::Deadline => "deadline/",
            Self::Suspend => "suspend/",
            Self::Retry => "retry/",
            Self::Refused => "refused/",
        }
    }

    fn key(self, node_id: &str) -> String {
        format!("{}{node_id}", self.prefix())
    }
}

/// The timers that are armed.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    workflow: Option<Timestamp>,
    /// By node id.
    nodes: HashMap<ArcStr, (Timer, Timestamp), RandomState>,
    /// Those of pod nodes whose pod was refused, by node id: such a node may have a deadline besides.
    refused: HashMap<ArcStr, (Timer, Timestamp), RandomState>,
}

impl Timers {
    /// Whether the node has one.
    pub fn has(&self, node_id: &str) -> bool {
        self.nodes.contains_key(node_id)
    }

    /// All of them, by key.
    pub fn armed(&self) -> Vec<(String, Timestamp)> {
        let nodes = self.nodes.iter().chain(&self.refused).map(|(id, (timer, due))| (timer.key(id), *due));
        let mut armed: Vec<_> = nodes.chain(self.workflow.map(|due| (WORKFLOW_DEADLINE.to_owned(), due))).collect();
        armed.sort();
        armed
    }

    /// The workflow has ended.
    pub fn clear(&mut self) {
        self.workflow = None;
        self.nodes.clear();
        self.refused.clear();
    }

    /// Where timers of this kind are kept.
    fn kept(&mut self, timer: Timer) -> &mut HashMap<ArcStr, (Timer, Timestamp), RandomState> {
        match timer {
            Timer::Deadline | Timer::Suspend | Timer::Retry => &mut self.nodes,
            Timer::Refused => &mut self.refused,
        }
    }
}

/// Message of what ran out of time without having a pod that runs.
pub(crate) const EXCEEDED: &str = "Step exceeded its deadline";

impl Workflow {
    /// Arms the timer of a node, or moves it.
    pub(crate) fn arm(&mut self, timer: Timer, node_id: &ArcStr, due: Timestamp) {
        self.timers.kept(timer).insert(node_id.clone(), (timer, due));
        self.commands.push(Command::ArmTimer { key: timer.key(node_id), due });
    }

    /// The node has ended, and its timer with it.
    pub(crate) fn disarm(&mut self, node_id: &str) {
        for kept in [&mut self.timers.nodes, &mut self.timers.refused] {
            if !kept.is_empty()
                && let Some((timer, _)) = kept.remove(node_id)
            {
                self.commands.push(Command::DisarmTimer { key: timer.key(node_id) });
            }
        }
    }

    /// Arms the timer of the workflow's deadline, moves it, or takes it away.
    pub(crate) fn arm_workflow_deadline(&mut self) {
        let due = self.deadline();
        let was = std::mem::replace(&mut self.timers.workflow, due);
        let key = WORKFLOW_DEADLINE.to_owned();
        match due {
            Some(due) => self.commands.push(Command::ArmTimer { key, due }),
            None if was.is_some() => self.commands.push(Command::DisarmTimer { key }),
            None => {}
        }
    }

    pub(crate) fn on_timer(&mut self, key: &str) {
        if key == WORKFLOW_DEADLINE {
            match self.timers.workflow {
                // It was moved while the report of the earlier moment was under way.
                Some(due) if due > self.now => self.commands.push(Command::ArmTimer { key: key.to_owned(), due }),
                Some(_) => {
                    self.timers.workflow = None;
                    self.on_workflow_deadline();
                }
                // The deadline was taken away meanwhile, or its timer came twice.
                None => {}
            }
            return;
        }
        // A key that no version of the engine uses is nobody's timer.
        let found = Timer::ALL.into_iter().find_map(|timer| Some((timer, key.strip_prefix(timer.prefix())?)));
        let Some((timer, node_id)) = found else { return };
        let kept = self.timers.kept(timer);
        match kept.get(node_id) {
            Some((armed, due)) if *armed == timer && *due > self.now => {
                let due = *due;
                self.commands.push(Command::ArmTimer { key: key.to_owned(), due });
                return;
            }
            Some((armed, _)) if *armed == timer => {
                kept.remove(node_id);
            }
            // One that came twice, or late: what follows looks at the node itself.
            Some(_) | None => {}
        }
        match timer {
            Timer::Deadline => self.on_pod_deadline(node_id),
            Timer::Suspend => self.on_suspend_over(node_id),
            Timer::Retry => self.on_backoff_over(node_id),
            Timer::Refused => self.on_pod_due(node_id),
        }
    }

    /// A pod that never ran is given up here; one that runs is ended by its own `activeDeadlineSeconds`.
    fn on_pod_deadline(&mut self, node_id: &str) {
        // The node may have ended while the timer's report was under way.
        let Some(frame) = self.live(node_id) else { return };
        if self.phase_of(node_id) != NodePhase::Pending {
            return;
        }
        self.stop_pod(node_id);
        self.update_node(node_id, |n| set(&mut n.task_result_synced, Some(true)));
        self.mark(node_id, NodePhase::Failed, Some(EXCEEDED));
        self.end_frame(frame);
    }

    fn on_workflow_deadline(&mut self) {
        if self.stage != crate::workflow::Stage::Running {
            return;
        }
        for id in self.live_leaves() {
            if self.node(&id).is_some_and(|n| n.r#type == NodeType::Pod) {
                self.on_pod_deadline(&id);
            }
            self.end_suspend(&id, NodePhase::Failed, EXCEEDED);
        }
        self.refuse_held(EXCEEDED);
    }

    /// Asks for the end of a node's pod.
    pub(crate) fn stop_pod(&mut self, node_id: &str) {
        let Some(name) = self.pod_of(node_id) else {
            return bug!(self, node_id, "a pod is stopped of a node that is not in the status");
        };
        self.commands.push(Command::Cluster { node_id: node_id.into(), command: ClusterCommand::StopPod { name } });
    }

    /// The name of a pod node's pod.
    pub(crate) fn pod_of(&self, node_id: &str) -> Option<String> {
        let node = self.node(node_id)?;
        let template = node.template_ref.as_ref().map_or(node.template_name.as_str(), |r| &r.template);
        Some(self.pod_name_of(&node.name, &node.id, template))
    }

    /// Pods and suspends that have not ended and do not belong to an exit handler.
    pub(crate) fn live_leaves(&self) -> Vec<ArcStr> {
        let frames = self.frames.iter().flatten().filter(|f| matches!(f.body, Body::Leaf) && !f.call.on_exit);
        frames.map(|f| f.call.id.clone()).collect()
    }
}
