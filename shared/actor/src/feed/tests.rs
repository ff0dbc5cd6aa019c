use std::sync::Arc;

use argosy_bus::{Publish, Stream, memory::Memory, subject};
use async_trait::async_trait;
use tokio::time::Instant;

use super::*;
use crate::{Actor, Next};

/// Takes what it is sent and answers nothing.
struct Idler(Vec<Delivery>);

#[async_trait]
impl Actor for Idler {
    type Message = Delivery;

    async fn handle(&mut self, batch: Vec<Delivery>) -> Result<(), Failure> {
        self.0.extend(batch);
        Ok(())
    }

    fn wake_at(&self) -> Option<Instant> {
        None
    }

    async fn wake(&mut self) -> Result<Next, Failure> {
        Ok(Next::Continue)
    }
}

struct Idlers;

#[async_trait]
impl Factory for Idlers {
    type Key = String;
    type Actor = Idler;

    async fn build(&self, _: &String) -> Result<Option<Idler>, Failure> {
        Ok(Some(Idler(Vec::new())))
    }

    async fn refuse(&self, _: &String, _: Vec<Delivery>) -> Result<(), Failure> {
        Ok(())
    }

    fn passes(&self, _: &(dyn std::error::Error + 'static)) -> Option<bool> {
        None
    }
}

/// Feeds shard 0 of OBSERVED under the name `consumer`, as `route` says, until the shard is left.
async fn start(
    consumer: &'static str,
    route: fn(Delivery) -> Routed<Idlers>,
) -> (Host, CancellationToken, tokio::task::JoinHandle<()>) {
    let host = Host::new(Arc::new(Memory::new()), "me", 1);
    let lease = host.bus.acquire("it", "me", Duration::from_secs(600)).await.expect("a bus").expect("a lease");
    let owned = Owned::new(0, lease, host.clock);
    let leave = owned.leave.clone();
    let feeding = host.clone();
    let task = tokio::spawn(async move {
        let spec = ConsumerSpec::new(Stream::Observed, consumer, subject::Observed::of_shard(0));
        let router = Router::new("idler", Idlers, owned.stop.clone());
        feed(&feeding, &owned, spec, &router, WhenFull::Again, route).await.expect("it feeds");
    });
    (host, leave, task)
}

fn observed(uid: &str, id: &str) -> Publish {
    let subject = subject::Observed { shard: 0, uid: uid.to_owned() };
    Publish::new(Stream::Observed, subject.to_string(), id, "what it says")
}

#[tokio::test(start_paused = true)]
async fn the_lag_of_an_owned_shard_is_told_until_it_is_left() {
    let (host, leave, task) = start("told", |delivery| Routed::To("k".to_owned(), delivery)).await;
    for id in ["a", "b", "c"] {
        host.bus.publish(observed("u", id)).await.expect("a bus");
    }
    tokio::time::sleep(Duration::from_secs(15)).await;
    let figures = argosy_telemetry::metrics::text();
    for line in [r#"argosy_shard_lag{consumer="told"} 0"#, r#"argosy_shard_unacknowledged{consumer="told"} 3"#] {
        assert!(figures.contains(line), "{line} is not in\n{figures}");
    }
    leave.cancel();
    task.await.expect("it ends");
    assert!(!argosy_telemetry::metrics::text().contains("\"told\""), "the figures of a shard that was left");
}

#[tokio::test(start_paused = true)]
async fn poison_is_kept_before_it_is_given_up() {
    let (host, leave, task) = start("poisoned", |delivery| Routed::Poison(delivery, "it says nothing".into())).await;
    let named = observed("u", "a").header(crate::HEADER_NAMESPACE, "ns").header(crate::HEADER_NAME, "w");
    for message in [named, observed("v", "b")] {
        host.bus.publish(message).await.expect("a bus");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let kept = host.bus.quarantine().list(None).await.expect("a bus");
    let told: Vec<_> =
        kept.iter().map(|entry| (&*entry.uid, &*entry.namespace, &*entry.name, &*entry.reason)).collect();
    assert_eq!(told, [("u", "ns", "w", "it says nothing"), ("v", "", "", "it says nothing")]);
    let message = kept[0].message.as_ref().expect("the message");
    assert_eq!((&*message.id, message.payload.as_deref()), ("a", Some(&b"what it says"[..])));
    let lag = host.bus.lag(Stream::Observed, "poisoned").await.expect("a bus").expect("a consumer");
    assert_eq!((lag.pending, lag.unacknowledged), (0, 0));
    leave.cancel();
    task.await.expect("it ends");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_the_bus_did_not_take_is_kept_by_its_id() {
    let host = Host::new(Arc::new(Memory::new()), "me", 1);
    for id in ["a", "b"] {
        crate::keep_unsent(&host, &observed("u", id), "too large").await;
    }
    let kept = host.bus.quarantine().list(Some("u")).await.expect("a bus");
    assert_eq!(kept.len(), 2, "{kept:?}");
}
