//! Options and the service.

use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Failure, Host, Settings, own_shards};
use argosy_engine::Config;
use tokio_util::sync::CancellationToken;

use crate::shard;

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
    /// Seconds between reminders of what a live workflow still waits for; mends wishes that got lost outside.
    #[arg(long, default_value_t = 300)]
    pub remind_secs: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { scheduler_lease_secs: 10, passivate_secs: 30, remind_secs: 300 }
    }
}

/// The scheduler.
pub struct Service {
    host: Host,
    client: kube::Client,
    config: Arc<Config>,
    options: Options,
}

impl Service {
    /// A scheduler that decides under `config`.
    pub fn new(host: Host, client: kube::Client, config: Config, options: Options) -> Self {
        Self { host, client, config: Arc::new(config), options }
    }

    /// Owns shards and runs their workflows until `shutdown`.
    ///
    /// Errors: a panic outside of any workflow.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Failure> {
        let settings = Settings { ttl: Duration::from_secs(self.options.scheduler_lease_secs) };
        let host = self.host.clone();
        let surroundings = Arc::new(shard::Surroundings {
            host: self.host,
            client: self.client,
            config: self.config,
            options: self.options,
        });
        let work = Arc::new(move |owned| {
            let surroundings = Arc::clone(&surroundings);
            Box::pin(shard::work(surroundings, owned)) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
        });
        own_shards(&host, "scheduler", &settings, shutdown, work).await
    }
}
