//! The suite on a NATS server, and what only it has: a connection that breaks.

use std::sync::Arc;
use std::time::Duration;

use argosy_bus::nats::{Nats, Options};
use argosy_bus::{Class, Error, Publish, Stream};

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
                match consumer.next().await {
                    Ok(delivery) if place.id(&delivery) == "1" => return delivery.message.sequence,
                    Ok(delivery) => delivery.ack().await.unwrap(),
                    Err(error) => assert_eq!(error.class(), Class::Transient, "{error:?}"),
                }
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
    let delivered =
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("the consumer goes on").unwrap();
    assert_eq!(delivered, second);
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
    assert!(gone.is_err(), "{gone:?}");
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
