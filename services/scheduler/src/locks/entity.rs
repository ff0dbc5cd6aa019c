//! The locks of a namespace: the state machine, and how what it wishes for becomes messages, timers and questions.

use std::collections::HashMap;

use argosy_actor::{HEADER_NAME, HEADER_NAMESPACE, HEADER_ORIGIN};
use argosy_api::digest;
use argosy_api::message::{LockAnswer, LockFact, LockMessage, LockOwner, Observed, ObservedMessage, SCHEMA, locks_uid};
use argosy_bus::{Publish, Stream, shard_of, subject};
use argosy_host::{Cause, Outgoing};
use argosy_locks::{LOOK, Locks, Wish};
use argosy_workflows::WorkflowKey;
use jiff::Timestamp;
use serde_json::json;

use crate::facts::{LocksQuestion, Question};
use crate::metrics;

/// The name in the key of all locks of a namespace.
pub(super) const NAME: &str = "locks";

/// The locks of a namespace.
pub(crate) struct LocksEntity {
    pub locks: Locks,
    /// Of the installation.
    pub shards: u16,
}

impl LocksEntity {
    pub fn step(&mut self, sequence: u64, at: Timestamp, fact: LockFact) -> Vec<Wish> {
        if let LockFact::WorkflowGone { .. } = &fact {
            metrics::LOCK_HOLDERS_GONE.inc();
        }
        self.locks.step(sequence, at, fact)
    }

    pub fn recover(&mut self, at: Timestamp) -> Vec<Wish> {
        self.locks.recover(at)
    }

    pub fn is_empty(&self) -> bool {
        self.locks.is_empty()
    }

    pub fn timers(&self) -> Vec<(String, Timestamp)> {
        self.locks.look_due().map(|due| (LOOK.to_owned(), due)).into_iter().collect()
    }

    pub fn overlooked(&self) -> Vec<String> {
        self.locks.overlooked()
    }

    /// What the log has answered already is not asked for again.
    pub fn replayed(fact: &LockFact, out: &mut Outgoing<Question>) {
        match fact {
            LockFact::TimerFired { key } => out.fired(key),
            LockFact::LimitsRead { limits, up_to } => {
                let locks = limits.iter().map(|limit| limit.lock.clone()).collect();
                out.answered(&Question::Locks(LocksQuestion::Limits { locks, up_to: *up_to }));
            }
            LockFact::HoldersRead { .. } => out.answered(&Question::Locks(LocksQuestion::Holders)),
            LockFact::Wanted { .. }
            | LockFact::Released { .. }
            | LockFact::WorkflowGone { .. }
            | LockFact::Kept { .. } => {}
        }
    }

    pub fn stamp(
        &mut self,
        cause: &Cause<'_, WorkflowKey>,
        wishes: impl Iterator<Item = Wish>,
        out: &mut Outgoing<Question>,
    ) {
        let mut named: HashMap<String, usize> = HashMap::new();
        let own = &cause.key.uid;
        for wish in wishes {
            let mut id = format!("{own}:{}:{}", cause.id, name_of(&wish));
            let before = named.entry(id.clone()).or_default();
            if *before > 0 {
                // One holder may wait, and get what it wants in the same step.
                id.push_str(&format!(".{before}"));
            }
            *before += 1;
            match wish {
                Wish::Answer { to, holder, since, answer } => {
                    match &answer {
                        LockAnswer::Granted => metrics::LOCKS_GRANTED.inc(),
                        LockAnswer::Waiting { .. } => metrics::LOCKS_WAITED.inc(),
                        LockAnswer::Refused { .. } => metrics::LOCKS_REFUSED.inc(),
                    }
                    let namespace = cause.key.namespace.clone();
                    let body = Observed::LocksAnswered { namespace, holder, since, answer };
                    let message = ObservedMessage { schema: SCHEMA, at: cause.at, body };
                    let payload = serde_json::to_vec(&message).expect("messages have string keys only");
                    let to = (to.uid.as_str(), to.namespace.as_str(), to.name.as_str());
                    out.messages.push(told(self.shards, cause.origin, to, id, payload));
                }
                Wish::ReadLimits { locks, up_to } => {
                    out.ask(Question::Locks(LocksQuestion::Limits { locks, up_to }), id);
                }
                Wish::ReadHolders => out.ask(Question::Locks(LocksQuestion::Holders), id),
                Wish::Look { limits, workflows, up_to } => {
                    out.ask(Question::Locks(LocksQuestion::Look { limits, workflows, up_to }), id);
                }
                Wish::ArmTimer { key, due } => out.arm(key, due),
                Wish::DisarmTimer { key } => out.disarm(key),
                Wish::Keep(fact) => {
                    let payload = payload_of(cause.at, fact);
                    let to = (own.as_str(), cause.key.namespace.as_str(), NAME);
                    out.messages.push(told(self.shards, cause.origin, to, id, payload));
                }
            }
        }
    }
}

/// What a workflow tells the locks of a namespace.
pub(crate) fn want_of(
    cause: &Cause<'_, WorkflowKey>,
    shards: u16,
    namespace: &str,
    id: String,
    fact: impl FnOnce(LockOwner) -> LockFact,
) -> Publish {
    let WorkflowKey { uid, namespace: of, name } = cause.key.clone();
    let payload = payload_of(cause.at, fact(LockOwner { uid, namespace: of, name }));
    told(shards, cause.origin, (&locks_uid(namespace), namespace, NAME), id, payload)
}

pub(super) fn payload_of(at: Timestamp, body: LockFact) -> Vec<u8> {
    serde_json::to_vec(&LockMessage { schema: SCHEMA, at, body }).expect("messages have string keys only")
}

/// A message for the log of a uid, with the namespace and the name of whom it is. It counts on this bus only: after the loss of
/// one, who has what is found out anew, and an answer of before would give a lock to two. What waits for a lock goes on by it,
/// so that it may use the reserve of a full stream.
fn told(shards: u16, origin: u64, to: (&str, &str, &str), id: String, payload: Vec<u8>) -> Publish {
    let (uid, namespace, name) = to;
    let subject = subject::Observed { shard: shard_of(uid, shards), uid: uid.to_owned() };
    let message = Publish::new(Stream::Observed, subject.to_string(), id_on(origin, &id), payload);
    let message = message.header(HEADER_NAMESPACE, namespace).header(HEADER_NAME, name);
    message.header(HEADER_ORIGIN, origin.to_string()).urgent()
}

/// The id of what counts only on the bus that began at `origin`: what a former owner sent there, who does not know of the loss
/// yet, must not pass for what its successor sends of the same step.
pub(super) fn id_on(origin: u64, id: &str) -> String {
    format!("{id}@{origin}")
}

/// What tells a wish from the others of its step. Names of holders may be anybody's text.
fn name_of(wish: &Wish) -> String {
    match wish {
        Wish::Answer { to, holder, .. } => {
            format!("answer.{}.{:016x}", to.uid, digest::of_member("holder", &json!(holder)))
        }
        Wish::ReadLimits { locks, up_to } => {
            format!("limits.{up_to}.{:016x}", digest::of_member("locks", &json!(locks)))
        }
        Wish::ReadHolders => "holders".to_owned(),
        Wish::Look { .. } => "look".to_owned(),
        Wish::ArmTimer { key, .. } | Wish::DisarmTimer { key } => format!("timer.{key}"),
        Wish::Keep(LockFact::Kept { part, .. }) => format!("kept.{part}"),
        Wish::Keep(_) => "kept".to_owned(),
    }
}
