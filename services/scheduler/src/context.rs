//! What the parts of the scheduler share.

use std::sync::Arc;
use std::time::Duration;

use argosy_actor::Host;
use argosy_engine::Config;
use argosy_host::Settings;

use crate::unfinished::Unfinished;

/// Under which shards are leased and consumers named.
pub(crate) const ROLE: &str = "scheduler";

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
    /// Only those of this one of several installations; see [`argosy_objects::api::of_instance`].
    #[arg(skip)]
    pub instance_id: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scheduler_lease_secs: 10,
            passivate_secs: 30,
            remind_secs: 300,
            scheduler_namespace: None,
            instance_id: String::new(),
        }
    }
}

impl Options {
    /// As the host takes them.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            role: ROLE,
            lease: Duration::from_secs(self.scheduler_lease_secs),
            passivate: Duration::from_secs(self.passivate_secs),
            remind: Duration::from_secs(self.remind_secs),
        }
    }
}

/// What all shards share.
pub(crate) struct Context {
    pub host: Host,
    pub client: kube::Client,
    pub config: Arc<Config>,
    /// The unfinished workflows of the cluster, as a watch sees them. Tells where one is and that it needs an actor; nothing
    /// is decided from it.
    pub unfinished: Unfinished,
    /// Only workflows of this namespace are taken up; without it, of all.
    pub namespace: Option<String>,
}

impl Context {
    pub fn new(host: Host, client: kube::Client, config: Config, namespace: Option<String>) -> Self {
        Self { host, client, config: Arc::new(config), unfinished: Unfinished::default(), namespace }
    }
}
