//! The suite on a NATS server, and what only it has: a connection that breaks.

use std::sync::Arc;
use std::time::Duration;

use argosy_bus::nats::{Nats, Options};
use argosy_bus::{Bus, Class, Error, Fence, Publish, Quarantined, Stream};

use crate::server::{Server, find};
use crate::{Place, millis, run_all};

async fn connect(url: &str, options: Options) -> Nats {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        match Nats::connect(url, options.clone()).await {
            Ok(bus) => return bus,
            Err(error) => {
                let in_time = tokio::time::Instant::now() < deadline;
                assert!(in_time && error.class() == Class::Transient, "{error:?}");
            }
        }
        tokio::time::sleep(millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conforms() {
    let Some(binary) = find() else { return };
    let server = Server::start(&binary).unwrap();
    let bus = connect(&server.url(), Options::default()).await;
    let _second_process = connect(&server.url(), Options::default()).await;
    run_all(Arc::new(bus)).await;
}

/// Three copies of everything: answers come from elections, proposals and replicas that lag. Takes half a minute of a small
/// machine, so it runs when `ARGOSY_NATS_CLUSTER` is 1.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conforms_on_a_cluster() {
    if std::env::var_os("ARGOSY_NATS_CLUSTER").is_none_or(|value| value != "1") {
        println!("nats cluster: skipped (ARGOSY_NATS_CLUSTER is not 1)");
        return;
    }
    let Some(binary) = find() else { return };
    let servers = Server::start_cluster(&binary, 3).unwrap();
    let urls: Vec<String> = servers.iter().map(Server::url).collect();
    let options = Options { replicas: 3, ..Options::default() };
    run_all(Arc::new(connect(&urls.join(","), options).await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashed_server_comes_back_with_everything() {
    let Some(binary) = find() else { return };
    let mut server = Server::start(&binary).unwrap();
    let place = Place { bus: Arc::new(connect(&server.url(), Options::default()).await), shard: 1 };
    let mut consumer = place.consume(place.spec("restart")).await;
    let first = place.publish("u", "0").await;
    assert_eq!(place.take(&mut consumer, 1).await, ["0"]);
    let waiting = tokio::spawn({
        let place = place.clone();
        async move {
            loop {
                let delivery = consumer.next().await.expect("a hiccup is waited out");
                if place.id(&delivery) == "1" {
                    return (delivery.message.sequence, consumer.hiccups());
                }
                delivery.ack().await.unwrap();
            }
        }
    });
    tokio::time::sleep(millis(300)).await;
    server.crash_and_restart().unwrap();
    let publish = Publish::new(Stream::Events, place.event("u", "T"), "1:1", "1").expect(place.events(), first);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    let second = loop {
        match place.bus.publish(publish.clone()).await {
            Ok(ack) => break ack.sequence,
            Err(error) => {
                assert!(error.class() == Class::Transient && tokio::time::Instant::now() < deadline, "{error:?}")
            }
        }
        tokio::time::sleep(millis(100)).await;
    };
    let (delivered, hiccups) =
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("the consumer goes on").unwrap();
    assert_eq!(delivered, second);
    assert!(hiccups > 0, "what was waited out is counted");
    let stored = place.bus.read(Stream::Events, &place.events(), 0, 9).await.unwrap();
    assert_eq!(stored.iter().map(|message| message.sequence).collect::<Vec<_>>(), [first, second]);
}

#[tokio::test]
async fn a_missing_server_is_a_passing_failure() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let result = Nats::connect(&format!("nats://127.0.0.1:{port}"), Options::default()).await;
    assert!(matches!(result, Err(Error::Unavailable { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn installations_with_different_prefixes_do_not_see_each_other() {
    let Some(binary) = find() else { return };
    let server = Server::start(&binary).unwrap();
    let with = |prefix: &str| Options { prefix: prefix.parse().unwrap(), ..Options::default() };
    let [one, other] = ["argosy", "team-b"].map(with);
    let one = Place { bus: Arc::new(connect(&server.url(), one).await), shard: 1 };
    let other = Place { bus: Arc::new(connect(&server.url(), other).await), shard: 1 };
    let mut consumers = [one.consume(one.spec("same")).await, other.consume(other.spec("same")).await];
    one.publish("u", "0").await;
    let sequence = other.publish("u", "0").await;
    other.publish("u", "1").await;
    assert_eq!(one.take(&mut consumers[0], 1).await, ["0"]);
    assert!(crate::is_silent(&mut consumers[0], millis(300)).await);
    assert_eq!(other.take(&mut consumers[1], 2).await, ["0", "1"]);
    let stored = other.bus.read(Stream::Events, &other.events(), 0, 9).await.unwrap();
    assert_eq!((stored.len(), stored[0].sequence, stored[0].subject.as_str()), (2, sequence, &*other.event("u", "T")));
    for place in [&one, &other] {
        assert!(place.bus.acquire("shard-1", "me", millis(30_000)).await.unwrap().is_some());
        assert!(place.bus.acquire("shard-1", "you", millis(30_000)).await.unwrap().is_none());
    }
    let own = other.bus.last_sequence(Stream::Events, &other.events()).await.unwrap();
    let fenced = Publish::new(Stream::Events, other.event("u", "T"), "f", "").expect(other.events(), own);
    other.bus.publish(fenced).await.expect("the fence speaks of its own stream");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_lost_everything_is_set_up_anew_and_begins_past_what_was() {
    let Some(binary) = find() else { return };
    let mut server = Server::start(&binary).unwrap();
    let place = Place { bus: Arc::new(connect(&server.url(), Options::default()).await), shard: 1 };
    let origin = place.bus.origin(Stream::Events).await.unwrap();
    assert!(origin > 0);
    let _second_process = connect(&server.url(), Options::default()).await;
    let last = place.publish("u", "0").await;
    assert!(last > origin);
    assert_eq!(place.bus.origin(Stream::Events).await.unwrap(), origin, "another start changes nothing");
    let lease = place.bus.acquire("shard-1", "me", millis(30_000)).await.unwrap().expect("it is free");
    let mut consumer = place.consume(place.spec("lost")).await;
    tokio::time::sleep(millis(1100)).await;
    server.crash_and_lose_all().unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    let renewed = loop {
        match place.bus.renew(&lease).await {
            Err(Error::Unavailable { .. }) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(millis(100)).await;
            }
            result => break result,
        }
    };
    assert!(matches!(renewed, Err(Error::LeaseLost { .. })), "{renewed:?}");
    let again = place.bus.acquire("shard-1", "me", millis(30_000)).await.unwrap().expect("nobody has it");
    assert!(again.epoch > lease.epoch);
    assert!(place.bus.origin(Stream::Events).await.unwrap() > last);
    let stale = Publish::new(Stream::Events, place.event("u", "T"), "stale", "").expect(place.events(), last);
    assert!(place.bus.publish(stale).await.unwrap_err().is_fenced(), "what was believed before the loss fits nothing");
    assert!(place.publish("u", "0").await > last, "ids are forgotten too");
    assert!(place.bus.read(Stream::Events, &place.events(), last, 9).await.unwrap().len() == 1);
    let gone = tokio::time::timeout(Duration::from_secs(30), consumer.next()).await.expect("the handle learns of it");
    assert!(matches!(gone, Err(Error::ConsumerGone { .. })), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_number_of_shards_is_refused() {
    let Some(binary) = find() else { return };
    let server = Server::start(&binary).unwrap();
    let with = |shards| Options { shards, ..Options::default() };
    for shards in [Some(16), Some(16), None] {
        connect(&server.url(), with(shards)).await;
    }
    let refused = Nats::connect(&server.url(), with(Some(8))).await.map(drop).unwrap_err();
    let Error::Refused { source, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(source.to_string(), "`ARGOSY_OBSERVED` was made for 16 shards, not 8");
}

/// One stream may be lost alone, by an operator's hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_stream_is_made_anew_by_whoever_needs_it() {
    let Some(binary) = find() else { return };
    let server = Server::start(&binary).unwrap();
    let place = Place { bus: Arc::new(connect(&server.url(), Options::default()).await), shard: 1 };
    let first = place.publish("u", "0").await;
    let client = async_nats::connect(server.url()).await.unwrap();
    async_nats::jetstream::new(client).delete_stream("ARGOSY_EVENTS").await.unwrap();
    tokio::time::sleep(millis(1100)).await;
    let publish = || place.bus.publish(Publish::new(Stream::Events, place.event("u", "T"), "again", ""));
    assert_eq!(publish().await.unwrap_err().class(), Class::Transient);
    assert!(publish().await.unwrap().sequence > first);
}

/// Each handle of each consumer goes on by itself, also one that was asked while nobody answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_outlives_a_server_that_stays_away() {
    let Some(binary) = find() else { return };
    let mut server = Server::start(&binary).unwrap();
    let options = Options { request_timeout: Duration::from_secs(1), ..Options::default() };
    let place = Place { bus: Arc::new(connect(&server.url(), options).await), shard: 1 };
    let mut consumer = place.consume(place.spec("away")).await;
    let mut commands = place.consume(place.command_spec("away")).await;
    place.publish("u", "0").await;
    place.publish_command("u", "c0").await;
    let held = consumer.next().await.unwrap();
    assert_eq!(place.take(&mut commands, 1).await, ["c0"]);
    assert!(crate::is_silent(&mut consumer, millis(200)).await, "its request is with the server");
    server.stop();
    for _ in 0..3 {
        let began = tokio::time::Instant::now();
        assert!(consumer.next_batch(10, millis(1500)).await.expect("a hiccup is no error").is_empty());
        assert!(began.elapsed() < millis(30_000), "the wait ends: {:?}", began.elapsed());
    }
    let waiting = tokio::spawn({
        let place = place.clone();
        async move { place.take(&mut commands, 1).await }
    });
    tokio::time::sleep(millis(500)).await;
    server.restart().unwrap();
    held.ack().await.expect("an answer is sent when somebody listens again");
    let publish = |subject: String, stream, id: &str| {
        let (place, message) = (place.clone(), Publish::new(stream, subject, format!("1:{id}"), ""));
        async move {
            while let Err(error) = place.bus.publish(message.clone()).await {
                assert_eq!(error.class(), Class::Transient, "{error:?}");
                tokio::time::sleep(millis(50)).await;
            }
        }
    };
    publish(place.command("u"), Stream::Commands, "c1").await;
    publish(place.event("u", "T"), Stream::Events, "1").await;
    let ids = tokio::time::timeout(Duration::from_secs(40), waiting).await.expect("it goes on").unwrap();
    assert_eq!(ids, ["c1"]);
    let taken = tokio::time::timeout(Duration::from_secs(40), place.take(&mut consumer, 1)).await.expect("it goes on");
    assert_eq!((taken[0].as_str(), consumer.hiccups() > 0), ("1", true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_was_removed_meanwhile_is_told_from_a_hiccup() {
    let Some(binary) = find() else { return };
    let mut server = Server::start(&binary).unwrap();
    let place = Place { bus: Arc::new(connect(&server.url(), Options::default()).await), shard: 1 };
    let mut removed = place.consume(place.spec("removed")).await;
    assert!(crate::is_silent(&mut removed, millis(100)).await);
    server.crash_and_restart().unwrap();
    let other = connect(&server.url(), Options::default()).await;
    other.forget(Stream::Events, "removed-1").await.unwrap();
    let gone = tokio::time::timeout(Duration::from_secs(30), removed.next()).await.expect("the handle learns of it");
    assert!(matches!(gone, Err(Error::ConsumerGone { .. })), "{gone:?}");
    place.publish("u", "0").await;
    let mut anew = place.consume(place.spec("removed")).await;
    assert_eq!(place.take(&mut anew, 1).await, ["0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_stream_drains() {
    let Some(binary) = find() else { return };
    let server = Server::start(&binary).unwrap();
    let options = Options { stream_bytes_max: Some(1 << 20), ..Options::default() };
    let place = Place { bus: Arc::new(connect(&server.url(), options).await), shard: 1 };
    crate::limits::a_full_stream_drains(place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_count_the_longest_prefix() {
    let Some(binary) = find() else { return };
    let server = Server::start(&binary).unwrap();
    let options = Options { prefix: "a".repeat(32).parse().unwrap(), ..Options::default() };
    let bus = Arc::new(connect(&server.url(), options).await);
    crate::limits::the_largest_message_is_the_same_everywhere(Place { bus: bus.clone(), shard: 1 }).await;
    crate::limits::the_largest_headers_are_the_same_everywhere(Place { bus, shard: 2 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_leaves_a_full_quarantine() {
    let Some(binary) = find() else { return };
    let mut server = Server::start(&binary).unwrap();
    let options = Options { quarantine_entries_max: 8, ..Options::default() };
    let place = Place { bus: Arc::new(connect(&server.url(), options).await), shard: 1 };
    crate::quarantine::the_oldest_leaves_a_full_quarantine(place.clone()).await;
    let before = place.bus.quarantine().list(None).await.unwrap();
    server.crash_and_restart().unwrap();
    let again = connect(&server.url(), Options::default()).await;
    assert_eq!(again.quarantine().list(None).await.unwrap(), before, "it is durable like the rest");
    let entry = Quarantined::workflow("u19", "again", crate::quarantine::at(50));
    assert_eq!(again.quarantine().put(entry).await.unwrap().count, 2);
}

/// What an operator has raised, or tuned besides, is not taken back by a start; what a start asks for more is given.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_keeps_what_an_operator_has_raised() {
    let Some(binary) = find() else { return };
    let server = Server::start(&binary).unwrap();
    let with = |stream_bytes_max| Options { stream_bytes_max, ..Options::default() };
    connect(&server.url(), with(Some(1 << 20))).await;
    let jetstream = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let config = async || jetstream.get_stream("ARGOSY_OBSERVED").await.unwrap().cached_info().config.clone();
    let mut raised = config().await;
    assert_eq!(raised.max_bytes, 1 << 20);
    (raised.max_bytes, raised.description) = (8 << 20, Some("raised by hand".to_owned()));
    raised.duplicate_window = Duration::from_secs(600);
    raised.subjects.push("legacy.observed.>".to_owned());
    jetstream.update_stream(&raised).await.unwrap();
    let raised = config().await;
    for smaller in [Some(1 << 20), None] {
        connect(&server.url(), with(smaller)).await;
        assert_eq!(config().await, raised);
    }
    connect(&server.url(), with(Some(16 << 20))).await;
    assert_eq!(config().await.max_bytes, 16 << 20, "more than what is there is given");
    let unlimited = async_nats::jetstream::stream::Config { max_bytes: -1, ..config().await };
    jetstream.update_stream(&unlimited).await.unwrap();
    connect(&server.url(), with(Some(1 << 20))).await;
    assert_eq!(config().await.max_bytes, -1, "none is larger than any");
}

/// A process of an older version may have set the stream up last, before this one has met a batch or after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_an_older_version_learns_batches() {
    let Some(binary) = find() else { return };
    let server = Server::start(&binary).unwrap();
    let bus = connect(&server.url(), Options::default()).await;
    let place = Place { bus: Arc::new(bus), shard: 1 };
    let jetstream = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let mut older = jetstream.get_stream("ARGOSY_EVENTS").await.unwrap().cached_info().config.clone();
    older.allow_atomic_publish = false;
    jetstream.update_stream(&older).await.unwrap();
    let message = |n| Publish::new(Stream::Events, place.event("u", "T"), format!("1:{n}"), "");
    let acks = place.bus.append((0..3).map(message).collect(), Fence::new(place.events(), 0)).await.unwrap();
    assert_eq!(acks.len(), 3);
}

/// More batches in hand than a server takes: a passing failure, and nothing is stored of what was refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_too_many_batches_in_hand_is_busy() {
    let Some(binary) = find() else { return };
    let server = Server::start(&binary).unwrap();
    let place = Place { bus: Arc::new(connect(&server.url(), Options::default()).await), shard: 1 };
    let client = async_nats::connect(server.url()).await.unwrap();
    for n in 0..50 {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Batch-Id", format!("left-open-{n}"));
        headers.insert("Nats-Batch-Sequence", "1");
        client.request_with_headers(place.event("open", "T"), headers, "".into()).await.unwrap();
    }
    let message = |n| Publish::new(Stream::Events, place.event("u", "T"), format!("1:{n}"), "");
    let append = || place.bus.append((0..3).map(message).collect(), Fence::new(place.events(), 0));
    assert_eq!(append().await.unwrap_err().class(), Class::Transient);
    assert_eq!(place.bus.last_sequence(Stream::Events, &place.events()).await.unwrap(), 0);
    // The server gives them up after 10 s.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while let Err(error) = append().await {
        assert!(error.class() == Class::Transient && tokio::time::Instant::now() < deadline, "{error:?}");
    }
    assert_eq!(place.bus.read(Stream::Events, &place.events(), 0, 9).await.unwrap().len(), 3);
}

/// Whenever the server is killed, each batch is there whole or not at all, and once.
async fn batches_survive_crashes(place: Place, crashes: u32, mut crash: impl FnMut()) {
    let writing = tokio::spawn({
        let place = place.clone();
        async move {
            let mut fence = Fence::new(place.events(), 0);
            for n in 0.. {
                let batch: Vec<Publish> = (0..7)
                    .map(|m| {
                        let id = format!("1:{n:06}-{m}");
                        Publish::new(Stream::Events, place.event(&format!("u{m}"), "T"), &id, vec![b'x'; 2000])
                    })
                    .collect();
                loop {
                    match place.bus.append(batch.clone(), fence.clone()).await {
                        Ok(acks) => {
                            fence = fence.after(&acks);
                            break;
                        }
                        Err(error) => assert_eq!(error.class(), Class::Transient, "{error:?}"),
                    }
                    tokio::time::sleep(millis(20)).await;
                }
                // Ends when the test has seen enough.
                if place.bus.last_sequence(Stream::Commands, &place.command("end")).await.is_ok_and(|last| last > 0) {
                    return n + 1;
                }
            }
            0
        }
    });
    for _ in 0..crashes {
        tokio::time::sleep(millis(700)).await;
        crash();
    }
    tokio::time::sleep(millis(500)).await;
    let end = Publish::new(Stream::Commands, place.command("end"), "1:end", "");
    while place.bus.publish(end.clone()).await.is_err() {
        tokio::time::sleep(millis(100)).await;
    }
    let batches: usize = tokio::time::timeout(Duration::from_secs(60), writing).await.expect("it ends").unwrap();
    let stored = place.bus.read(Stream::Events, &place.events(), 0, usize::MAX).await.unwrap();
    let ids: Vec<&str> = stored.iter().map(|message| message.id.as_str()).collect();
    let expected: Vec<String> = (0..batches).flat_map(|n| (0..7).map(move |m| format!("1:{n:06}-{m}"))).collect();
    assert_eq!(ids, expected);
    println!("{batches} batches");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_are_whole_whenever_the_server_is_killed() {
    let Some(binary) = find() else { return };
    let mut server = Server::start(&binary).unwrap();
    let options = Options { request_timeout: Duration::from_secs(1), ..Options::default() };
    let place = Place { bus: Arc::new(connect(&server.url(), options).await), shard: 1 };
    batches_survive_crashes(place, 5, || server.crash_and_restart().unwrap()).await;
}

/// Each server in turn, so that leaders change. Runs when `ARGOSY_NATS_CLUSTER` is 1.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn batches_and_consumers_outlive_elections() {
    if std::env::var_os("ARGOSY_NATS_CLUSTER").is_none_or(|value| value != "1") {
        println!("nats cluster: skipped (ARGOSY_NATS_CLUSTER is not 1)");
        return;
    }
    let Some(binary) = find() else { return };
    let mut servers = Server::start_cluster(&binary, 3).unwrap();
    let urls: Vec<String> = servers.iter().map(Server::url).collect();
    let options = Options { replicas: 3, request_timeout: Duration::from_secs(2), ..Options::default() };
    let place = Place { bus: Arc::new(connect(&urls.join(","), options).await), shard: 1 };
    let mut consumer = place.consume(place.spec("election")).await;
    let consuming = tokio::spawn({
        let place = place.clone();
        async move {
            let (mut seen, mut last) = (std::collections::BTreeSet::new(), 0);
            loop {
                let delivery = consumer.next().await.expect("an election is waited out");
                if delivery.message.deliveries == 1 && !seen.contains(&place.id(&delivery)) {
                    assert!(delivery.message.sequence > last, "first deliveries come in order");
                    last = delivery.message.sequence;
                }
                let is_last = place.id(&delivery) == "the-last";
                seen.insert(place.id(&delivery));
                delivery.ack().await.unwrap();
                if is_last {
                    return seen.len();
                }
            }
        }
    });
    let mut next = 0;
    batches_survive_crashes(place.clone(), 3, || {
        servers[next].crash_and_restart().unwrap();
        next += 1;
        std::thread::sleep(millis(8000));
    })
    .await;
    let stored = place.bus.read(Stream::Events, &place.events(), 0, usize::MAX).await.unwrap().len();
    place.publish("u", "the-last").await;
    let seen = tokio::time::timeout(Duration::from_secs(60), consuming).await.expect("all comes").unwrap();
    assert_eq!(seen, stored + 1);
}
