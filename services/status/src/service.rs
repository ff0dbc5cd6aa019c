//! Options, and the consumer of EVENTS.

use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Failure, Feed, Host, Owned, Router, Settings, WorkflowKey, own_shards};
use argosy_api::message::StatusChanged;
use argosy_bus::{ConsumerSpec, Delivery, Stream, subject};
use tokio_util::sync::CancellationToken;

use crate::actor::{Folds, Inbound};
use crate::budget::Budget;
use crate::{expire, metrics};

/// What a former owner took and did not write comes again after this.
const ACK_WAIT: Duration = Duration::from_secs(10);
/// Events that wait for their write, per shard.
const PENDING_MAX: usize = 16_384;

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
    /// Writes per second for all workflows together.
    #[arg(long, default_value_t = 100)]
    pub status_writes_per_sec: u32,
    /// Hours that EVENTS are kept for subscribers, once they are in the object.
    #[arg(long, default_value_t = 168)]
    pub events_keep_hours: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { status_lease_secs: 10, status_interval_ms: 150, status_writes_per_sec: 100, events_keep_hours: 168 }
    }
}

/// What the folds share.
pub(crate) struct Surroundings {
    pub host: Host,
    pub client: kube::Client,
    pub options: Options,
    pub budget: Budget,
}

impl Surroundings {
    /// After so long without news a fold leaves memory.
    pub fn idle(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// How old an event must be to be dropped.
    pub fn events_keep(&self) -> Duration {
        Duration::from_secs(self.options.events_keep_hours.saturating_mul(3600))
    }

    /// Least time between two writes. Compressed nodes are written whole, so less often.
    pub fn interval(&self, is_compressed: bool) -> Duration {
        Duration::from_millis(self.options.status_interval_ms) * if is_compressed { 10 } else { 1 }
    }
}

/// The status service.
pub struct Service {
    around: Arc<Surroundings>,
}

impl Service {
    /// A status service that writes through `client`.
    pub fn new(host: Host, client: kube::Client, options: Options) -> Self {
        let budget = Budget::new(options.status_writes_per_sec);
        Self { around: Arc::new(Surroundings { host, client, options, budget }) }
    }

    /// Owns shards and folds their events until `shutdown`.
    ///
    /// Errors: a panic outside of any fold.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Failure> {
        let settings = Settings { ttl: Duration::from_secs(self.around.options.status_lease_secs) };
        let host = self.around.host.clone();
        let work = Arc::new(move |owned| {
            let around = Arc::clone(&self.around);
            Box::pin(work(around, owned)) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
        });
        own_shards(&host, "status", &settings, shutdown, work).await
    }
}

async fn work(around: Arc<Surroundings>, owned: Owned) -> Result<(), Failure> {
    let stop = owned.stop.child_token();
    let _ends = stop.clone().drop_guard();
    let router = Router::new(Folds(Arc::clone(&around)), stop.clone());
    let result = tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        result = feed(&around.host, &owned, &router) => result,
        () = expire::expire(&around.host, owned.shard, around.events_keep()) => Ok(()),
    };
    stop.cancel();
    router.join().await;
    result
}

async fn feed(host: &Host, owned: &Owned, router: &Router<Folds>) -> Result<(), Failure> {
    let mut spec = ConsumerSpec::new(Stream::Events, consumer_of(owned.shard), subject::Event::of_shard(owned.shard));
    spec.max_ack_pending = PENDING_MAX;
    spec.ack_wait = ACK_WAIT;
    let mut feed = Feed::new(host.bus.consume(spec).await?, owned.leave.clone());
    while let Some(batch) = feed.next().await? {
        for delivery in batch {
            route(router, delivery).await?;
        }
    }
    router.drain().await;
    Ok(())
}

/// Name of the durable consumer of a shard.
pub(crate) fn consumer_of(shard: u16) -> String {
    format!("status-{shard}")
}

async fn route(router: &Router<Folds>, delivery: Delivery) -> Result<(), Failure> {
    let Ok(subject) = delivery.message.subject.parse::<subject::Event>() else {
        metrics::POISON.inc();
        return Ok(delivery.term().await?);
    };
    if subject.uid.is_empty() {
        // A new owner's claim to the shard.
        return Ok(delivery.ack().await?);
    }
    match serde_json::from_slice::<StatusChanged>(&delivery.message.payload) {
        Ok(change) => {
            let key = WorkflowKey { uid: subject.uid, namespace: subject.namespace, name: change.workflow.clone() };
            Ok(router.send(&key, Inbound { delivery, change }).await?)
        }
        Err(error) => {
            metrics::POISON.inc();
            tracing::error!(
                subject = delivery.message.subject,
                error = &error as &dyn std::error::Error,
                "event cannot be read"
            );
            Ok(delivery.term().await?)
        }
    }
}
