//! What the actors of an owned shard share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use argosy_actor::Host;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::outbox::Outbox;
use crate::timers::Timers;
use crate::{Cause, KeyOf, Store};

/// Entities that are built at once by the whole process: a new owner of a shard has thousands.
const BUILDS_MAX: usize = 64;

/// How a host deals with its entities.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The role under which shards are leased and their consumers are named.
    pub role: &'static str,
    /// How long a shard stays with an owner that no longer answers.
    pub lease: Duration,
    /// After so long one that has ended, without news, leaves memory.
    pub passivate: Duration,
    /// From one check of what a live one waits for to the next.
    pub remind: Duration,
}

/// What all shards of a role share within a process.
pub struct Process {
    pub(crate) host: Host,
    pub(crate) settings: Settings,
    pub(crate) builds: Semaphore,
}

impl Process {
    /// Without shards yet.
    pub fn new(host: Host, settings: Settings) -> Self {
        Self { host, settings, builds: Semaphore::new(BUILDS_MAX) }
    }
}

pub(crate) struct Shard<S: Store> {
    pub process: Arc<Process>,
    pub store: Arc<S>,
    pub number: u16,
    pub epoch: u64,
    /// Where the log of observations began: marks up to here speak of a log that was lost.
    pub base_sequence: u64,
    /// From here on nobody who owned the shard before can still write.
    pub sole_owner_at: Instant,
    pub outbox: Outbox,
    pub timers: Arc<Timers<KeyOf<S>>>,
    pub in_hand: InHand,
}

impl<S: Store> Shard<S> {
    /// The log has been stepped up to `sequence`: what follows is named by `id`.
    pub fn cause<'a>(&self, key: &'a KeyOf<S>, sequence: u64, id: String, at: Timestamp) -> Cause<'a, KeyOf<S>> {
        Cause { key, shard: self.number, epoch: self.epoch, origin: self.base_sequence, sequence, id, at }
    }
}

/// The event that an entity steps: one that stays here was never stepped to its end, as the step panicked.
#[derive(Default)]
pub(crate) struct InHand(Mutex<BTreeMap<String, u64>>);

impl InHand {
    /// The entity begins to step the event with this sequence.
    pub fn begin(&self, uid: &str, sequence: u64) {
        self.0.lock().insert(uid.to_owned(), sequence);
    }

    /// It has stepped it.
    pub fn end(&self, uid: &str) {
        self.0.lock().remove(uid);
    }

    /// The event that it could not step, once.
    pub fn take(&self, uid: &str) -> Option<u64> {
        self.0.lock().remove(uid)
    }
}

/// Name of the durable consumer of a role for a shard.
pub fn consumer_of(role: &str, shard: u16) -> String {
    format!("{role}-{shard}")
}
