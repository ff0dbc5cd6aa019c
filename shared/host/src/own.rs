//! One owned shard: its actors, timers and outbox, and the consumer that feeds them.

use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Failure, Owned, Routed, Router, WhenFull, feed};
use argosy_bus::{ConsumerSpec, Delivery, Stream, subject};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::actors::Actors;
use crate::outbox::Outbox;
use crate::shard::{InHand, Process, Shard, consumer_of};
use crate::store::KeyOf;
use crate::timers::Timers;
use crate::{EntityKey as _, Store, adopt};

/// What a former owner took and did not finish comes again after this.
const ACK_WAIT: Duration = Duration::from_secs(10);
/// Events handed out and not acknowledged, for the shard. More than the mailbox of one entity holds.
const PENDING_MAX: usize = 4096;

/// Runs the entities of the shard until the lease is lost or the process stops. `open` gives their store; what that starts
/// must end with the token.
///
/// Errors: another owner writes; bus.
pub async fn own<S: Store>(
    process: Arc<Process>,
    owned: Owned,
    open: impl FnOnce(CancellationToken) -> S,
) -> Result<(), Failure> {
    let stop = owned.stop.clone();
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        result = run(process, owned, open) => result,
    }
}

async fn run<S: Store>(
    process: Arc<Process>,
    owned: Owned,
    open: impl FnOnce(CancellationToken) -> S,
) -> Result<(), Failure> {
    // Whatever this starts ends with it, also when this future is dropped.
    let stop = owned.stop.child_token();
    let _ends = stop.clone().drop_guard();
    let (host, settings) = (process.host.clone(), process.settings);
    let store = Arc::new(open(stop.clone()));
    let (outbox, outbox_task) = Outbox::claim(host.clone(), &owned, store.meters()).await?;
    let (of, by) = (Arc::clone(&store), host.clone());
    let fired = move |key: &KeyOf<S>, id: String, timer: &str| of.fired(&by, key, id, timer);
    let timers = Arc::new(Timers::new(host.clone(), Box::new(fired), store.meters()));
    let shard = Arc::new(Shard {
        base_sequence: host.bus.origin(Stream::Observed).await?,
        sole_owner_at: Instant::now() + settings.lease,
        process,
        store,
        number: owned.shard,
        epoch: owned.lease.epoch,
        outbox,
        timers: Arc::clone(&timers),
        in_hand: InHand::default(),
    });
    let router = Router::new(S::KIND, Actors::new(Arc::clone(&shard)), stop.clone());
    let consumer = consumer_of(settings.role, owned.shard);
    let mut spec = ConsumerSpec::new(Stream::Observed, consumer, subject::Observed::of_shard(owned.shard));
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

/// Whose log the message stands in. That its sender speaks for that entity shows when it is stepped.
fn route<S: Store>(router: &Router<Actors<S>>, delivery: Delivery) -> Routed<Actors<S>> {
    match KeyOf::<S>::of_log(&delivery.message) {
        Some(key) if S::WHOLE_SHARD == Some(key.uid()) => {
            router.poke();
            Routed::Done(delivery)
        }
        Some(key) => Routed::To(key.uid().to_owned(), delivery),
        None => Routed::Poison(delivery, format!("the message names no {}", S::KIND)),
    }
}
