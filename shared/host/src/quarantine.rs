//! Puts an entity out of service that cannot be run: its owner sees why, and no other entity notices.

use argosy_actor::{Failure, keep};
use argosy_bus::{Quarantined, Stream};

use crate::shard::Shard;
use crate::store::{Doing, KeyOf};
use crate::{EntityKey as _, Store};

/// Publishes that the entity is out of service, for `reason`, past everything that its log holds: none of that is stepped
/// again, unless somebody takes it back into service. Its log stays where it is.
pub(crate) async fn give_up<S: Store>(
    shard: &Shard<S>,
    key: &KeyOf<S>,
    stored: &S::Stored,
    reason: &str,
) -> Result<(), Failure> {
    let host = &shard.process.host;
    let newest = host.bus.last_sequence(Stream::Observed, &host.observed_subject(key.uid())).await?;
    let at = host.clock.now();
    // One that was taken back into service has a newer event, and may be given up again.
    let cause = shard.cause(key, newest, format!("quarantine.{}.{newest}", shard.epoch), at);
    let messages = shard.store.last_words(&cause, stored, reason);
    shard.timers.forget(key);
    keep_for_operator(shard, key, reason).await;
    shard.outbox.publish(messages).await?;
    shard.store.meters().quarantined.inc();
    shard.store.span(key, Doing::Tell).in_scope(|| tracing::error!(reason, "{} put out of service", S::KIND));
    Ok(())
}

/// Keeps the entity in the quarantine of the bus, and the event that it could not step if there is one.
async fn keep_for_operator<S: Store>(shard: &Shard<S>, key: &KeyOf<S>, reason: &str) {
    let host = &shard.process.host;
    let (namespace, name) = key.named();
    let entry = Quarantined::workflow(key.uid(), reason, host.clock.now()).named(namespace, name);
    if let Some(sequence) = shard.in_hand.take(key.uid()) {
        let log = host.observed_subject(key.uid());
        match host.bus.read(Stream::Observed, &log, sequence.saturating_sub(1), 1).await {
            Ok(page) => {
                for message in page.iter().filter(|message| message.sequence == sequence) {
                    keep(host, entry.clone().message(message)).await;
                }
            }
            Err(error) => shard.store.span(key, Doing::Tell).in_scope(|| {
                tracing::warn!(
                    event.seq = sequence,
                    error = &error as &dyn std::error::Error,
                    "the event that could not be stepped is not read, it stays in the log"
                );
            }),
        }
    }
    keep(host, entry).await;
}
