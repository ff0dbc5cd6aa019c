use std::time::Duration;

use argosy_bus::{Bus as _, memory::Memory};

use super::*;

const TTL: Duration = Duration::from_secs(10);

async fn own(bus: &Arc<Memory>, holder: &str) -> (Host, Owned) {
    let host = Host::new(bus.clone(), holder, 1);
    let lease = bus.acquire("scheduler-0", holder, TTL).await.expect("the bus answers").expect("the lease is free");
    let clock = host.clock;
    (host, Owned::new(0, lease, clock))
}

fn event(id: &str) -> Publish {
    let subject = subject::Event { shard: 0, namespace: "ns".into(), uid: "u".into(), kind: "changed".into() };
    Publish::new(Stream::Events, subject.to_string(), id, Vec::new())
}

fn command(id: &str) -> Publish {
    let subject = subject::Command { shard: 0, uid: "u".into(), node: "n".into() };
    Publish::new(Stream::Commands, subject.to_string(), id, Vec::new())
}

async fn stored(bus: &Memory, stream: Stream) -> Vec<String> {
    let messages = bus.read(stream, &subject::of_stream(stream), 0, 100).await.expect("readable");
    messages.into_iter().map(|message| message.id).collect()
}

#[tokio::test(start_paused = true)]
async fn a_former_owner_can_no_longer_write_events() {
    let bus = Arc::new(Memory::new());
    let (host, first) = own(&bus, "a").await;
    let (old, task) = Outbox::claim(host, &first, Meters::for_tests()).await.expect("claimed");
    let old_task = tokio::spawn(task.run());
    old.publish(vec![event("u:1:0")]).await.expect("the owner writes");
    // It is paused past its lease, and wakes up behind another owner.
    tokio::time::advance(TTL * 2).await;
    let (host, second) = own(&bus, "b").await;
    assert!(second.lease.epoch > first.lease.epoch);
    let (new, task) = Outbox::claim(host, &second, Meters::for_tests()).await.expect("claimed");
    tokio::spawn(task.run());
    let refused = old.publish(vec![event("u:2:0")]).await;
    assert!(matches!(refused, Err(Error::Stopped(_))), "{refused:?}");
    assert!(first.stop.is_cancelled() && old_task.await.expect("joined").is_err());
    // The new owner replays what the old had published, and goes on.
    new.publish(vec![event("u:1:0"), event("u:2:0")]).await.expect("the owner writes");
    assert_eq!(stored(&bus, Stream::Events).await, ["claim:0:1", "u:1:0", "claim:0:2", "u:2:0"]);
}

#[tokio::test(start_paused = true)]
async fn wishes_go_before_facts_and_one_bad_message_hurts_nobody_else() {
    let bus = Arc::new(Memory::new());
    let (host, owned) = own(&bus, "a").await;
    let (outbox, task) = Outbox::claim(host, &owned, Meters::for_tests()).await.expect("claimed");
    tokio::spawn(task.run());
    let mut large = command("large");
    large.payload = vec![0; 2 * 1024 * 1024].into();
    let (good, bad) = tokio::join!(outbox.publish(vec![event("u:1:1"), command("u:1:0")]), outbox.publish(vec![large]));
    assert!(good.is_ok() && matches!(bad, Err(Error::Refused(_))), "{good:?} {bad:?}");
    assert_eq!(stored(&bus, Stream::Commands).await, ["u:1:0"]);
    assert_eq!(stored(&bus, Stream::Events).await, ["claim:0:1", "u:1:1"]);
}

#[tokio::test(start_paused = true)]
async fn history_that_is_purged_moves_the_fence_but_does_not_stop_the_owner() {
    let bus = Arc::new(Memory::new());
    let (host, owned) = own(&bus, "a").await;
    let (outbox, task) = Outbox::claim(host, &owned, Meters::for_tests()).await.expect("claimed");
    tokio::spawn(task.run());
    outbox.publish(vec![event("u:1:0")]).await.expect("the owner writes");
    bus.purge(Stream::Events, &subject::of_stream(Stream::Events), 100).await.expect("purged");
    outbox.publish(vec![event("u:2:0")]).await.expect("the owner writes");
    assert_eq!(stored(&bus, Stream::Events).await, ["u:2:0"]);
}

#[tokio::test(start_paused = true)]
async fn a_former_owner_learns_of_its_successor_though_it_has_nothing_to_publish() {
    let bus = Arc::new(Memory::new());
    let (host, first) = own(&bus, "a").await;
    let (old, task) = Outbox::claim(host, &first, Meters::for_tests()).await.expect("claimed");
    tokio::spawn(task.run());
    old.publish(Vec::new()).await.expect("the owner");
    tokio::time::advance(TTL * 2).await;
    let (host, second) = own(&bus, "b").await;
    let (_new, _task) = Outbox::claim(host, &second, Meters::for_tests()).await.expect("claimed");
    let refused = old.publish(Vec::new()).await;
    assert!(matches!(refused, Err(Error::Stopped(_))), "{refused:?}");
}
