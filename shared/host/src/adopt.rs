//! Takes up the entities of a shard. Their events may all be dealt with already, so that no message would wake them, while a
//! timer of theirs died with the former owner. Finds the logs that nobody needs any more, too.

use std::collections::BTreeSet;
use std::time::Duration;

use argosy_actor::{Failure, Owned, Router};
use argosy_bus::{Stream, subject};
use tokio::time::Instant;

use crate::actors::Actors;
use crate::shard::{Shard, consumer_of};
use crate::store::Doing;
use crate::{EntityKey as _, Store};

/// From one look at the unfinished entities to the next.
const LOOK: Duration = Duration::from_secs(5);
/// An unfinished entity that has been known for so long without an actor is taken up: no message has led to it.
const WITHOUT_ACTOR_MAX: Duration = Duration::from_secs(10);
/// From one search for logs that nobody needs to the next.
const COLLECT: Duration = Duration::from_secs(3600);

/// Takes up for ever.
///
/// Errors: the router was stopped.
pub(crate) async fn run<S: Store>(shard: &Shard<S>, owned: &Owned, router: &Router<Actors<S>>) -> Result<(), Failure> {
    let (host, store) = (&shard.process.host, &shard.store);
    tokio::select! {
        biased;
        () = owned.leave.cancelled() => std::future::pending().await,
        () = store.listed() => {}
    }
    let (mut age, mut collect_at) = (Duration::ZERO, Instant::now() + LOOK);
    loop {
        let live: BTreeSet<String> = router.keys().into_iter().collect();
        for key in store.unfinished(age) {
            let uid = key.uid();
            if host.shard_of(uid) != owned.shard || live.contains(uid) {
                continue;
            }
            if !age.is_zero() {
                store.meters().adopted.inc();
                store
                    .span(&key, Doing::Tell)
                    .in_scope(|| tracing::warn!("{} taken up, no message had led to it", S::KIND));
            }
            router.touch(&uid.to_owned())?;
        }
        age = WITHOUT_ACTOR_MAX;
        if Instant::now() >= collect_at {
            collect_at = Instant::now() + COLLECT;
            if let Err(error) = collect_logs(shard, owned.shard, router).await {
                tracing::warn!(shard = owned.shard, error, "logs that nobody needs not looked for");
            }
        }
        tokio::select! {
            biased;
            () = owned.leave.cancelled() => std::future::pending().await,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Wakes each entity of the shard that has a log and no actor: one that has ended purges its log when it leaves, one that is
/// gone when it is not found.
async fn collect_logs<S: Store>(shard: &Shard<S>, number: u16, router: &Router<Actors<S>>) -> Result<(), Failure> {
    let host = &shard.process.host;
    let live: BTreeSet<String> = router.keys().into_iter().collect();
    for subject in host.bus.subjects(Stream::Observed, &subject::Observed::of_shard(number)).await? {
        let Ok(log) = subject.parse::<subject::Observed>() else { continue };
        if S::WHOLE_SHARD == Some(log.uid.as_str()) {
            // Nobody's: what was dealt with is of no more use.
            let consumer = consumer_of(shard.process.settings.role, number);
            let settled = host.bus.settled(Stream::Observed, &consumer).await?;
            host.bus.purge(Stream::Observed, &subject, settled).await?;
        } else if !live.contains(&log.uid) {
            router.touch(&log.uid)?;
        }
    }
    Ok(())
}
