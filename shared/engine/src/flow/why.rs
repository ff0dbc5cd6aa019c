//! Why nodes have not begun or not ended, for people.

use arcstr::ArcStr;
use argosy_api::v1alpha1::{NodePhase, NodeStatus, NodeType};
use jiff::Timestamp;

use super::waits::Hold;
use crate::{
    Wait, Workflow,
    state::{Body, Frame, Timer},
};

/// How many of those that somebody waits for are named.
const NAMED_MAX: usize = 3;

/// What a node waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The node, or the one that a step or task will have.
    pub node_id: ArcStr,
    pub node_name: ArcStr,
    /// In a word, for programs.
    pub kind: ReasonKind,
    /// A sentence without a full stop.
    pub text: String,
    /// When it goes on by itself.
    pub until: Option<Timestamp>,
}

/// What kind of thing a node waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonKind {
    /// Its pod, which runs, or does not run yet.
    Pod,
    /// A time.
    Time,
    /// A person.
    Person,
    /// A limit on what runs at a time.
    Limit,
    /// Steps or tasks before it.
    Before,
    /// An object that it refers to.
    Object,
}

impl ReasonKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Time => "time",
            Self::Person => "person",
            Self::Limit => "limit",
            Self::Before => "before",
            Self::Object => "object",
        }
    }
}

impl Workflow {
    /// Why each node that has not ended waits, and each step and task that has no node yet; first those with nodes, in the
    /// order in which they began. Empty for a workflow that has ended.
    ///
    /// Costs a look at each live node, and at each task that is still to come.
    pub fn reasons(&self) -> Vec<Reason> {
        let mut reasons: Vec<Reason> = self.frames.iter().filter_map(|frame| self.reason_of(frame)).collect();
        let began = |reason: &Reason| self.book.node(&reason.node_id).and_then(|node| node.started_at);
        reasons.sort_by_cached_key(|reason| (began(reason), reason.node_name.clone()));
        for wait in self.waits() {
            match wait {
                Wait::Call { node_id, node_name, why } => {
                    let (kind, text) = self.hold_in_words(&why);
                    reasons.push(Reason { node_id, node_name, kind, text, until: None });
                }
                Wait::Lookup(key) => {
                    let text = format!("{:?} `{}` is looked up", key.kind, key.name);
                    reasons.push(self.of_workflow(ReasonKind::Object, text));
                }
                Wait::Start => {
                    let text =
                        "the workflow was suspended before its first step, and a person must resume it".to_owned();
                    reasons.push(self.of_workflow(ReasonKind::Person, text));
                }
                Wait::Pod { .. } | Wait::Timer { .. } | Wait::Person { .. } => {}
            }
        }
        self.frames.iter().for_each(|frame| self.reasons_to_come(frame, &mut reasons));
        reasons
    }

    fn of_workflow(&self, kind: ReasonKind, text: String) -> Reason {
        let name: ArcStr = self.book.name().into();
        Reason { node_id: name.clone(), node_name: name, kind, text, until: None }
    }

    /// Of a node that waits for something outside: a pod, a time, a person.
    fn reason_of(&self, frame: &Frame) -> Option<Reason> {
        let node = self.book.node(&frame.call.id)?;
        let of = |kind, text: String, until| {
            Some(Reason { node_id: node.id.clone(), node_name: node.name.clone(), kind, text, until })
        };
        let timer = self.timers.of_node(&node.id);
        match (&frame.body, timer) {
            (Body::Retry(_), Some((Timer::Retry, due))) => of(
                ReasonKind::Time,
                "its last attempt failed, and the next one begins after the backoff".to_owned(),
                Some(due),
            ),
            (Body::Leaf, Some((Timer::Refused, due))) => {
                let text = format!("the API refused its pod, which is asked for again: {}", node.message);
                of(ReasonKind::Pod, text, Some(due))
            }
            (Body::Leaf, Some((Timer::Suspend, due))) => {
                of(ReasonKind::Time, "it is suspended for a while".to_owned(), Some(due))
            }
            (Body::Leaf, _) if node.r#type == NodeType::Suspend => {
                of(ReasonKind::Person, "it is suspended until a person resumes it".to_owned(), None)
            }
            (Body::Leaf, _) if node.phase.is_fulfilled() => None,
            (Body::Leaf, _) => of(ReasonKind::Pod, self.pod_in_words(node), None),
            (Body::Steps(_) | Body::Dag(_) | Body::Retry(_), _) => None,
        }
    }

    fn pod_in_words(&self, node: &NodeStatus) -> String {
        let pod = self.pod_of(&node.id).unwrap_or_default();
        match node.phase {
            NodePhase::Running => format!("its pod `{pod}` runs"),
            _ if node.message.is_empty() => format!("its pod `{pod}` has not started yet"),
            _ => format!("its pod `{pod}` does not run: {}", node.message),
        }
    }

    fn hold_in_words(&self, why: &Hold) -> (ReasonKind, String) {
        let text = match why {
            Hold::Suspended => {
                return (ReasonKind::Person, "the workflow is suspended, and a person must resume it".to_owned());
            }
            Hold::WorkflowParallelism { limit } => {
                let pods = self.running(|node| node.r#type == NodeType::Pod);
                format!("`parallelism: {limit}` of the workflow is used up by {pods}")
            }
            Hold::TemplateParallelism { node_id, limit } => {
                let nodes = self.running(|node| node.boundary_id == *node_id);
                format!("`parallelism: {limit}` of {} is used up by {nodes}", self.name_of(node_id))
            }
            Hold::FailFast { node_id } => {
                let nodes = self.running(|node| node.boundary_id == *node_id);
                format!(
                    "something in {} has failed, and with `failFast` it fails once these have ended: {nodes}",
                    self.name_of(node_id)
                )
            }
            Hold::Lock { lock: None } => "its locks have been asked for, and the answer is under way".to_owned(),
            Hold::Lock { lock: Some(lock) } => self.lock_in_words(lock),
        };
        (ReasonKind::Limit, text)
    }

    /// Who has a lock is in the status, as it was when it was told last.
    fn lock_in_words(&self, lock: &str) -> String {
        let status = self.book.status().synchronization.as_ref();
        let mutexes = status.and_then(|s| s.mutex.as_ref()).into_iter().flat_map(|m| &m.waiting);
        let semaphores = status.and_then(|s| s.semaphore.as_ref()).into_iter().flat_map(|s| &s.waiting);
        let of_mutex = mutexes.filter(|m| m.mutex == lock).map(|m| m.holder.as_str());
        let of_semaphore =
            semaphores.filter(|s| s.semaphore == lock).flat_map(|s| s.holders.iter().map(String::as_str));
        let holders: Vec<&str> = of_mutex.chain(of_semaphore).collect();
        if holders.is_empty() {
            return format!("it waits for the lock `{lock}`, for which others came first");
        }
        format!("it waits for the lock `{lock}`, which these have: {}", named(&holders))
    }

    fn name_of(&self, node_id: &str) -> ArcStr {
        self.book.node(node_id).map(|node| node.name.clone()).unwrap_or_default()
    }

    /// The names of live nodes, the first few of them.
    fn running(&self, which: impl Fn(&NodeStatus) -> bool) -> String {
        let live = self.frames.iter().filter_map(|frame| self.book.node(&frame.call.id));
        let mut names: Vec<&str> =
            live.filter(|node| !node.phase.is_fulfilled() && which(node)).map(|node| node.name.as_str()).collect();
        names.sort_unstable();
        named(&names)
    }

    /// Of steps and tasks that have no node yet.
    fn reasons_to_come(&self, frame: &Frame, reasons: &mut Vec<Reason>) {
        let mut say = |name: &str, text: String| {
            let node_name = arcstr::format!("{}{name}", frame.call.name);
            let node_id = self.book.id_of(&node_name);
            reasons.push(Reason { node_id, node_name, kind: ReasonKind::Before, text, until: None });
        };
        match &frame.body {
            Body::Dag(dag) => {
                for (task, before) in dag.tasks_to_come() {
                    let before: Vec<&str> = before.iter().map(ArcStr::as_str).collect();
                    say(&format!(".{task}"), format!("it comes after {}", named(&before)));
                }
            }
            Body::Steps(steps) => {
                let groups = frame.template.steps.iter().enumerate().skip(steps.current() + 1);
                for (index, step) in groups.flat_map(|(i, group)| group.steps.iter().map(move |step| (i, step))) {
                    say(&format!("[{index}].{}", step.name), format!("it comes after the steps of [{}]", index - 1));
                }
            }
            Body::Leaf | Body::Retry(_) => {}
        }
    }
}

fn named(names: &[&str]) -> String {
    let shown = names.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED_MAX) {
        0 if names.is_empty() => "nothing".to_owned(),
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
