//! Timers: their keys, and which of them are armed.

use std::collections::HashMap;

use arcstr::ArcStr;
use foldhash::fast::RandomState;
use jiff::Timestamp;

use crate::Command;

/// Moments, by node id.
type ByNode = HashMap<ArcStr, (Timer, Timestamp), RandomState>;

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

/// The timers that are armed: one for the workflow's deadline, and one for each thing that a node has to do in its time. They
/// go with their node and with the workflow. Each change answers the command that tells the host of it, so that the host's
/// timers are these.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    workflow: Option<Timestamp>,
    nodes: ByNode,
    /// Those of pod nodes whose pod was refused: such a node may have a deadline besides.
    refused: ByNode,
}

/// What it means that the host's timer has fired.
#[derive(Debug, PartialEq)]
pub(crate) enum Fired<'k> {
    /// It was moved while the report of the earlier moment was under way: it is armed anew.
    Early(Command),
    /// The workflow's deadline has come.
    WorkflowDeadline,
    /// The node's time has come. Maybe it came before, or too late: the node itself tells.
    OfNode(Timer, &'k str),
    /// It was taken away meanwhile, or came twice; or no version of the engine uses such a key.
    Nobodys,
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

    /// Arms the timer of a node, or moves it.
    pub fn arm(&mut self, timer: Timer, node_id: &ArcStr, due: Timestamp) -> Command {
        self.kept(timer).insert(node_id.clone(), (timer, due));
        Command::ArmTimer { key: timer.key(node_id), due }
    }

    /// Takes away the timers of a node that has ended.
    pub fn disarm(&mut self, node_id: &str) -> impl Iterator<Item = Command> {
        let kept = [&mut self.nodes, &mut self.refused].into_iter().filter(|kept| !kept.is_empty());
        let taken = kept.filter_map(move |kept| kept.remove(node_id));
        taken.map(move |(timer, _)| Command::DisarmTimer { key: timer.key(node_id) })
    }

    /// Arms the timer of the workflow's deadline, moves it, or takes it away. None when there is nothing to tell.
    pub fn set_workflow_deadline(&mut self, due: Option<Timestamp>) -> Option<Command> {
        let was = std::mem::replace(&mut self.workflow, due);
        let key = WORKFLOW_DEADLINE.to_owned();
        match due {
            Some(due) => Some(Command::ArmTimer { key, due }),
            None => was.map(|_| Command::DisarmTimer { key }),
        }
    }

    /// The host's timer has fired. One that was armed for this moment, or for one before, is so no more.
    pub fn fire<'k>(&mut self, key: &'k str, now: Timestamp) -> Fired<'k> {
        let early = |due| Fired::Early(Command::ArmTimer { key: key.to_owned(), due });
        if key == WORKFLOW_DEADLINE {
            return match self.workflow {
                Some(due) if due > now => early(due),
                Some(_) => {
                    self.workflow = None;
                    Fired::WorkflowDeadline
                }
                None => Fired::Nobodys,
            };
        }
        let found = Timer::ALL.into_iter().find_map(|timer| Some((timer, key.strip_prefix(timer.prefix())?)));
        let Some((timer, node_id)) = found else { return Fired::Nobodys };
        let kept = self.kept(timer);
        match kept.get(node_id) {
            Some((armed, due)) if *armed == timer && *due > now => return early(*due),
            Some((armed, _)) if *armed == timer => _ = kept.remove(node_id),
            Some(_) | None => {}
        }
        Fired::OfNode(timer, node_id)
    }

    /// The workflow has ended.
    pub fn clear(&mut self) {
        self.workflow = None;
        self.nodes.clear();
        self.refused.clear();
    }

    /// Where timers of this kind are kept.
    fn kept(&mut self, timer: Timer) -> &mut ByNode {
        match timer {
            Timer::Deadline | Timer::Suspend | Timer::Retry => &mut self.nodes,
            Timer::Refused => &mut self.refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a moment")
    }

    #[test]
    fn a_timer_that_was_moved_is_armed_anew_and_fires_once() {
        let mut timers = Timers::default();
        let id = ArcStr::from("n");
        _ = timers.arm(Timer::Retry, &id, at(5));
        let moved = timers.arm(Timer::Retry, &id, at(9));
        assert_eq!(timers.fire("retry/n", at(5)), Fired::Early(moved));
        assert!(timers.has("n"));
        assert_eq!(timers.fire("retry/n", at(9)), Fired::OfNode(Timer::Retry, "n"));
        assert!(!timers.has("n"));
        assert_eq!(timers.fire("other/n", at(9)), Fired::Nobodys);
    }

    #[test]
    fn a_deadline_that_was_taken_away_is_nobodys() {
        let mut timers = Timers::default();
        assert_eq!(timers.set_workflow_deadline(None), None);
        assert!(timers.set_workflow_deadline(Some(at(5))).is_some());
        assert!(timers.set_workflow_deadline(None).is_some());
        assert_eq!(timers.fire(WORKFLOW_DEADLINE, at(5)), Fired::Nobodys);
        assert!(timers.armed().is_empty());
    }
}
