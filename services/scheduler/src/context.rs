//! What the parts of the scheduler share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use argosy_actor::Host;
use argosy_engine::Config;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::lookups::Lookups;
use crate::outbox::Outbox;
use crate::timers::Timers;
use crate::unfinished::Unfinished;

/// Workflows that are built at once by the whole process: a new owner of a shard has thousands.
const BUILDS_MAX: usize = 64;

/// Settings of the scheduler; each has a default.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Seconds that a shard stays with an owner that no longer answers.
    #[arg(long, default_value_t = 10)]
    pub scheduler_lease_secs: u64,
    /// Seconds after which a finished workflow without news leaves memory.
    #[arg(long, default_value_t = 30)]
    pub passivate_secs: u64,
    /// Seconds between checks of what a live workflow waits for. A check that finds something has found a bug, which is
    /// counted and logged.
    #[arg(long, default_value_t = 300)]
    pub remind_secs: u64,
    /// Only workflows of this namespace are taken up; without it, of all.
    #[arg(long)]
    pub scheduler_namespace: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { scheduler_lease_secs: 10, passivate_secs: 30, remind_secs: 300, scheduler_namespace: None }
    }
}

/// What all shards share.
pub(crate) struct Context {
    pub host: Host,
    pub client: kube::Client,
    pub config: Arc<Config>,
    pub options: Options,
    /// The unfinished workflows of the cluster, as a watch sees them. Tells where one is and that it needs an actor; nothing
    /// is decided from it.
    pub unfinished: Unfinished,
    pub builds: Semaphore,
}

impl Context {
    pub fn new(host: Host, client: kube::Client, config: Config, options: Options) -> Self {
        let (unfinished, builds) = (Unfinished::default(), Semaphore::new(BUILDS_MAX));
        Self { host, client, config: Arc::new(config), options, unfinished, builds }
    }

    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.options.scheduler_lease_secs)
    }
}

/// What the actors of a shard share.
pub(crate) struct Shard {
    pub context: Arc<Context>,
    pub number: u16,
    pub epoch: u64,
    /// Where the log of observations began: a watermark up to here speaks of a log that was lost.
    pub base_sequence: u64,
    /// From here on nobody who owned the shard before can still write.
    pub sole_owner_at: Instant,
    pub outbox: Outbox,
    pub timers: Arc<Timers>,
    pub lookups: Lookups,
    pub in_hand: InHand,
}

/// The event that a workflow steps: one that stays here was never stepped to its end, as the engine panicked.
#[derive(Default)]
pub(crate) struct InHand(Mutex<BTreeMap<String, u64>>);

impl InHand {
    /// The workflow begins to step the event with this sequence.
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

/// Name of the durable consumer of a shard.
pub(crate) fn consumer_of(shard: u16) -> String {
    format!("scheduler-{shard}")
}
