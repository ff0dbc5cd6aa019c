//! Takes up the workflows of a shard. Their events may all be dealt with already, so that no message would wake them, while
//! a timer of theirs died with the former owner. Finds the logs that nobody needs any more, too.

use std::collections::BTreeSet;
use std::time::Duration;

use argosy_actor::{Failure, Host, Owned, Router};
use argosy_bus::{Stream, subject};
use argosy_workflows::{PODS_LISTED, WorkflowKey};
use tokio::time::Instant;

use crate::context::{Shard, consumer_of};
use crate::factory::Actors;
use crate::metrics;

/// From one look at the unfinished workflows to the next.
const LOOK: Duration = Duration::from_secs(5);
/// An unfinished workflow that has been known for so long without an actor is taken up: no message has led to it.
const WITHOUT_ACTOR_MAX: Duration = Duration::from_secs(10);
/// From one search for logs that nobody needs to the next.
const COLLECT: Duration = Duration::from_secs(3600);

/// Takes up for ever.
///
/// Errors: the router was stopped.
pub(crate) async fn run(shard: &Shard, owned: &Owned, router: &Router<Actors>) -> Result<(), Failure> {
    let host = &shard.context.host;
    tokio::select! {
        biased;
        () = owned.leave.cancelled() => std::future::pending().await,
        () = shard.context.unfinished.listed() => {}
    }
    let (mut age, mut collect_at) = (Duration::ZERO, Instant::now() + LOOK);
    loop {
        let live: BTreeSet<String> = router.keys().into_iter().collect();
        for WorkflowKey { uid, name, namespace } in shard.context.unfinished.older_than(age) {
            if host.shard_of(&uid) != owned.shard || live.contains(&uid) {
                continue;
            }
            if !age.is_zero() {
                metrics::ADOPTED.inc();
                tracing::warn!(
                    workflow.uid = uid,
                    workflow.name = name,
                    workflow.namespace = namespace,
                    "workflow taken up, no message had led to it"
                );
            }
            router.touch(&uid)?;
        }
        age = WITHOUT_ACTOR_MAX;
        if Instant::now() >= collect_at {
            collect_at = Instant::now() + COLLECT;
            if let Err(error) = collect_logs(host, owned.shard, router).await {
                tracing::warn!(shard = owned.shard, error, "logs of ended workflows not looked for");
            }
        }
        tokio::select! {
            biased;
            () = owned.leave.cancelled() => std::future::pending().await,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Wakes each workflow of the shard that has a log and no actor: one that has ended purges its log when it leaves, one that is
/// gone when it is not found.
async fn collect_logs(host: &Host, shard: u16, router: &Router<Actors>) -> Result<(), Failure> {
    let live: BTreeSet<String> = router.keys().into_iter().collect();
    for subject in host.bus.subjects(Stream::Observed, &subject::Observed::of_shard(shard)).await? {
        let Ok(log) = subject.parse::<subject::Observed>() else { continue };
        if log.uid == PODS_LISTED {
            // No workflow's: what was dealt with is of no more use.
            let settled = host.bus.settled(Stream::Observed, &consumer_of(shard)).await?;
            host.bus.purge(Stream::Observed, &subject, settled).await?;
        } else if !live.contains(&log.uid) {
            router.touch(&log.uid)?;
        }
    }
    Ok(())
}
