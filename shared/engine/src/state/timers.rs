//! Timers: their keys, and which of them are armed.

use std::collections::{BTreeSet, HashMap};

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
    /// The pod of a node had to end by now. A pod that runs is ended by Kubernetes; this ends one that is still Pending.
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
    /// The same, in the order in which they are due.
    refused_in_order: BTreeSet<(Timestamp, ArcStr)>,
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

    /// What the node waits for, and until when; of two, the next attempt to have its pod.
    pub fn of_node(&self, node_id: &str) -> Option<(Timer, Timestamp)> {
        self.refused.get(node_id).or_else(|| self.nodes.get(node_id)).copied()
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
        let was = self.kept(timer).insert(node_id.clone(), (timer, due));
        if timer == Timer::Refused {
            if let Some((_, was)) = was {
                self.refused_in_order.remove(&(was, node_id.clone()));
            }
            self.refused_in_order.insert((due, node_id.clone()));
        }
        Command::ArmTimer { key: timer.key(node_id), due }
    }

    /// Takes away the timers of a node that has ended.
    pub fn disarm(&mut self, node_id: &str) -> impl Iterator<Item = Command> {
        let taken = [self.nodes.remove(node_id), self.take_refused(node_id)];
        taken.into_iter().flatten().map(move |(timer, _)| Command::DisarmTimer { key: timer.key(node_id) })
    }

    /// How many pod nodes wait because their pod was refused.
    pub fn refused(&self) -> usize {
        self.refused.len()
    }

    /// Of the nodes that wait because their pod was refused, the one whose time comes first: it waits no longer.
    pub fn take_first_refused(&mut self) -> Option<(ArcStr, Command)> {
        let (_, node_id) = self.refused_in_order.pop_first()?;
        self.refused.remove(&node_id);
        let disarm = Command::DisarmTimer { key: Timer::Refused.key(&node_id) };
        Some((node_id, disarm))
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
            Some((armed, _)) if *armed == timer => _ = self.take(timer, node_id),
            Some(_) | None => {}
        }
        Fired::OfNode(timer, node_id)
    }

    /// The workflow has ended.
    pub fn clear(&mut self) {
        self.workflow = None;
        self.nodes.clear();
        self.refused.clear();
        self.refused_in_order.clear();
    }

    fn take(&mut self, timer: Timer, node_id: &str) -> Option<(Timer, Timestamp)> {
        match timer {
            Timer::Deadline | Timer::Suspend | Timer::Retry => self.nodes.remove(node_id),
            Timer::Refused => self.take_refused(node_id),
        }
    }

    fn take_refused(&mut self, node_id: &str) -> Option<(Timer, Timestamp)> {
        let (id, (timer, due)) = self.refused.remove_entry(node_id)?;
        self.refused_in_order.remove(&(due, id));
        Some((timer, due))
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
    fn of_the_refused_the_one_that_is_due_first_goes_first() {
        let mut timers = Timers::default();
        for (id, second) in [("a", 9), ("b", 5), ("c", 7), ("b", 8)] {
            _ = timers.arm(Timer::Refused, &ArcStr::from(id), at(second));
        }
        assert_eq!(timers.disarm("a").count(), 1);
        assert_eq!(timers.refused(), 2);
        let order: Vec<_> = std::iter::from_fn(|| timers.take_first_refused()).map(|(id, _)| id).collect();
        assert_eq!(order, ["c", "b"]);
        assert!(timers.armed().is_empty());
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
