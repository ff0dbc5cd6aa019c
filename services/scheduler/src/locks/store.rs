//! Where locks are stored: their state stands in their own log from time to time, and what is held also in the objects of the
//! workflows, from which a log that was lost is begun anew.

use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Failure, Host};
use argosy_api::digest::Position;
use argosy_api::message::{LockFact, LockMessage, SCHEMA, is_locks_uid, locks_uid};
use argosy_bus::{Message, Publish, Stream, subject};
use argosy_host::{Doing, Marks, Reading};
use argosy_locks::Locks;
use argosy_workflows::{WorkflowKey, WorkflowLog as _};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::entity::{LocksEntity, NAME, payload_of};
use super::look::Looks;
use crate::context::Context;
use crate::facts::{Fact, LocksQuestion};

/// Messages of a log read at once.
const PAGE: usize = 512;

/// What is stored of the locks of a namespace.
pub(crate) struct StoredLocks {
    /// The newest state that is whole, and up to where it is.
    kept: Option<(Locks, u64)>,
    is_out_of_service: bool,
}

impl StoredLocks {
    pub fn marks(&self) -> Marks<Position> {
        let sequence = self.kept.as_ref().map_or(0, |(_, up_to)| *up_to);
        Marks { position: Position::default(), sequence, is_out_of_service: self.is_out_of_service }
    }
}

/// The locks of a shard.
pub(crate) struct LocksStore {
    context: Arc<Context>,
    looks: Looks,
}

impl LocksStore {
    pub fn new(context: Arc<Context>, lease: Duration, stop: CancellationToken) -> Self {
        Self { looks: Looks::new(Arc::clone(&context), lease, stop), context }
    }

    /// The key of the locks whose log has this uid.
    pub fn key_of(uid: &str) -> Option<WorkflowKey> {
        let namespace = uid.strip_prefix(&locks_uid(""))?.to_owned();
        Some(WorkflowKey { uid: uid.to_owned(), namespace, name: NAME.to_owned() })
    }

    /// Whether the message is one of a log of locks.
    pub fn is_of_locks(message: &Message) -> bool {
        message.subject.parse::<subject::Observed>().is_ok_and(|log| is_locks_uid(&log.uid))
    }

    /// Those that workflows which have not ended have used.
    pub fn in_use(&self) -> Vec<WorkflowKey> {
        let namespaces = self.context.unfinished.lock_namespaces();
        namespaces.into_iter().filter_map(|namespace| Self::key_of(&locks_uid(&namespace))).collect()
    }

    pub fn span(&self, key: &WorkflowKey, doing: Doing<'_, Fact>) -> Span {
        match doing {
            Doing::Step { sequence, fact: _ } => {
                tracing::debug_span!("step", locks.namespace = key.namespace, event.seq = sequence)
            }
            Doing::Publish(messages) => tracing::debug_span!("publish", locks.namespace = key.namespace, messages),
            Doing::Tell => tracing::error_span!("locks", locks.namespace = key.namespace),
        }
    }

    /// The newest state in the log. An entry about the whole log in the quarantine says that it is out of service.
    pub async fn fetch(&self, key: &WorkflowKey) -> Result<StoredLocks, Failure> {
        let host = &self.context.host;
        let (subject, mut after, mut kept) = (host.observed_subject(&key.uid), 0, Vec::new());
        loop {
            let page = host.bus.read(Stream::Observed, &subject, after, PAGE).await?;
            let Some(newest) = page.last() else { break };
            after = newest.sequence;
            kept.extend(page.iter().filter_map(kept_of));
        }
        let entries = host.bus.quarantine().list(Some(&key.uid)).await?;
        let is_out_of_service = entries.iter().any(|entry| entry.message.is_none());
        Ok(StoredLocks { kept: Locks::restore(kept), is_out_of_service })
    }

    pub fn load(&self, stored: &StoredLocks) -> LocksEntity {
        let locks = stored.kept.as_ref().map(|(locks, _)| locks.clone()).unwrap_or_default();
        LocksEntity { locks, shards: self.context.host.shards }
    }

    pub fn read(message: &Message) -> Reading<Fact> {
        match serde_json::from_slice::<LockMessage>(&message.payload) {
            Ok(message) if message.schema > SCHEMA => Reading::Newer,
            Ok(message) => Reading::Fact { at: message.at, fact: Fact::Locks(message.body) },
            Err(error) => match serde_json::from_slice::<serde_json::Value>(&message.payload) {
                Ok(value) if value["schema"].as_u64().is_some_and(|schema| schema > u64::from(SCHEMA)) => {
                    Reading::Newer
                }
                Ok(_) | Err(_) => Reading::Garbage(format!("not a fact about locks: {error}")),
            },
        }
    }

    pub fn fired(host: &Host, key: &WorkflowKey, id: String, timer: &str) -> Publish {
        let fact = LockFact::TimerFired { key: timer.to_owned() };
        host.observed(key, id, payload_of(host.clock.now(), fact)).urgent()
    }

    pub fn ask(&self, key: &WorkflowKey, id: String, origin: u64, question: LocksQuestion) {
        self.looks.look(key.clone(), id, origin, question);
    }
}

fn kept_of(message: &Message) -> Option<LockFact> {
    let message: LockMessage = serde_json::from_slice(&message.payload).ok()?;
    matches!(message.body, LockFact::Kept { .. }).then_some(message.body)
}
