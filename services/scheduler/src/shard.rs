//! One owned shard: its actors, timers, lookups and outbox, and the consumer that feeds them.

use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Failure, Owned, Routed, Router, WhenFull, feed};
use argosy_bus::{ConsumerSpec, Delivery, Stream, subject};
use argosy_workflows::{PODS_LISTED, WorkflowKey};
use tokio::time::Instant;

use crate::adopt;
use crate::context::{Context, InHand, Shard, consumer_of};
use crate::factory::Actors;
use crate::lookups::Lookups;
use crate::outbox::Outbox;
use crate::timers::Timers;

/// What a former owner took and did not finish comes again after this.
const ACK_WAIT: Duration = Duration::from_secs(10);
/// Events handed out and not acknowledged, for the shard. More than the mailbox of one workflow holds.
const PENDING_MAX: usize = 4096;

/// Runs the shard until the lease is lost or the process stops.
pub(crate) async fn work(context: Arc<Context>, owned: Owned) -> Result<(), Failure> {
    let stop = owned.stop.clone();
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        result = own(context, owned) => result,
    }
}

async fn own(context: Arc<Context>, owned: Owned) -> Result<(), Failure> {
    // Whatever this starts ends with it, also when this future is dropped.
    let stop = owned.stop.child_token();
    let _ends = stop.clone().drop_guard();
    let host = context.host.clone();
    let (outbox, outbox_task) = Outbox::claim(host.clone(), &owned).await?;
    let timers = Arc::new(Timers::new(host.clone()));
    let lookups = Lookups::new(host.clone(), context.client.clone(), stop.clone());
    let shard = Arc::new(Shard {
        base_sequence: host.bus.origin(Stream::Observed).await?,
        sole_owner_at: Instant::now() + context.lease(),
        context,
        number: owned.shard,
        epoch: owned.lease.epoch,
        outbox,
        timers: Arc::clone(&timers),
        lookups,
        in_hand: InHand::default(),
    });
    let router = Router::new("workflow", Actors::new(Arc::clone(&shard)), stop.clone());
    let mut spec =
        ConsumerSpec::new(Stream::Observed, consumer_of(owned.shard), subject::Observed::of_shard(owned.shard));
    (spec.ack_wait, spec.max_ack_pending) = (ACK_WAIT, PENDING_MAX);
    tokio::select! {
        biased;
        result = outbox_task.run() => result?,
        () = timers.run() => {}
        result = feed(&host, &owned, spec, &router, WhenFull::Skip, |delivery| route(&router, delivery)) => result?,
        result = adopt::run(&shard, &owned, &router) => result?,
    }
    stop.cancel();
    router.join().await;
    Ok(())
}

/// Whose log the message stands in. That its sender speaks for that workflow shows when it is stepped.
fn route(router: &Router<Actors>, delivery: Delivery) -> Routed<Actors> {
    match WorkflowKey::of_observed(&delivery.message) {
        Some(key) if key.uid == PODS_LISTED => {
            router.poke();
            Routed::Done(delivery)
        }
        Some(key) => Routed::To(key.uid, delivery),
        None => Routed::Poison(delivery, "the message names no workflow".to_owned()),
    }
}
