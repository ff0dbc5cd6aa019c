//! One owned shard: its actors, timers, lookups and outbox, and the consumer that feeds them.

use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Failure, Feed, Host, Owned, Router, WorkflowKey};
use argosy_api::message::{Observed, ObservedMessage};
use argosy_bus::{ConsumerSpec, Delivery, Message, Stream, subject};
use argosy_engine::Config;
use tokio::time::Instant;

use crate::actor::Actors;
use crate::lookups::Lookups;
use crate::metrics;
use crate::outbox::Outbox;
use crate::service::Options;
use crate::take_up::{sweep, take_up};
use crate::timers::Timers;

/// What a former owner took and did not finish comes again after this.
const ACK_WAIT: Duration = Duration::from_secs(10);

/// What all shards share.
pub(crate) struct Surroundings {
    pub host: Host,
    pub client: kube::Client,
    pub config: Arc<Config>,
    pub options: Options,
}

/// What the actors of a shard share.
pub(crate) struct Shard {
    pub around: Arc<Surroundings>,
    pub number: u16,
    pub epoch: u64,
    /// Where the log of observations began: a watermark up to here speaks of a log that was lost.
    pub origin: u64,
    /// From here on nobody who owned anything before us can still write.
    pub calm_at: Instant,
    pub outbox: Outbox,
    pub timers: Arc<Timers>,
    pub lookups: Lookups,
}

/// Runs the shard until the lease is lost or the process stops.
pub(crate) async fn work(around: Arc<Surroundings>, owned: Owned) -> Result<(), Failure> {
    let stop = owned.stop.clone();
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        result = own(around, owned) => result,
    }
}

async fn own(around: Arc<Surroundings>, owned: Owned) -> Result<(), Failure> {
    // Whatever this starts ends with it, also when this future is dropped.
    let stop = owned.stop.child_token();
    let _ends = stop.clone().drop_guard();
    let host = around.host.clone();
    let (outbox, outbox_task) = Outbox::claim(host.clone(), &owned).await?;
    let timers = Arc::new(Timers::new(host.clone()));
    let lookups = Lookups::new(host.clone(), around.client.clone(), stop.clone());
    let shard = Arc::new(Shard {
        origin: host.bus.origin(Stream::Observed).await?,
        calm_at: Instant::now() + Duration::from_secs(around.options.scheduler_lease_secs),
        around,
        number: owned.shard,
        epoch: owned.lease.epoch,
        outbox,
        timers: Arc::clone(&timers),
        lookups,
    });
    let router = Router::new(Actors(Arc::clone(&shard)), stop.clone());
    tokio::select! {
        biased;
        result = outbox_task.run() => result?,
        () = timers.run() => {}
        result = feed(&host, &owned, &router) => result?,
        result = tidy(&shard, &owned, &router) => result?,
    }
    stop.cancel();
    router.join().await;
    Ok(())
}

/// Finds what no message would lead to; for ever.
async fn tidy(shard: &Shard, owned: &Owned, router: &Router<Actors>) -> Result<(), Failure> {
    let find = async {
        take_up(&shard.around, owned.shard, router).await?;
        sweep(&shard.around.host, owned.shard, router).await
    };
    tokio::select! {
        biased;
        () = owned.leave.cancelled() => {}
        result = find => if let Err(error) = result {
            tracing::warn!(shard = owned.shard, error, "logs of ended workflows not looked for");
        }
    }
    std::future::pending().await
}

async fn feed(host: &Host, owned: &Owned, router: &Router<Actors>) -> Result<(), Failure> {
    let filter = subject::Observed::of_shard(owned.shard);
    let mut spec = ConsumerSpec::new(Stream::Observed, consumer_of(owned.shard), filter);
    spec.ack_wait = ACK_WAIT;
    let mut feed = Feed::new(host.bus.consume(spec).await?, owned.leave.clone());
    while let Some(batch) = feed.next().await? {
        for delivery in batch {
            match key_of(host, &delivery.message).await? {
                Some(key) => router.send(&key, delivery).await?,
                None => poison(delivery, "message names no workflow").await,
            }
        }
    }
    router.drain().await;
    Ok(())
}

/// Name of the durable consumer of a shard.
pub(crate) fn consumer_of(shard: u16) -> String {
    format!("scheduler-{shard}")
}

/// Which workflow a message belongs to. One without headers is looked up in the head of its log.
pub(crate) async fn key_of(host: &Host, message: &Message) -> Result<Option<WorkflowKey>, argosy_bus::Error> {
    if let Some(key) = WorkflowKey::of_observed(message) {
        return Ok(Some(key));
    }
    let head = host.bus.read(Stream::Observed, &message.subject, 0, 16).await?;
    Ok(head.iter().find_map(|message| {
        WorkflowKey::of_observed(message).or_else(|| {
            let Observed::WorkflowChanged { object, .. } =
                serde_json::from_slice::<ObservedMessage>(&message.payload).ok()?.body
            else {
                return None;
            };
            let metadata = object.metadata;
            Some(WorkflowKey { uid: metadata.uid, namespace: metadata.namespace, name: metadata.name })
        })
    }))
}

/// Puts a message aside that can never be dealt with.
pub(crate) async fn poison(delivery: Delivery, why: &str) {
    metrics::POISON.inc();
    tracing::error!(
        subject = delivery.message.subject,
        event.seq = delivery.message.sequence,
        id = delivery.message.id,
        why,
        "message dropped"
    );
    if let Err(error) = delivery.term().await {
        tracing::warn!(error = &error as &dyn std::error::Error, "message not put aside");
    }
}
