//! Options, and the consumer of EVENTS.

use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{
    Failure, Host, Owned, Routed, Router, Settings, TokenBucket, WhenFull, WorkflowKey, feed, own_shards,
};
use argosy_api::message::{SCHEMA, StatusChanged};
use argosy_bus::{ConsumerSpec, Delivery, Stream, subject};
use tokio_util::sync::CancellationToken;

use crate::actor::{Inbound, Projections};
use crate::{expire, unnamed};

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
    pub fn interval(&self, is_compressed: bool) -> Duration {
        Duration::from_millis(self.options.status_interval_ms) * if is_compressed { 10 } else { 1 }
    }
}

/// The status service.
pub struct Service {
    context: Arc<Context>,
}

impl Service {
    /// A status service that writes through `client`.
    pub fn new(host: Host, client: kube::Client, options: Options) -> Self {
        let budget = TokenBucket::new(options.status_writes_per_sec);
        Self { context: Arc::new(Context { host, client, options, budget }) }
    }

    /// Owns shards and writes what their events say until `shutdown`.
    ///
    /// Errors: a panic outside of any projection.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Failure> {
        let settings = Settings { ttl: Duration::from_secs(self.context.options.status_lease_secs) };
        let host = self.context.host.clone();
        let work = Arc::new(move |owned| {
            let context = Arc::clone(&self.context);
            Box::pin(work(context, owned)) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
        });
        own_shards(&host, "status", &settings, shutdown, work).await
    }
}

async fn work(context: Arc<Context>, owned: Owned) -> Result<(), Failure> {
    let stop = owned.stop.child_token();
    let _ends = stop.clone().drop_guard();
    let host = context.host.clone();
    let router = Router::new("status", Projections(Arc::clone(&context)), stop.clone());
    let mut spec = ConsumerSpec::new(Stream::Events, consumer_of(owned.shard), subject::Event::of_shard(owned.shard));
    (spec.ack_wait, spec.max_ack_pending) = (ACK_WAIT, PENDING_MAX);
    let result = tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        result = feed(&host, &owned, spec, &router, WhenFull::Again, route) => result,
        () = expire::expire(&host, owned.shard, context.events_keep()) => Ok(()),
        () = unnamed::remove(&host, &context.client, owned.shard) => Ok(()),
    };
    stop.cancel();
    router.join().await;
    result
}

/// Name of the durable consumer of a shard.
pub(crate) fn consumer_of(shard: u16) -> String {
    format!("status-{shard}")
}

fn route(delivery: Delivery) -> Routed<Projections> {
    let Ok(subject) = delivery.message.subject.parse::<subject::Event>() else {
        return Routed::Poison(delivery, "the subject is no event's".to_owned());
    };
    if subject.uid.is_empty() {
        // A new owner's claim to the shard.
        return Routed::Done(delivery);
    }
    match serde_json::from_slice::<StatusChanged>(&delivery.message.payload) {
        Ok(change) if change.schema > SCHEMA => Routed::Newer(delivery),
        Ok(change) => {
            let key = WorkflowKey { uid: subject.uid, namespace: subject.namespace, name: change.workflow.clone() };
            Routed::To(key, Inbound { delivery, change })
        }
        Err(error) => Routed::Poison(delivery, format!("not an event: {error}")),
    }
}
