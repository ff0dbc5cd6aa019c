//! The consumer of EVENTS.

use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Failure, Host, Owned, Routed, Router, Settings, TokenBucket, WhenFull, feed, own_shards};
use argosy_api::message::{SCHEMA, StatusChanged};
use argosy_bus::{ConsumerSpec, Delivery, Stream, subject};
use argosy_workflows::WorkflowKey;
use tokio_util::sync::CancellationToken;

use crate::actor::{Inbound, Projections};
use crate::context::{Context, Options, consumer_of};
use crate::{event_retention, orphaned_nodes};

/// What a former owner took and did not write comes again after this.
const ACK_WAIT: Duration = Duration::from_secs(10);
/// Events that wait for their write, per shard.
const PENDING_MAX: usize = 16_384;

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
        () = event_retention::expire(&host, owned.shard, context.events_keep()) => Ok(()),
        () = orphaned_nodes::remove(&host, &context.client, owned.shard) => Ok(()),
    };
    stop.cancel();
    router.join().await;
    result
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
