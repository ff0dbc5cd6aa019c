//! The workflow's locks: those that its holders have, and those that they have asked for.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use arcstr::ArcStr;
use argosy_api::v1alpha1::{
    MutexHolding, MutexStatus, NodePhase, NodeStatus, SemaphoreHolding, SemaphoreStatus, SynchronizationStatus,
    Workflow as Object,
};

use super::{Call, FrameId};

/// Room for what is told within a step, in its place among all that is told of the workflow.
const WITHIN_STEP_BITS: u32 = 10;

/// Locks by namespace, each with the full names in the order of the spec. A holder asks for those of one namespace after
/// those of another, in the order of the namespaces, so that no two wait for each other.
pub(crate) type Wanted = VecDeque<(String, Vec<String>)>;

/// What holders have and want, by the id of their node; the workflow itself has the empty id. A holder that has asked for locks
/// waits for the answer, and is asked for again by nobody; what it has is the status', so that whoever takes the workflow up
/// knows of it.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    held: BTreeMap<ArcStr, Vec<String>>,
    asked: BTreeMap<ArcStr, Ask>,
    /// Why a holder gets no locks.
    refused: BTreeMap<ArcStr, String>,
    /// Who has a lock that somebody here waits for, as the status says.
    waiting: BTreeMap<String, Vec<String>>,
    /// The step in hand, and how much was told of locks in it.
    step: (u64, u64),
}

/// What a holder has asked for.
#[derive(Debug)]
pub(crate) struct Ask {
    /// The call that goes on with the locks; none is the workflow's own.
    pub call: Option<Arc<Call>>,
    /// What it has no answer to yet. The first is asked for.
    rest: Wanted,
    /// The lock that it waits for, as it was told.
    waits_for: Option<String>,
}

impl Ask {
    /// What is asked for: the namespace, and the locks in it.
    pub fn at_hand(&self) -> Option<&(String, Vec<String>)> {
        self.rest.front()
    }

    fn wants(&self, lock: &str) -> bool {
        self.rest.iter().flat_map(|(_, locks)| locks).any(|name| name == lock)
    }
}

/// What an answer is to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AnswerTo {
    /// To what the holder asks for.
    Ask,
    /// To what it asked for before that, or to what it has.
    Before,
    /// To nothing that it has or asks for.
    Nothing,
}

impl Locks {
    /// As the status of the object has them.
    pub fn of(object: &Object) -> Self {
        let mut locks = Self::default();
        let Some(status) = &object.status.synchronization else { return locks };
        let own = holder_name(object, "");
        let id = |holder: &str| {
            let rest = holder.strip_prefix(&own)?;
            if rest.is_empty() { Some(ArcStr::new()) } else { rest.strip_prefix('/').map(ArcStr::from) }
        };
        let mutexes = status.mutex.iter();
        let held = mutexes.clone().flat_map(|m| &m.holding).map(|h| (&h.mutex, std::slice::from_ref(&h.holder)));
        let semaphores = status.semaphore.iter();
        let of_semaphores = semaphores.clone().flat_map(|s| &s.holding).map(|h| (&h.semaphore, h.holders.as_slice()));
        for (lock, holders) in of_semaphores.chain(held) {
            for id in holders.iter().filter_map(|holder| id(holder)) {
                locks.held.entry(id).or_default().push(lock.clone());
            }
        }
        let waiting = mutexes.flat_map(|m| &m.waiting).map(|w| (w.mutex.clone(), vec![w.holder.clone()]));
        let of_semaphores = semaphores.flat_map(|s| &s.waiting).map(|w| (w.semaphore.clone(), w.holders.clone()));
        locks.waiting.extend(waiting.chain(of_semaphores));
        locks
    }

    /// Nobody has or wants any.
    pub fn is_idle(&self) -> bool {
        self.held.is_empty() && self.asked.is_empty()
    }

    /// The place of the next thing that is told of locks, in the step of the event `sequence`.
    pub fn next_since(&mut self, sequence: u64) -> u64 {
        let told = if self.step.0 == sequence { self.step.1 + 1 } else { 0 };
        self.step = (sequence, told);
        (sequence << WITHIN_STEP_BITS) | told.min((1 << WITHIN_STEP_BITS) - 1)
    }

    /// What of these the holder does not have.
    pub fn lacking(&self, id: &str, wanted: &Wanted) -> Wanted {
        let has = |name: &&String| self.held.get(id).is_some_and(|held| held.contains(name));
        let lacks = |(_, names): &&(String, Vec<String>)| !names.iter().all(|name| has(&name));
        wanted.iter().filter(lacks).cloned().collect()
    }

    pub fn ask(&mut self, id: ArcStr, call: Option<Arc<Call>>, wanted: Wanted) {
        self.asked.insert(id, Ask { call, rest: wanted, waits_for: None });
    }

    pub fn asked(&self, id: &str) -> Option<&Ask> {
        self.asked.get(id)
    }

    /// Who asks, in the order of ids.
    pub fn asks(&self) -> impl Iterator<Item = (&ArcStr, &Ask)> {
        self.asked.iter()
    }

    /// The lock that keeps the holder waiting, as it was told, or as the status has it.
    pub fn keeps_waiting(&self, ask: &Ask) -> Option<String> {
        let known = || ask.at_hand()?.1.iter().find(|name| self.waiting.contains_key(*name)).cloned();
        ask.waits_for.clone().or_else(known)
    }

    /// Calls in that boundary which wait for locks.
    pub fn asked_in(&self, frame: FrameId) -> Vec<Arc<Call>> {
        self.calls().filter(|call| call.boundary == Some(frame)).cloned().collect()
    }

    /// Calls that wait for locks.
    pub fn calls(&self) -> impl Iterator<Item = &Arc<Call>> {
        self.asked.values().filter_map(|ask| ask.call.as_ref())
    }

    /// What the holders have, in the order of ids.
    pub fn held(&self) -> impl Iterator<Item = (&ArcStr, &Vec<String>)> {
        self.held.iter()
    }

    pub fn concerns(&self, id: &str) -> bool {
        self.held.contains_key(id) || self.asked.contains_key(id)
    }

    /// What an answer from the locks of a namespace is to. A holder asks for the same only once, but for one that is there again
    /// after a retry of the workflow: `ended_at` is how far the log was stepped when the workflow last ended.
    pub fn answer_to(&self, id: &str, namespace: &str, since: u64, ended_at: u64) -> AnswerTo {
        let is_of = |name: &String| namespace_of(name) == namespace;
        let is_of_now = ended_at == 0 || since >> WITHIN_STEP_BITS > ended_at;
        match self.asked.get(id) {
            Some(ask) if ask.at_hand().is_some_and(|(of, _)| of == namespace) && is_of_now => AnswerTo::Ask,
            Some(ask) if ask.at_hand().is_some_and(|(of, _)| of == namespace) => AnswerTo::Before,
            _ if self.held.get(id).is_some_and(|held| held.iter().any(is_of)) => AnswerTo::Before,
            Some(_) | None => AnswerTo::Nothing,
        }
    }

    /// The holder has what it asked for, and asks for what comes next.
    pub fn granted(&mut self, id: &ArcStr) {
        let Some(ask) = self.asked.get_mut(id) else { return };
        let names = ask.rest.pop_front().map(|(_, names)| names).unwrap_or_default();
        ask.waits_for = None;
        let held = self.held.entry(id.clone()).or_default();
        let new: Vec<String> = names.into_iter().filter(|name| !held.contains(name)).collect();
        held.extend(new);
        self.forget_waiting();
    }

    /// The holder asks for nothing more.
    pub fn take_ask(&mut self, id: &str) -> Option<Ask> {
        let ask = self.asked.remove(id);
        self.forget_waiting();
        ask
    }

    /// The holder waits for `lock`; `holders` have those that it wants.
    pub fn waits(&mut self, id: &str, lock: &str, holders: BTreeMap<String, Vec<String>>) {
        let Some(ask) = self.asked.get_mut(id) else { return };
        ask.waits_for = Some(lock.to_owned());
        self.waiting.extend(holders);
        self.forget_waiting();
    }

    /// Nobody waits any more for a lock that nobody wants.
    fn forget_waiting(&mut self) {
        let asked = &self.asked;
        self.waiting.retain(|lock, _| asked.values().any(|ask| ask.wants(lock)));
    }

    /// The holder gets none.
    pub fn refuse(&mut self, id: &ArcStr, message: String) {
        self.refused.insert(id.clone(), message);
    }

    /// Why the holder gets none, once.
    pub fn take_refusal(&mut self, id: &str) -> Option<String> {
        self.refused.remove(id)
    }

    /// The holder has and wants nothing any more. Answers the namespaces that are to be told.
    pub fn take(&mut self, id: &str) -> Vec<String> {
        let held = self.held.remove(id).unwrap_or_default();
        let mut namespaces: Vec<String> = held.iter().map(|name| namespace_of(name).to_owned()).collect();
        namespaces.extend(self.take_ask(id).and_then(|ask| Some(ask.at_hand()?.0.clone())));
        namespaces.sort();
        namespaces.dedup();
        namespaces
    }

    /// All who have or want something.
    pub fn concerned(&self) -> Vec<ArcStr> {
        let mut all: Vec<ArcStr> = self.held.keys().chain(self.asked.keys()).cloned().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// As it stands in the status.
    pub fn status(&self, object: &Object) -> Option<SynchronizationStatus> {
        let mut holding: BTreeMap<&String, Vec<String>> = BTreeMap::new();
        for (id, names) in &self.held {
            names.iter().for_each(|name| holding.entry(name).or_default().push(holder_name(object, id)));
        }
        let mut mutex = MutexStatus::default();
        let mut semaphore = SemaphoreStatus::default();
        let waiting = self.waiting.iter().map(|(lock, holders)| (lock, holders.clone(), true));
        for (lock, holders, waits) in holding.into_iter().map(|(lock, holders)| (lock, holders, false)).chain(waiting) {
            if is_mutex(lock) {
                let all = holders.into_iter().map(|holder| MutexHolding { mutex: lock.clone(), holder });
                if waits { &mut mutex.waiting } else { &mut mutex.holding }.extend(all);
            } else {
                let all = SemaphoreHolding { semaphore: lock.clone(), holders };
                if waits { &mut semaphore.waiting } else { &mut semaphore.holding }.push(all);
            }
        }
        let (mutex, semaphore) = (Some(mutex).filter(|m| *m != MutexStatus::default()), Some(semaphore));
        let semaphore = semaphore.filter(|s| *s != SemaphoreStatus::default());
        (mutex.is_some() || semaphore.is_some()).then_some(SynchronizationStatus { semaphore, mutex })
    }
}

/// A holder, as others see it. Source: Argo `getHolderKey`.
pub(crate) fn holder_name(object: &Object, id: &str) -> String {
    let meta = &object.metadata;
    if id.is_empty() {
        format!("{}/{}", meta.namespace, meta.name)
    } else {
        format!("{}/{}/{id}", meta.namespace, meta.name)
    }
}

/// The namespace in the full name of a lock.
pub(crate) fn namespace_of(lock: &str) -> &str {
    lock.split('/').next().unwrap_or_default()
}

fn is_mutex(lock: &str) -> bool {
    lock.split('/').nth(1) == Some("Mutex")
}

/// Whether the node is there and may not begin yet, as it lacks locks.
pub(crate) fn waits_for_lock(node: &NodeStatus) -> bool {
    node.phase == NodePhase::Pending && node.synchronization_status.is_some()
}
