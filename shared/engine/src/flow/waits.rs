//! What a workflow waits for, and what it should have done by itself and has not.

use std::collections::HashSet;

use arcstr::ArcStr;
use argosy_api::{
    message::LookupKey,
    v1alpha1::{NodePhase, NodeType, Time},
};
use jiff::Timestamp;

use crate::{
    Workflow,
    state::{Body, Call, Children, Frame, Parent, Stage},
};

/// Something from outside that a live workflow waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum Wait {
    /// The end of a pod.
    Pod {
        node_id: ArcStr,
        pod_name: String,
        /// When its node began.
        since: Option<Time>,
        /// A report has told of the pod since this state was built, or its node was Running already then. Otherwise the pod
        /// was wished for, and nobody has seen it yet.
        is_seen: bool,
    },
    /// A timer that was armed.
    Timer { key: String, due: Timestamp },
    /// The answer to a lookup.
    Lookup(LookupKey),
    /// A node may not begin yet.
    Call { node_id: ArcStr, node_name: ArcStr, why: Hold },
    /// A person, who resumes a suspend node.
    Person { node_id: ArcStr },
    /// A person, who resumes a workflow that was suspended, maybe before its first node.
    Start,
}

/// Why a node may not begin yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// `spec.suspend`.
    Suspended,
    /// `spec.parallelism` pods are active.
    WorkflowParallelism { limit: i64 },
    /// `parallelism` of the template of this Steps or DAG node: so many of its nodes are active.
    TemplateParallelism { node_id: ArcStr, limit: i64 },
    /// A child of this node has failed; with `failFast` the node fails once its active pods have ended.
    FailFast { node_id: ArcStr },
    /// The call, or the workflow itself, lacks locks. `lock`: that of them which it was told of.
    Lock { lock: Option<String> },
}

/// Something that needs no further event, and yet has not been done. Each is a bug of the engine, but in a workflow
/// that goes by an older [`Behavior`](crate::Behavior) which had that bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overlooked {
    /// A step ended with work that was left.
    Work { pieces: usize },
    /// A call is held back, although there is room for it.
    Call { node_id: ArcStr, why: Hold },
    /// A call was neither made nor is it held back.
    LostCall { node_id: ArcStr },
    /// A task of this DAG node has not begun, although all that it depends on has settled.
    Task { node_id: ArcStr, task: ArcStr },
    /// A node has ended, and nobody was told; or all that is inside it has ended.
    Ended { node_id: ArcStr },
    /// A node waits for a time, without a timer.
    Timer { node_id: ArcStr },
    /// The workflow is live, and waits for nothing at all.
    Nothing,
}

impl Workflow {
    /// All that the workflow waits for: pods, timers, lookups, people, and calls with the reason why they are held back.
    /// Never empty for a live workflow. Costs a look at each live node: for a reminder or a person, not for each event.
    pub fn waits(&self) -> Vec<Wait> {
        let mut waits = Vec::new();
        if self.life.is_done() {
            return waits;
        }
        waits.extend(self.open_lookups().into_iter().map(Wait::Lookup));
        waits.extend(self.timers.armed().into_iter().map(|(key, due)| Wait::Timer { key, due }));
        let asks_itself = self.locks.asked("").is_some();
        if self.life.is(Stage::Held) && !asks_itself || self.is_paused() {
            waits.push(Wait::Start);
        }
        waits.extend(self.frames.iter().filter_map(|frame| self.wait_of(frame)));
        let held = self.held().map(|(call, why)| (call.clone(), why));
        waits.extend(held.map(|(call, why)| Wait::Call {
            node_id: call.id.clone(),
            node_name: call.name.clone(),
            why,
        }));
        waits.extend(self.locks.asks().map(|(id, ask)| {
            let own = ArcStr::from(self.book.name());
            let (node_id, node_name) =
                ask.call.as_ref().map_or((own.clone(), own), |call| (id.clone(), call.name.clone()));
            Wait::Call { node_id, node_name, why: Hold::Lock { lock: self.locks.keeps_waiting(ask) } }
        }));
        waits
    }

    fn wait_of(&self, frame: &Frame) -> Option<Wait> {
        if !matches!(frame.body, Body::Leaf) {
            return None;
        }
        let node = self.book.node(&frame.call.id)?;
        let node_id = node.id.clone();
        match node.r#type {
            NodeType::Suspend if self.timers.has(&node_id) => None,
            NodeType::Suspend => Some(Wait::Person { node_id }),
            _ => Some(Wait::Pod {
                pod_name: self.pod_of(&node_id).unwrap_or_default(),
                since: node.started_at,
                is_seen: frame.is_seen || node.phase != NodePhase::Pending,
                node_id,
            }),
        }
    }

    /// Calls that are held back, each with the reason as it is now.
    fn held(&self) -> impl Iterator<Item = (&std::sync::Arc<Call>, Hold)> {
        let of_workflow = self.held.of_workflow().map(|call| {
            let limit = self.plan.spec().parallelism.unwrap_or_default();
            (call, if self.is_suspended() { Hold::Suspended } else { Hold::WorkflowParallelism { limit } })
        });
        let of_boundaries = self.held.of_boundaries().into_iter().flat_map(|(node_id, queue)| {
            let why = self.boundary_hold(node_id);
            queue.iter().map(move |call| (call, why.clone()))
        });
        of_workflow.chain(of_boundaries)
    }

    fn boundary_hold(&self, node_id: &ArcStr) -> Hold {
        let template = self.live(node_id).and_then(|f| self.frame(f)).map(|f| &f.template);
        let fails =
            template.is_some_and(|t| t.fail_fast == Some(true)) && self.book.counts_of(node_id).unsuccessful > 0;
        if fails {
            return Hold::FailFast { node_id: node_id.clone() };
        }
        let limit = template.and_then(|t| t.parallelism).unwrap_or_default();
        Hold::TemplateParallelism { node_id: node_id.clone(), limit }
    }

    /// What could go on without a further event, and does not: held calls with room, tasks that are ready, nodes that have
    /// ended unnoticed. For the host to ask when nothing has come for a while, to count and to log. Whatever is found is a
    /// bug, but for workflows that go by an older [`crate::Behavior`], and is not mended here.
    pub fn overlooked(&self) -> Vec<Overlooked> {
        let mut found = Vec::new();
        // What is paused goes on when it is resumed.
        if self.life.is_done() || self.is_paused() {
            return found;
        }
        if !self.agenda.is_idle() {
            found.push(Overlooked::Work { pieces: self.agenda.pieces() });
        }
        if self.waits().is_empty() {
            found.push(Overlooked::Nothing);
        }
        self.overlooked_calls(&mut found);
        let known: HashSet<&str> = self.waiting_calls().map(|call| call.id.as_str()).collect();
        for frame in self.frames.iter() {
            self.overlooked_in(frame, &known, &mut found);
        }
        found
    }

    /// Held calls for which there is room. One of a boundary may also wait for the workflow's parallelism.
    fn overlooked_calls(&self, found: &mut Vec<Overlooked>) {
        for (call, why) in self.held() {
            let is_open = match &why {
                Hold::Suspended => !self.is_suspended(),
                Hold::WorkflowParallelism { .. } => self.has_room(),
                Hold::TemplateParallelism { node_id, .. } => {
                    self.live(node_id).is_none_or(|f| self.boundary_has_room(f))
                }
                Hold::FailFast { node_id } => self.book.counts_of(node_id).active_pods == 0,
                // Whether it is free the locks know.
                Hold::Lock { .. } => false,
            };
            if is_open {
                found.push(Overlooked::Call { node_id: call.id.clone(), why });
            }
        }
    }

    /// Calls that wait for room or for the answer to a lookup.
    fn waiting_calls(&self) -> impl Iterator<Item = &std::sync::Arc<Call>> {
        let held = self.held.calls().chain(self.locks.calls());
        held.chain(self.memo.waiting_calls()).chain(self.library.parked_calls())
    }

    fn overlooked_in(&self, frame: &Frame, waiting: &HashSet<&str>, found: &mut Vec<Overlooked>) {
        let node_id = || frame.call.id.clone();
        // A daemon that is up has a frame, and is fulfilled for those who depend on it; its phase is Running.
        let has_ended = self.book.phase_of(&frame.call.id).is_fulfilled();
        let is_over = match &frame.body {
            Body::Leaf => {
                let waits = frame.template.suspend.as_ref().is_some_and(|s| !s.duration.is_empty());
                if waits && !has_ended && !self.timers.has(&frame.call.id) {
                    found.push(Overlooked::Timer { node_id: node_id() });
                }
                false
            }
            Body::Retry(_) => {
                let last = self.attempts_of(&frame.call.id).last().map(|id| self.book.phase_of(id));
                last.is_some_and(NodePhase::is_fulfilled) && !self.timers.has(&frame.call.id) && {
                    // The next attempt may be held back.
                    let next = format!("{}({})", frame.call.name, self.attempts_of(&frame.call.id).len());
                    !waiting.contains(self.book.id_of(&next).as_str())
                }
            }
            Body::Steps(steps) => steps.children().open() == 0,
            Body::Dag(dag) => {
                found.extend(dag.overlooked_tasks().map(|task| Overlooked::Task { node_id: node_id(), task }));
                dag.is_over()
            }
        };
        if has_ended || is_over {
            found.push(Overlooked::Ended { node_id: node_id() });
        }
        let has_items = |parent: &Parent| match (&frame.body, parent) {
            (Body::Dag(dag), Parent::Child { child, .. }) => dag.has_open_items(*child),
            _ => false,
        };
        for child in frame.children().into_iter().flat_map(Children::list) {
            let Some(call) = child.call.as_ref().filter(|_| !child.settled) else { continue };
            match self.book.node(&call.id).map(|node| node.phase) {
                None if !waiting.contains(call.id.as_str()) => {
                    found.push(Overlooked::LostCall { node_id: call.id.clone() });
                }
                // A loop is in error with its first item that is, and goes on when those that run have ended.
                Some(phase) if phase.is_fulfilled() && !child.fulfilled && !has_items(&call.parent) => {
                    found.push(Overlooked::Ended { node_id: call.id.clone() });
                }
                Some(_) | None => {}
            }
        }
    }
}
