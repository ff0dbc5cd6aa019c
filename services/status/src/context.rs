//! Options, and what the projections share.

use std::time::Duration;

use argosy_actor::{Host, TokenBucket};

/// Settings of the status service; each has a default.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Seconds that a shard stays with an owner that no longer answers.
    #[arg(long, default_value_t = 10)]
    pub status_lease_secs: u64,
    /// Least milliseconds between two writes of one workflow; its first change and its end are written at once.
    #[arg(long, default_value_t = 150)]
    pub status_interval_ms: u64,
    /// Least milliseconds from one write of a workflow to a next that only tells of nodes that have begun to run, or of their
    /// progress.
    #[arg(long, default_value_t = 1000)]
    pub status_minor_ms: u64,
    /// Writes per second for all workflows together.
    #[arg(long, default_value_t = 100)]
    pub status_writes_per_sec: u32,
    /// Hours that EVENTS are kept for subscribers, once they are in the object.
    #[arg(long, default_value_t = 168)]
    pub events_keep_hours: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            status_lease_secs: 10,
            status_interval_ms: 150,
            status_minor_ms: 1000,
            status_writes_per_sec: 100,
            events_keep_hours: 168,
        }
    }
}

/// What the projections share.
pub(crate) struct Context {
    pub host: Host,
    pub client: kube::Client,
    pub options: Options,
    pub budget: TokenBucket,
}

impl Context {
    /// After so long without news a projection leaves memory.
    pub fn idle(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// How old an event must be to be dropped.
    pub fn events_keep(&self) -> Duration {
        Duration::from_secs(self.options.events_keep_hours.saturating_mul(3600))
    }

    /// Least time between two writes. Compressed nodes are written whole, so less often.
    pub fn interval(&self, is_compressed: bool, is_urgent: bool) -> Duration {
        let least = Duration::from_millis(self.options.status_interval_ms) * if is_compressed { 10 } else { 1 };
        let minor = Duration::from_millis(self.options.status_minor_ms);
        if is_urgent { least } else { least.max(minor) }
    }
}

/// Name of the durable consumer of a shard.
pub(crate) fn consumer_of(shard: u16) -> String {
    format!("status-{shard}")
}
