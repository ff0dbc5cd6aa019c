//! Where locks are stored: nowhere but in their logs.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use argosy_actor::{Failure, Host};
use argosy_bus::{Message, Publish, Stream, subject};
use argosy_host::{Cause, Doing, EntityKey as _, Loaded, Marks, Meters, Reading, Store};
use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts};
use serde::{Deserialize, Serialize};
use tracing::Span;

use crate::lock::{Fact, Lock, LockKey};

/// A message of a lock's log.
#[derive(Serialize, Deserialize)]
pub struct Told {
    pub at: Timestamp,
    pub fact: Fact,
}

pub fn told(host: &Host, key: &LockKey, id: String, fact: Fact) -> Publish {
    let payload = serde_json::to_vec(&Told { at: host.clock.now(), fact }).expect("it has names only");
    Publish::new(Stream::Observed, host.observed_subject(key.uid()), id, payload)
}

pub struct Locks {
    pub host: Host,
    /// Names of those that were made.
    pub made: Arc<Mutex<BTreeSet<String>>>,
}

/// What there is of a lock besides its log.
pub struct Stored {
    is_out_of_service: bool,
}

#[async_trait]
impl Store for Locks {
    type Entity = Lock;
    type Stored = Stored;

    const KIND: &'static str = "lock";

    fn meters(&self) -> Meters {
        *METERS
    }

    fn span(&self, key: &LockKey, _: Doing<'_, Fact>) -> Span {
        tracing::debug_span!("lock", lock.name = key.0)
    }

    async fn listed(&self) {}

    fn unfinished(&self, _: Duration) -> Vec<LockKey> {
        self.made.lock().iter().cloned().map(LockKey).collect()
    }

    fn find(&self, _: &str) -> Option<LockKey> {
        None
    }

    /// The host has put an entry about the whole lock into the quarantine where it is out of service.
    async fn fetch(&self, key: &LockKey) -> Result<Option<Stored>, Failure> {
        let entries = self.host.bus.quarantine().list(Some(key.uid())).await?;
        Ok(Some(Stored { is_out_of_service: entries.iter().any(|entry| entry.message.is_none()) }))
    }

    async fn look(&self, key: &LockKey) -> Result<Option<Marks<u64>>, Failure> {
        Ok(self.fetch(key).await?.map(|stored| self.marks(&stored)))
    }

    fn marks(&self, stored: &Stored) -> Marks<u64> {
        Marks { position: 0, sequence: 0, is_out_of_service: stored.is_out_of_service }
    }

    async fn load(&self, _: &LockKey, stored: Stored) -> Result<Loaded<Self>, Failure> {
        Ok(Loaded::Entity { entity: Lock::default(), stored, life: String::new() })
    }

    fn passes(&self, _: &(dyn Error + 'static)) -> Option<bool> {
        None
    }

    fn read(&self, message: &Message) -> Reading<Fact> {
        match serde_json::from_slice(&message.payload) {
            Ok(Told { at, fact }) => Reading::Fact { at, fact },
            Err(error) => Reading::Garbage(error.to_string()),
        }
    }

    fn is_of_store(&self, message: &Message) -> bool {
        matches!(serde_json::from_slice(&message.payload), Ok(Told { fact: Fact::Make { .. }, .. }))
    }

    fn fired(&self, host: &Host, key: &LockKey, id: String, timer: &str) -> Publish {
        told(host, key, id, Fact::Over { who: timer.to_owned() })
    }

    fn ask(&self, _: &LockKey, _: String, _: u64, (): ()) {}

    fn last_words(&self, cause: &Cause<'_, LockKey>, _: &Stored, reason: &str) -> Vec<Publish> {
        let uid = cause.key.uid();
        let (namespace, kind) = ("locks".to_owned(), "broken".to_owned());
        let subject = subject::Event { shard: cause.shard, namespace, uid: uid.to_owned(), kind };
        let id = format!("{uid}:{}:broken", cause.id);
        vec![Publish::new(Stream::Events, subject.to_string(), id, reason.as_bytes().to_vec())]
    }
}

/// How many locks were put out of service.
pub fn quarantined() -> u64 {
    METERS.quarantined.get()
}

/// Messages of lost buses that were passed over.
pub fn strays() -> u64 {
    METERS.strays.get()
}

static METERS: LazyLock<Meters> = LazyLock::new(|| {
    fn of<T>(made: prometheus::Result<T>) -> &'static T {
        Box::leak(Box::new(made.expect("a name")))
    }
    let counter = |name| of(IntCounter::new(name, "Of a lock"));
    Meters {
        events: counter("events"),
        replayed: counter("replayed"),
        rebuilds: counter("rebuilds"),
        bus_loss: counter("bus_loss"),
        adopted: counter("adopted"),
        foreign: counter("foreign"),
        strays: counter("strays"),
        places_dropped: counter("places_dropped"),
        reminder_found: of(IntCounterVec::new(Opts::new("reminder_found", "Of a lock"), &["what"])),
        quarantined: counter("quarantined"),
        poison: counter("poison"),
        fenced: counter("fenced"),
        publish_seconds: of(Histogram::with_opts(HistogramOpts::new("publish_seconds", "Of a lock"))),
        timers: of(IntGauge::new("timers", "Of a lock")),
    }
});
