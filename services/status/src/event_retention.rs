//! Old events go. Never one that is not in its workflow's object yet: the stream itself has no limit of age.

use std::time::Duration;

use argosy_actor::Host;
use argosy_bus::{Error, Stream, subject};

use crate::context::consumer_of;
use crate::metrics;

/// Drops the old events of a shard from time to time; for ever.
pub(crate) async fn expire(host: &Host, shard: u16, keep: Duration) {
    let pause = (keep / 20).clamp(Duration::from_secs(300), Duration::from_secs(3600));
    loop {
        tokio::time::sleep(pause).await;
        if let Err(error) = once(host, shard, keep).await {
            tracing::warn!(shard, error = &error as &dyn std::error::Error, "old events not dropped, trying again");
        }
    }
}

async fn once(host: &Host, shard: u16, keep: Duration) -> Result<(), Error> {
    let (bus, filter) = (&host.bus, subject::Event::of_shard(shard));
    let old = bus.older_than(Stream::Events, &filter, keep).await?;
    let folded = bus.settled(Stream::Events, &consumer_of(shard)).await?;
    // The newest stays, as the scheduler's fence stands on it.
    let newest = bus.last_sequence(Stream::Events, &filter).await?;
    let up_to = old.min(folded).min(newest.saturating_sub(1));
    if up_to > 0 {
        bus.purge(Stream::Events, &filter, up_to).await?;
        metrics::EXPIRED.inc();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use argosy_bus::{Bus as _, ConsumerSpec, Publish, memory::Memory};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn old_events_go_unless_they_are_not_folded_yet() {
        let bus = Arc::new(Memory::new());
        let host = Host::new(bus.clone(), "t", 1);
        let publish = |id: &str| {
            let subject = subject::Event { shard: 0, namespace: "ns".into(), uid: "u".into(), kind: "changed".into() };
            bus.publish(Publish::new(Stream::Events, subject.to_string(), id, id.to_owned()))
        };
        let stored = || async {
            let all = bus.read(Stream::Events, &subject::Event::of_shard(0), 0, 99).await.expect("readable");
            all.into_iter().map(|message| message.id).collect::<Vec<_>>()
        };
        let hours = |count: u64| tokio::time::sleep(Duration::from_secs(count * 3600));
        let running = async { expire(&host, 0, Duration::from_secs(24 * 3600)).await };
        let checks = async {
            let spec = ConsumerSpec::new(Stream::Events, consumer_of(0), subject::Event::of_shard(0));
            let mut consumer = bus.consume(spec).await.expect("it opens");
            publish("a").await.expect("stored");
            publish("b").await.expect("stored");
            consumer.next().await.expect("a").ack().await.expect("settled");
            let second = consumer.next().await.expect("b");
            hours(20).await;
            publish("c").await.expect("stored");
            assert_eq!(stored().await, ["a", "b", "c"]);
            hours(8).await;
            assert_eq!(stored().await, ["b", "c"], "a is old and folded, b is old only");
            second.ack().await.expect("settled");
            hours(2).await;
            assert_eq!(stored().await, ["c"]);
            consumer.next().await.expect("b again, or c").ack().await.expect("settled");
            hours(100).await;
            assert_eq!(stored().await, ["c"], "the newest stays");
        };
        tokio::select! {
            biased;
            () = running => unreachable!("it runs for ever"),
            () = checks => {}
        }
    }
}
