//! Options, and what is done for an owned shard.

use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Failure, Feed, Host, Owned, Router, Settings, own_shards};
use argosy_api::message::CommandMessage;
use argosy_bus::{ConsumerSpec, Stream, subject};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::command::{Commands, Inbound, NodeKey};
use crate::observer::Observers;
use crate::{metrics, watch};

/// What a former owner took and did not finish comes again after this. Longer than the heartbeat of a command at work.
const ACK_WAIT: Duration = Duration::from_secs(10);

/// Settings of the pod-runner; each has a default.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Seconds that a shard stays with an owner that no longer answers.
    #[arg(long, default_value_t = 10)]
    pub pod_runner_lease_secs: u64,
    /// Only pods of this namespace are watched; without it, of all.
    #[arg(long)]
    pub pod_namespace: Option<String>,
    /// Seconds between full lists of the pods, which find what a watch may have missed.
    #[arg(long, default_value_t = 300)]
    pub pod_relist_secs: u64,
    /// Requests to the API under way at once.
    #[arg(long, default_value_t = 64)]
    pub pod_requests_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { pod_runner_lease_secs: 10, pod_namespace: None, pod_relist_secs: 300, pod_requests_max: 64 }
    }
}

/// What everything here shares.
pub(crate) struct Surroundings {
    pub host: Host,
    pub client: kube::Client,
    pub options: Options,
    pub permits: Semaphore,
}

/// The pod-runner.
pub struct Service {
    around: Arc<Surroundings>,
}

impl Service {
    /// A pod-runner for the cluster behind `client`.
    pub fn new(host: Host, client: kube::Client, options: Options) -> Self {
        let permits = Semaphore::new(options.pod_requests_max.max(1));
        Self { around: Arc::new(Surroundings { host, client, options, permits }) }
    }

    /// Owns shards, carries out their commands and watches their pods until `shutdown`.
    ///
    /// Errors: a panic outside of any node or pod.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Failure> {
        let settings = Settings { ttl: Duration::from_secs(self.around.options.pod_runner_lease_secs) };
        let host = self.around.host.clone();
        let work = Arc::new(move |owned| {
            let around = Arc::clone(&self.around);
            Box::pin(work(around, owned)) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
        });
        own_shards(&host, "pod-runner", &settings, shutdown, work).await
    }
}

async fn work(around: Arc<Surroundings>, owned: Owned) -> Result<(), Failure> {
    let stop = owned.stop.child_token();
    let _ends = stop.clone().drop_guard();
    let observers = Router::new(Observers(Arc::clone(&around)), stop.clone());
    let commands = Router::new(Commands { around: Arc::clone(&around), observers: observers.clone() }, stop.clone());
    let result = tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        result = feed(&around.host, &owned, &commands) => result,
        result = watch::watch(&around, &owned, &observers) => result,
    };
    if result.is_ok() && !stop.is_cancelled() {
        observers.drain().await;
    }
    stop.cancel();
    commands.join().await;
    observers.join().await;
    result
}

async fn feed(host: &Host, owned: &Owned, router: &Router<Commands>) -> Result<(), Failure> {
    let (shard, name) = (owned.shard, format!("pod-runner-{}", owned.shard));
    let mut spec = ConsumerSpec::new(Stream::Commands, name, subject::Command::of_shard(shard));
    spec.ack_wait = ACK_WAIT;
    let mut feed = Feed::new(host.bus.consume(spec).await?, owned.leave.clone());
    while let Some(batch) = feed.next().await? {
        for delivery in batch {
            match serde_json::from_slice::<CommandMessage>(&delivery.message.payload) {
                Ok(command) => {
                    let key = NodeKey { workflow_uid: command.workflow_uid.clone(), node_id: command.node_id.clone() };
                    router.send(&key, Box::new(Inbound { delivery, command })).await?;
                }
                Err(error) => {
                    metrics::POISON.inc();
                    tracing::error!(
                        subject = delivery.message.subject,
                        error = &error as &dyn std::error::Error,
                        "command cannot be read"
                    );
                    delivery.term().await?;
                }
            }
        }
    }
    router.drain().await;
    Ok(())
}
