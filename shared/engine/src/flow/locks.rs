//! Locks: a node, or the workflow, goes on when it has those that its template names. Source: Argo docs/synchronization.md and
//! `workflow/sync`; inventory §8, row 21.

use std::sync::Arc;

use arcstr::ArcStr;
use argosy_api::{
    labels,
    message::{LockAnswer, LockWant},
    v1alpha1::{NodePhase, NodeStatus, NodeSynchronizationStatus, NodeType, Synchronization, Template, WorkflowPhase},
};
use argosy_template::duration;
use jiff::{SignedDuration, Timestamp};

use crate::{
    Command, Workflow,
    flow::refusal::Refusal,
    size,
    state::{
        Call, Stage, Timer, Work, kind_of,
        locks::{AnswerTo, Wanted, holder_name, namespace_of, waits_for_lock},
        set, set_text,
    },
};

/// Locks that one holder may want.
const LOCKS_MAX: usize = 100;
/// Bytes that the name of a lock may take.
const NAME_BYTES_MAX: usize = 512;
const TIMEOUT: &str = "timeout";

impl Workflow {
    /// The locks that are to be had, in the order in which they are asked for.
    ///
    /// Errors: Argo's text where they can never be had.
    pub(crate) fn wanted_locks(&self, synchronization: &Synchronization) -> Result<Wanted, String> {
        if has_duplicates(synchronization) {
            return Err("requested configuration is invalid: duplicate synchronization item found".to_owned());
        }
        let own = self.book.namespace();
        let namespace = |text: &String| if text.is_empty() { own.to_owned() } else { text.clone() };
        let mut names = Vec::new();
        for semaphore in &synchronization.semaphores {
            match &semaphore.config_map_key_ref {
                Some(key) if semaphore.database.is_none() => {
                    names.push((namespace(&semaphore.namespace), format!("ConfigMap/{}/{}", key.name, key.key)));
                }
                _ if semaphore.database.is_some() => return Err(no_database()),
                _ => return Err("cannot get lock name: a semaphore names no ConfigMap".to_owned()),
            }
        }
        for mutex in &synchronization.mutexes {
            if mutex.database {
                return Err(no_database());
            }
            names.push((namespace(&mutex.namespace), format!("Mutex/{}", mutex.name)));
        }
        if names.len() > LOCKS_MAX {
            return Err(format!("{} locks are wanted at once, of {LOCKS_MAX} at most", names.len()));
        }
        let mut wanted = Wanted::new();
        for (namespace, name) in names {
            let lock = format!("{namespace}/{name}");
            if lock.len() > NAME_BYTES_MAX || namespace.contains('/') {
                return Err(format!("the name of a lock takes {} bytes, of {NAME_BYTES_MAX} at most", lock.len()));
            }
            match wanted.iter_mut().find(|(of, _)| *of == namespace) {
                Some((_, names)) if names.contains(&lock) => {}
                Some((_, names)) => names.push(lock),
                None => wanted.push_back((namespace, vec![lock])),
            }
        }
        wanted.make_contiguous().sort();
        Ok(wanted)
    }

    /// Whether the call has the locks of its template. If not, they are asked for, and it is made again when it has them.
    ///
    /// Errors: it cannot have them.
    pub(crate) fn has_locks(&mut self, call: &Arc<Call>, template: &Template) -> Result<bool, String> {
        let Some(synchronization) = template.synchronization.as_deref().filter(|_| call.attempt.is_none()) else {
            return Ok(true);
        };
        if let Some(message) = self.locks.take_refusal(&call.id) {
            return Err(message);
        }
        if self.locks.asked(&call.id).is_some() {
            return Ok(false);
        }
        let wanted = self.wanted_locks(synchronization)?;
        let lacking = self.locks.lacking(&call.id, &wanted);
        if lacking.is_empty() {
            return Ok(true);
        }
        self.ask_for_locks(call.id.clone(), Some(call.clone()), lacking);
        self.arm_lock_timeout(&call.id, template);
        Ok(false)
    }

    /// Whether the workflow has its own locks. If not, they are asked for, and it begins when it has them.
    pub(crate) fn has_own_locks(&mut self) -> Result<bool, Refusal> {
        let spec = self.plan.spec().clone();
        let Some(synchronization) = &spec.synchronization else { return Ok(true) };
        let wanted = self.wanted_locks(synchronization).map_err(own_problem)?;
        let lacking = self.locks.lacking("", &wanted);
        if lacking.is_empty() {
            return Ok(true);
        }
        self.life.enter(Stage::Held);
        if self.locks.asked("").is_none() {
            if self.book.status().phase == WorkflowPhase::Unknown {
                self.book.set_phase(WorkflowPhase::Pending, "");
                self.book.set_label(labels::COMPLETED, "false");
            }
            self.ask_for_locks(ArcStr::new(), None, lacking);
        }
        Ok(false)
    }

    fn ask_for_locks(&mut self, id: ArcStr, call: Option<Arc<Call>>, wanted: Wanted) {
        let since = self.locks.next_since(self.book.watermark());
        let mut namespaces: Vec<String> = wanted.iter().map(|(namespace, _)| namespace.clone()).collect();
        let known = self.book.meta().annotations.get(labels::LOCKS).map(String::as_str).unwrap_or_default();
        namespaces.extend(known.split(',').filter(|name| !name.is_empty()).map(str::to_owned));
        namespaces.sort();
        namespaces.dedup();
        self.book.set_annotation(labels::LOCKS, &namespaces.join(","));
        if let Some((namespace, names)) = wanted.front() {
            let (namespace, names) = (namespace.clone(), names.clone());
            self.tell_want(&id, namespace, names, since);
        }
        self.locks.ask(id, call, wanted);
    }

    fn tell_want(&mut self, id: &str, namespace: String, locks: Vec<String>, since: u64) {
        let command = self.want(id, namespace, locks, since, false);
        self.agenda.wish(command);
    }

    fn want(&self, id: &str, namespace: String, locks: Vec<String>, since: u64, claims: bool) -> Command {
        let want = LockWant {
            holder: holder_name(self.book.object(), id),
            locks,
            priority: self.plan.spec().priority.unwrap_or_default(),
            created: self.book.meta().creation_timestamp.map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            since,
            claims,
        };
        Command::WantLocks { namespace, want }
    }

    /// A waiting node ends when its time is over.
    fn arm_lock_timeout(&mut self, id: &ArcStr, template: &Template) {
        let Some(started) = self.book.node(id).filter(|node| waits_for_lock(node)).and_then(|node| node.started_at)
        else {
            return;
        };
        // What is wrong with one shows when the node begins.
        let due = |text: &String| {
            let nanos = duration::parse(text).ok().filter(|_| !text.is_empty())?;
            started.0.checked_add(SignedDuration::from_nanos(nanos)).ok()
        };
        if let Some(due) = [&template.timeout, &template.pending_timeout].into_iter().filter_map(due).min() {
            self.arm(Timer::Deadline, id, due);
        }
    }

    pub(crate) fn on_locks_answered(&mut self, namespace: String, holder: &str, since: u64, answer: LockAnswer) {
        let own = holder_name(self.book.object(), "");
        let Some(id) = holder.strip_prefix(&own) else { return };
        let id = ArcStr::from(id.strip_prefix('/').unwrap_or(id));
        match (self.locks.answer_to(&id, &namespace, since, self.life.ended_at()), answer) {
            (AnswerTo::Ask, LockAnswer::Granted) => self.locks_granted(&id),
            (AnswerTo::Ask, LockAnswer::Waiting { lock, free, limit, holders }) => {
                let message = format!("Waiting for {lock} lock. Lock status: {free}/{limit}");
                self.locks.waits(&id, &lock, holders);
                self.show_locks();
                self.wait_for_lock(&id, &lock, &message);
            }
            (AnswerTo::Ask, LockAnswer::Refused { message }) => self.locks_refused(&id, message),
            // It was granted, and nobody is there who wants it.
            (AnswerTo::Nothing, LockAnswer::Granted) => self.tell_release(&id, namespace),
            (AnswerTo::Before, _) | (AnswerTo::Nothing, LockAnswer::Waiting { .. } | LockAnswer::Refused { .. }) => {}
        }
    }

    fn locks_granted(&mut self, id: &ArcStr) {
        self.locks.granted(id);
        let next = self.locks.asked(id).and_then(|ask| ask.at_hand().cloned());
        if let Some((namespace, names)) = next {
            self.show_locks();
            let since = self.locks.next_since(self.book.watermark());
            return self.tell_want(id, namespace, names, since);
        }
        let ask = self.locks.take_ask(id);
        self.show_locks();
        match ask.and_then(|ask| ask.call) {
            Some(call) => self.agenda.push(Work::Call(call)),
            None => self.enter(),
        }
    }

    fn locks_refused(&mut self, id: &ArcStr, message: String) {
        let call = self.locks.asked(id).and_then(|ask| ask.call.clone());
        self.locks.take_ask(id);
        self.release_locks(id);
        match call {
            Some(call) => {
                self.locks.refuse(id, message);
                self.agenda.push(Work::Call(call));
            }
            None => self.reject(&own_problem(message)),
        }
    }

    /// The holder waits, and its owner sees for what.
    fn wait_for_lock(&mut self, id: &ArcStr, lock: &str, message: &str) {
        let Some(call) = self.locks.asked(id).and_then(|ask| ask.call.clone()) else {
            let phase = self.book.status().phase;
            return self.book.set_phase(phase, message);
        };
        let Ok((compiled, _)) = self.resolve_template(&call.step, &call.scope) else { return };
        let is_new = self.book.node(id).is_none();
        if is_new {
            let strategy = compiled.template.retry_strategy.as_deref().or(self.plan.spec().retry_strategy.as_ref());
            let is_retried = strategy.is_some();
            let kind = if is_retried { NodeType::Retry } else { kind_of(&compiled.template).node_type() };
            self.create_called(&call, kind, NodePhase::Pending, message);
            if let Ok(template) = self.instantiate(&call, &compiled, is_retried) {
                self.note_inputs(id, &template);
            }
        }
        let status = Box::new(NodeSynchronizationStatus { waiting: lock.to_owned() });
        self.book.update_node(id, |node| {
            let is_pod = node.r#type == NodeType::Pod;
            set(&mut node.synchronization_status, Some(status))
                | set_text(&mut node.message, &size::cut(message))
                | (is_pod && set(&mut node.task_result_synced, Some(true)))
        });
        if is_new {
            self.arm_lock_timeout(id, &compiled.template);
        }
    }

    /// A node that waited for its locks begins.
    pub(crate) fn leave_queue(&mut self, id: &str, kind: NodeType, phase: NodePhase) {
        if !self.book.node(id).is_some_and(waits_for_lock) {
            return;
        }
        self.disarm(id);
        self.book.update_node(id, |node| {
            let is_pod = kind == NodeType::Pod;
            set(&mut node.synchronization_status, None)
                | set(&mut node.r#type, kind)
                | set(&mut node.phase, phase)
                | (is_pod && set_text(&mut node.message, "") | set(&mut node.task_result_synced, None))
        });
    }

    /// The node waits for no lock any more.
    pub(crate) fn forget_queue(&mut self, id: &str) {
        if self.book.node(id).is_some_and(waits_for_lock) {
            self.disarm(id);
            self.book.update_node(id, |node| set(&mut node.synchronization_status, None));
        }
    }

    /// A call that waits for its locks ends without them.
    pub(crate) fn end_waiting(&mut self, call: &Call, phase: NodePhase, message: &str) {
        self.release_locks(&call.id);
        if !self.book.node(&call.id).is_some_and(waits_for_lock) {
            return self.refuse(call, message);
        }
        self.forget_queue(&call.id);
        self.mark(&call.id, phase, Some(message));
        self.agenda.push(Work::Fulfilled(call.parent.clone()));
    }

    /// Ends the calls that wait for locks, as the workflow stops; `spared` go on waiting.
    pub(crate) fn end_all_waiting(&mut self, message: &str, spared: impl Fn(&Call) -> bool) {
        let calls: Vec<Arc<Call>> = self.locks.calls().filter(|call| !spared(call)).cloned().collect();
        calls.iter().for_each(|call| self.end_waiting(call, NodePhase::Failed, message));
    }

    /// The time of a node that waits for its locks is over. False when it does not wait for any.
    pub(crate) fn is_lock_timeout(&mut self, node_id: &str) -> bool {
        let waits = self.book.node(node_id).is_some_and(waits_for_lock);
        let call = self.locks.asked(node_id).and_then(|ask| ask.call.clone());
        match call.filter(|_| waits) {
            Some(call) => self.end_waiting(&call, NodePhase::Failed, TIMEOUT),
            None => return false,
        }
        true
    }

    /// The holder gives back all that it has, and wants nothing.
    pub(crate) fn release_locks(&mut self, id: &str) {
        if !self.locks.concerns(id) {
            return;
        }
        for namespace in self.locks.take(id) {
            self.tell_release(id, namespace);
        }
        self.show_locks();
    }

    fn tell_release(&mut self, id: &str, namespace: String) {
        let since = self.locks.next_since(self.book.watermark());
        let holder = holder_name(self.book.object(), id);
        self.agenda.wish(Command::ReleaseLocks { namespace, holder, since });
    }

    /// The workflow ends: all holders do.
    pub(crate) fn release_all_locks(&mut self) {
        self.locks.concerned().iter().for_each(|id| self.release_locks(id));
        self.book.end_synchronization();
    }

    /// Nodes that have ended in this step, or are up for those who wait for them, give back what they have. Source: Argo releases
    /// with `node.Fulfilled()`.
    pub(crate) fn release_of_ended(&mut self) {
        if self.locks.is_idle() {
            return;
        }
        let ended = |id: &&ArcStr| {
            self.locks.concerns(id)
                && self.book.node(id).is_some_and(|node| node.phase.is_fulfilled() || node.daemoned == Some(true))
        };
        let ended: Vec<ArcStr> = self.book.changed_nodes().filter(ended).cloned().collect();
        ended.iter().for_each(|id| self.release_locks(id));
    }

    /// Who takes the workflow up tells again what its holders have, as the locks may have forgotten it; those that have ended
    /// since that was written give it back. That comes before what is asked for anew, as locks that have forgotten who has them
    /// would give them to who asks first; `since` is from before that.
    pub(crate) fn reclaim_locks(&mut self, since: u64) {
        let mut claims = Vec::new();
        let held: Vec<(ArcStr, Vec<String>)> =
            self.locks.held().map(|(id, names)| (id.clone(), names.clone())).collect();
        for (id, names) in held {
            let is_live = |node: &NodeStatus| !node.phase.is_fulfilled() && node.daemoned != Some(true);
            // One that has the locks of one namespace and asks for those of the next may have no node yet.
            let asks = self.locks.asked(&id).is_some();
            if !(id.is_empty() || asks || self.book.node(&id).is_some_and(is_live)) {
                self.release_locks(&id);
                continue;
            }
            let mut by_namespace: Wanted = Wanted::new();
            for name in names {
                let namespace = namespace_of(&name);
                match by_namespace.iter_mut().find(|(of, _)| of == namespace) {
                    Some((_, names)) => names.push(name),
                    None => by_namespace.push_back((namespace.to_owned(), vec![name])),
                }
            }
            for (namespace, names) in by_namespace {
                claims.push(self.want(&id, namespace, names, since, true));
            }
        }
        self.agenda.wish_before(claims);
    }

    /// The status says who has and who wants locks.
    fn show_locks(&mut self) {
        let status = self.locks.status(self.book.object());
        self.book.set_synchronization(status);
    }
}

fn own_problem(problem: String) -> Refusal {
    Refusal::failed(format!("Failed to acquire the synchronization lock. {problem}"))
}

fn no_database() -> String {
    "locks in a database are not available yet in this version of Argosy; use a ConfigMap for semaphores, or a mutex without `database`"
        .to_owned()
}

/// A lock is asked for twice.
fn has_duplicates(synchronization: &Synchronization) -> bool {
    let mutexes = synchronization.mutexes.iter().map(crate::json::text);
    let semaphores = synchronization.semaphores.iter().map(crate::json::text);
    let mut seen = std::collections::BTreeSet::new();
    mutexes.chain(semaphores).any(|lock| !seen.insert(lock))
}
