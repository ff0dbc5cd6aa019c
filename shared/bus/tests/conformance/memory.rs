//! The suite on the in-process bus, and what only it has: virtual time and faults.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use argosy_bus::memory::{AckFault, Chaos, DeliverFault, Memory, Options, PublishFault};
use argosy_bus::{Bus, Class, Error, Fence, Message, Publish, Quarantined, Stream};

use crate::{Place, is_silent, millis, run_all};

/// Virtual time: a thousand seconds of waiting take none.
#[tokio::test(start_paused = true)]
async fn conforms() {
    run_all(Arc::new(Memory::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conforms_on_many_threads() {
    run_all(Arc::new(Memory::new())).await;
}

#[tokio::test(start_paused = true)]
async fn ids_are_forgotten_after_the_window_and_beyond_the_limit() {
    let bus = Memory::with_options(Options { dedup_ids_max: 3, ..Options::default() });
    let place = Place { bus: Arc::new(bus), shard: 1 };
    let first = place.publish("u", "a").await;
    tokio::time::sleep(Duration::from_secs(119)).await;
    assert_eq!(place.publish("u", "a").await, first);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let second = place.publish("u", "a").await;
    assert!(second > first);
    for id in ["b", "c", "d"] {
        place.publish("u", id).await;
    }
    assert!(place.publish("u", "a").await > second);
}

#[tokio::test(start_paused = true)]
async fn a_full_stream_refuses_until_something_is_purged() {
    let bus = Arc::new(Memory::with_options(Options { stream_bytes_max: 2000, ..Options::default() }));
    let place = Place { bus: bus.clone(), shard: 1 };
    let publish = |id: &str| bus.publish(Publish::new(Stream::Events, place.event("u", "T"), id, vec![0; 900]));
    publish("1").await.unwrap();
    let two = publish("2").await.unwrap().sequence;
    let full = publish("3").await.unwrap_err();
    assert!(matches!(full, Error::Full { stream: Stream::Events }) && full.class() == Class::Transient);
    bus.purge(Stream::Events, &place.events(), two - 1).await.unwrap();
    publish("3").await.expect("there is room, and the refused id was not remembered");
}

#[tokio::test(start_paused = true)]
async fn a_full_stream_drains() {
    let bus = Memory::with_options(Options { stream_bytes_max: 1 << 20, ..Options::default() });
    crate::limits::a_full_stream_drains(Place { bus: Arc::new(bus), shard: 1 }).await;
}

#[tokio::test(start_paused = true)]
async fn the_oldest_leaves_a_full_quarantine() {
    let bus = Memory::with_options(Options { quarantine_entries_max: 8, ..Options::default() });
    crate::quarantine::the_oldest_leaves_a_full_quarantine(Place { bus: Arc::new(bus), shard: 1 }).await;
    let bus = Memory::with_options(Options { quarantine_bytes_max: 250_000, ..Options::default() });
    for n in 1..6 {
        let message = crate::quarantine::message(Stream::Observed, n, vec![7; 100_000]);
        let entry = Quarantined::workflow("u", "why", crate::quarantine::at(0)).message(&message);
        bus.quarantine().put(entry).await.unwrap();
    }
    assert_eq!(bus.quarantine().list(None).await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_held_message_comes_again_later_and_later() {
    let place = Place { bus: Arc::new(Memory::new()), shard: 1 };
    place.publish("u", "of a newer version").await;
    let mut consumer = place.consume(place.spec("hold")).await;
    let mut waits = Vec::new();
    for _ in 0..9 {
        let began = tokio::time::Instant::now();
        let delivery = consumer.next().await.unwrap();
        waits.push(began.elapsed().as_secs());
        delivery.hold().await.unwrap();
    }
    assert_eq!(waits, [0, 10, 20, 40, 80, 160, 320, 600, 600]);
    assert_eq!(place.bus.lag(Stream::Events, "hold-1").await.unwrap().unwrap().unacknowledged, 1);
}

#[tokio::test(start_paused = true)]
async fn a_batch_may_fail_before_or_after_it_is_stored() {
    for (fault, stored) in [(PublishFault::LostAnswer, true), (PublishFault::Refused, false)] {
        let place = Once { publish: Some(fault), ..Once::default() }.place();
        let batch = || {
            let message = |n| Publish::new(Stream::Events, place.event("u", "T"), format!("1:{n}"), "");
            place.bus.append((0..3).map(message).collect(), Fence::new(place.events(), 0))
        };
        assert_eq!(batch().await.unwrap_err().class(), Class::Transient);
        assert_eq!(batch().await.unwrap().iter().map(|ack| ack.duplicate).collect::<Vec<_>>(), [stored; 3]);
        assert_eq!(place.bus.read(Stream::Events, &place.events(), 0, 9).await.unwrap().len(), 3);
    }
}

/// What the ids no longer tell, the place right behind the fence does.
#[tokio::test(start_paused = true)]
async fn a_batch_may_be_repeated_after_its_ids_are_forgotten() {
    let place = Place { bus: Arc::new(Memory::new()), shard: 1 };
    let append = |ids: std::ops::Range<u32>| {
        let message = |n| Publish::new(Stream::Events, place.event("u", "T"), format!("1:{n}"), "");
        place.bus.append(ids.map(message).collect(), Fence::new(place.events(), 0))
    };
    let first = append(0..3).await.unwrap();
    tokio::time::sleep(Duration::from_secs(500)).await;
    let repeat = append(0..4).await.unwrap();
    assert_eq!(repeat.iter().map(|ack| ack.duplicate).collect::<Vec<_>>(), [true, true, true, false]);
    assert!(repeat[..3].iter().zip(&first).all(|(repeat, first)| repeat.sequence == first.sequence));
    tokio::time::sleep(Duration::from_secs(500)).await;
    assert!(append(1..4).await.unwrap_err().is_fenced(), "it does not begin behind the fence");
}

/// Plays one fault for the first call, then none.
#[derive(Default)]
struct Once {
    deliver: Option<DeliverFault>,
    publish: Option<PublishFault>,
    ack: Option<AckFault>,
    calls: AtomicU32,
}

impl Once {
    fn place(self) -> Place {
        let options = Options { chaos: Some(Arc::new(self)), ..Options::default() };
        Place { bus: Arc::new(Memory::with_options(options)), shard: 1 }
    }

    fn is_first(&self) -> bool {
        self.calls.fetch_add(1, Ordering::Relaxed) == 0
    }
}

impl Chaos for Once {
    fn on_deliver(&self, _: &Message) -> DeliverFault {
        self.deliver.filter(|_| self.is_first()).unwrap_or(DeliverFault::Once)
    }

    fn on_publish(&self, _: &Publish) -> PublishFault {
        self.publish.filter(|_| self.is_first()).unwrap_or(PublishFault::None)
    }

    fn on_ack(&self, _: &Message) -> AckFault {
        self.ack.filter(|_| self.is_first()).unwrap_or(AckFault::None)
    }
}

#[tokio::test(start_paused = true)]
async fn a_doubled_message_comes_twice_even_when_acknowledged() {
    let place = Once { deliver: Some(DeliverFault::Twice), ..Once::default() }.place();
    place.publish("u", "0").await;
    place.publish("u", "1").await;
    let mut consumer = place.consume(place.spec("twice")).await;
    assert_eq!(place.take(&mut consumer, 3).await, ["0", "0", "1"]);
    assert!(is_silent(&mut consumer, Duration::from_secs(100)).await);
}

#[tokio::test(start_paused = true)]
async fn a_delayed_message_holds_back_its_subject_only() {
    let place = Once { deliver: Some(DeliverFault::DelayMs(500)), ..Once::default() }.place();
    for n in 0..4 {
        place.publish(["a", "b"][n % 2], &n.to_string()).await;
    }
    let mut consumer = place.consume(place.spec("delay")).await;
    let began = tokio::time::Instant::now();
    assert_eq!(place.take(&mut consumer, 2).await, ["1", "3"]);
    assert_eq!(began.elapsed(), millis(0));
    assert_eq!(place.take(&mut consumer, 2).await, ["0", "2"]);
    assert_eq!(began.elapsed(), millis(500));
}

#[tokio::test(start_paused = true)]
async fn a_lost_delivery_comes_after_ack_wait() {
    let place = Once { deliver: Some(DeliverFault::DropThenRedeliver), ..Once::default() }.place();
    place.publish("u", "0").await;
    let mut consumer = place.consume(place.spec("drop")).await;
    let began = tokio::time::Instant::now();
    let delivery = consumer.next().await.unwrap();
    assert_eq!((began.elapsed(), delivery.message.deliveries), (Duration::from_secs(30), 2));
}

#[tokio::test(start_paused = true)]
async fn a_lost_ack_brings_the_message_again() {
    let place = Once { ack: Some(AckFault::Lost), ..Once::default() }.place();
    place.publish("u", "0").await;
    let mut consumer = place.consume(place.spec("ack")).await;
    assert_eq!(place.take(&mut consumer, 2).await, ["0", "0"]);
    assert!(is_silent(&mut consumer, Duration::from_secs(100)).await);
}

#[tokio::test(start_paused = true)]
async fn publishing_may_fail_before_or_after_the_message_is_stored() {
    for (fault, stored) in [(PublishFault::LostAnswer, true), (PublishFault::Refused, false)] {
        let place = Once { publish: Some(fault), ..Once::default() }.place();
        let publish = Publish::new(Stream::Events, place.event("u", "T"), "id", "");
        let error = place.bus.publish(publish.clone()).await.unwrap_err();
        assert_eq!(error.class(), Class::Transient);
        assert_eq!(place.bus.publish(publish).await.unwrap().duplicate, stored);
    }
}

/// Of several waiting handles one is woken for an earlier timer; whichever is dropped, the other must keep the time.
#[tokio::test(start_paused = true)]
async fn a_dropped_handle_passes_its_timer_on() {
    for dropped in 0..2 {
        let place = Place { bus: Arc::new(Memory::new()), shard: 1 };
        place.publish("u", "0").await;
        let mut first = place.consume(place.spec("timer")).await;
        let delivery = first.next().await.unwrap();
        let wait = || {
            let place = place.clone();
            tokio::spawn(async move {
                let mut handle = place.consume(place.spec("timer")).await;
                let delivery = handle.next().await.unwrap();
                (place.id(&delivery), tokio::time::Instant::now())
            })
        };
        let mut handles = vec![wait(), wait()];
        tokio::time::sleep(millis(1)).await;
        let began = tokio::time::Instant::now();
        delivery.nak(millis(100)).await.unwrap();
        tokio::time::sleep(millis(1)).await;
        handles.remove(dropped).abort();
        let (id, at) = handles.remove(0).await.unwrap();
        assert_eq!((id.as_str(), at - began), ("0", millis(100)), "handle {dropped} was dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn equal_runs_are_equal() {
    let mut traces = Vec::new();
    for _ in 0..2 {
        let (place, began) = (Place { bus: Arc::new(Memory::new()), shard: 1 }, tokio::time::Instant::now());
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..4_u64 {
            let place = place.clone();
            tasks.spawn(async move {
                for n in 0..20 {
                    tokio::time::sleep(millis(n * 7 % (task + 3))).await;
                    place.publish(&format!("u{task}"), &format!("{task}:{n}")).await;
                }
            });
        }
        let mut spec = place.spec("trace");
        (spec.ack_wait, spec.max_ack_pending) = (millis(10), 5);
        let mut consumer = place.consume(spec).await;
        let mut trace = Vec::new();
        for n in 0..150 {
            let delivery = consumer.next().await.unwrap();
            trace.push((place.id(&delivery), delivery.message.deliveries, began.elapsed()));
            if n % 3 == 0 {
                delivery.ack().await.unwrap();
            }
        }
        tasks.join_all().await;
        traces.push(trace);
    }
    assert_eq!(traces[0], traces[1]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_store_begins_past_what_was() {
    let bus = Memory::new();
    let place = Place { bus: Arc::new(bus.clone()), shard: 1 };
    let mut consumer = place.consume(place.spec("lost")).await;
    let waiting = tokio::spawn(async move { consumer.next().await.map(|delivery| delivery.message.sequence) });
    tokio::task::yield_now().await;
    let lease = place.bus.acquire("shard-1", "me", millis(30_000)).await.unwrap().expect("it is free");
    bus.lose(1000);
    assert!(matches!(waiting.await.unwrap(), Err(Error::ConsumerGone { .. })));
    assert!(matches!(place.bus.renew(&lease).await, Err(Error::LeaseLost { .. })));
    assert!(place.bus.acquire("shard-1", "me", millis(30_000)).await.unwrap().expect("nobody has it").epoch > 1000);
    assert_eq!(place.bus.origin(Stream::Events).await.unwrap(), 1000);
    assert_eq!(place.publish("u", "0").await, 1001);
    assert_eq!(place.consume(place.spec("lost")).await.next().await.unwrap().message.sequence, 1001);
}
