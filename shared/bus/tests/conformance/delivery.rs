//! Durable consumers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use argosy_bus::{Class, ConsumerSpec, Deliver, Error, Lag, Publish, Stream, subject};
use tokio::time::Instant;

use crate::{Place, is_silent, millis};

/// A wait for an answer that is given at once: a busy machine may be seconds late with it.
const ACK_WAIT: Duration = millis(4000);
/// A message would have come again.
const PAST_ACK_WAIT: Duration = millis(4800);

pub async fn keeps_order_per_subject(place: Place) {
    let mut consumer = place.consume(place.spec("order")).await;
    for n in 0..60 {
        place.publish(["a", "b", "c"][n % 3], &n.to_string()).await;
    }
    let mut last = BTreeMap::new();
    for n in 0..60 {
        let delivery = consumer.next().await.unwrap();
        assert_eq!((place.id(&delivery), delivery.message.deliveries), (n.to_string(), 1));
        let before = last.insert(delivery.message.subject.clone(), delivery.message.sequence);
        assert!(before < Some(delivery.message.sequence));
        delivery.ack().await.unwrap();
    }
    assert_eq!(last.len(), 3);
}

pub async fn redelivers_after_ack_wait(place: Place) {
    place.publish("u", "a").await;
    let mut spec = place.spec("wait");
    spec.ack_wait = ACK_WAIT;
    // Before it is handed out: when it arrives here, some of the wait is over.
    let began = Instant::now();
    let mut consumer = place.consume(spec).await;
    let first = consumer.next().await.unwrap();
    let second = consumer.next().await.unwrap();
    assert!(began.elapsed() >= ACK_WAIT * 4 / 5, "again after {:?}", began.elapsed());
    assert_eq!(second.message.deliveries, 2);
    assert_eq!(second.message.sequence, first.message.sequence);
    second.ack().await.unwrap();
    assert!(is_silent(&mut consumer, PAST_ACK_WAIT).await);
}

pub async fn redelivers_after_a_nak(place: Place) {
    place.publish("u", "a").await;
    let mut consumer = place.consume(place.spec("nak")).await;
    consumer.next().await.unwrap().nak(millis(0)).await.unwrap();
    let second = consumer.next().await.unwrap();
    assert_eq!(second.message.deliveries, 2);
    let began = Instant::now();
    second.nak(millis(500)).await.unwrap();
    let third = consumer.next().await.unwrap();
    assert!(began.elapsed() >= millis(450), "again after {:?}", began.elapsed());
    assert_eq!(third.message.deliveries, 3);
    third.ack().await.unwrap();
}

pub async fn never_redelivers_after_term(place: Place) {
    place.publish("u", "a").await;
    place.publish_command("u", "a").await;
    let (mut spec, mut commands) = (place.spec("term"), place.command_spec("term"));
    (spec.ack_wait, commands.ack_wait) = (ACK_WAIT, ACK_WAIT);
    let (mut events, mut commands) = (place.consume(spec).await, place.consume(commands).await);
    events.next().await.unwrap().term().await.unwrap();
    commands.next().await.unwrap().term().await.unwrap();
    assert!(is_silent(&mut events, PAST_ACK_WAIT).await);
    assert!(is_silent(&mut commands, millis(200)).await);
    assert!(place.bus.last_sequence(Stream::Events, &place.events()).await.unwrap() > 0);
    let commands = place.bus.last_sequence(Stream::Commands, &subject::Command::of_shard(place.shard)).await;
    assert_eq!(commands.unwrap(), 0);
}

pub async fn progress_holds_off_redelivery(place: Place) {
    place.publish("u", "a").await;
    let mut spec = place.spec("progress");
    // Eight times the pause: a busy machine is late.
    spec.ack_wait = ACK_WAIT;
    let mut consumer = place.consume(spec).await;
    let delivery = consumer.next().await.unwrap();
    for _ in 0..9 {
        assert!(is_silent(&mut consumer, millis(500)).await);
        delivery.in_progress().await.unwrap();
    }
    delivery.ack().await.unwrap();
    assert!(is_silent(&mut consumer, PAST_ACK_WAIT).await);
}

pub async fn an_ack_empties_the_work_queue(place: Place) {
    let filter = subject::Command::of_shard(place.shard);
    let mut consumer = place.consume(place.command_spec("queue")).await;
    let sequences = [place.publish_command("a", "1").await, place.publish_command("b", "2").await];
    let (one, two) = (consumer.next().await.unwrap(), consumer.next().await.unwrap());
    assert_eq!([one.message.sequence, two.message.sequence], sequences);
    two.ack().await.unwrap();
    let left = |count: usize| {
        let (bus, filter) = (place.bus.clone(), filter.clone());
        async move {
            let deadline = Instant::now() + millis(10_000);
            loop {
                let left = bus.read(Stream::Commands, &filter, 0, 9).await.unwrap();
                if left.len() == count {
                    return left;
                }
                assert!(Instant::now() < deadline, "{} messages left", left.len());
                tokio::time::sleep(millis(10)).await;
            }
        }
    };
    assert_eq!(left(1).await[0].sequence, sequences[0]);
    one.ack().await.unwrap();
    left(0).await;
    assert_eq!(place.bus.last_sequence(Stream::Commands, &filter).await.unwrap(), 0);
}

pub async fn a_work_queue_has_one_consumer_per_subject(place: Place) {
    let _consumer = place.consume(place.command_spec("one")).await;
    let two = place.bus.consume(place.command_spec("two")).await.err().expect("the same subjects");
    assert!(matches!(&two, Error::ConsumerConflict { name, .. } if name.starts_with("two-")), "{two:?}");
    let mut narrow = place.command_spec("narrow");
    narrow.filter = subject::Command::of_workflow(place.shard, "u");
    assert!(matches!(place.bus.consume(narrow).await, Err(Error::ConsumerConflict { .. })));
    let mut new = place.command_spec("one");
    new.deliver = Deliver::New;
    assert!(matches!(place.bus.consume(new).await, Err(Error::ConsumerConflict { .. })));
    let _another_handle = place.consume(place.command_spec("one")).await;
    place.consume(place.spec("events-have-many-1")).await;
    place.consume(place.spec("events-have-many-2")).await;
}

pub async fn a_vanished_consumer_loses_nothing(place: Place) {
    for n in 0..6 {
        place.publish("u", &n.to_string()).await;
    }
    let mut spec = place.spec("vanish");
    spec.ack_wait = ACK_WAIT;
    let mut consumer = place.consume(spec.clone()).await;
    assert_eq!(place.take(&mut consumer, 2).await, ["0", "1"]);
    let unanswered = consumer.next_batch(2, millis(10_000)).await.unwrap();
    assert!(!unanswered.is_empty());
    drop((consumer, unanswered));
    let mut consumer = place.consume(spec).await;
    let ids: BTreeSet<String> = place.take(&mut consumer, 4).await.into_iter().collect();
    assert_eq!(ids, ["2", "3", "4", "5"].map(String::from).into());
    assert!(is_silent(&mut consumer, PAST_ACK_WAIT).await);
}

pub async fn handles_of_one_name_share(place: Place) {
    let mut handles = [place.consume(place.spec("share")).await, place.consume(place.spec("share")).await];
    for n in 0..20 {
        place.publish("u", &n.to_string()).await;
    }
    let mut ids = BTreeSet::new();
    for n in 0..20 {
        for id in place.take(&mut handles[n % 2], 1).await {
            assert!(ids.insert(id));
        }
    }
    assert_eq!(ids.len(), 20);
}

pub async fn starts_where_asked(place: Place) {
    place.publish("u", "0").await;
    let one = place.publish("u", "1").await;
    place.publish("u", "2").await;
    let (mut new, mut after) = (place.spec("new"), place.spec("after"));
    (new.deliver, after.deliver) = (Deliver::New, Deliver::After(one));
    let (mut new, mut after) = (place.consume(new).await, place.consume(after).await);
    let mut all = place.consume(place.spec("all")).await;
    place.publish("u", "3").await;
    assert_eq!(place.take(&mut new, 1).await, ["3"]);
    assert_eq!(place.take(&mut after, 2).await, ["2", "3"]);
    assert_eq!(place.take(&mut all, 4).await, ["0", "1", "2", "3"]);
    drop(all);
    let mut again = place.spec("all");
    again.deliver = Deliver::After(0);
    let mut again = place.consume(again).await;
    assert!(is_silent(&mut again, millis(300)).await, "where to start counts on creation only");
}

pub async fn stops_at_the_limit_of_unanswered(place: Place) {
    let mut spec = place.spec("limit");
    spec.max_ack_pending = 3;
    let mut consumer = place.consume(spec.clone()).await;
    for n in 0..5 {
        place.publish("u", &n.to_string()).await;
    }
    let mut held = Vec::new();
    while held.len() < 3 {
        held.extend(consumer.next_batch(10, millis(5000)).await.unwrap());
    }
    assert_eq!(held.len(), 3);
    assert!(is_silent(&mut consumer, millis(400)).await);
    held.remove(0).ack().await.unwrap();
    let fourth = consumer.next().await.unwrap();
    assert_eq!(place.id(&fourth), "3");
    assert!(is_silent(&mut consumer, millis(300)).await);
    spec.max_ack_pending = 4;
    let _updated = place.consume(spec).await;
    assert_eq!(place.id(&consumer.next().await.unwrap()), "4", "a raised limit counts at once");
}

pub async fn a_batch_waits_only_for_the_first(place: Place) {
    let mut consumer = place.consume(place.spec("batch")).await;
    let began = Instant::now();
    assert!(is_silent(&mut consumer, millis(300)).await);
    assert!(began.elapsed() >= millis(290));
    place.publish("u", "0").await;
    let began = Instant::now();
    assert_eq!(consumer.next_batch(10, millis(20_000)).await.unwrap().len(), 1);
    assert!(began.elapsed() < millis(10_000));
    let publishing = async {
        tokio::time::sleep(millis(200)).await;
        place.publish("u", "1").await
    };
    let (batch, _) = tokio::join!(consumer.next_batch(10, millis(20_000)), publishing);
    assert_eq!(place.id(&batch.unwrap()[0]), "1");
    for n in 2..50 {
        place.publish("u", &n.to_string()).await;
    }
    let mut next = 2;
    while next < 50 {
        let batch = consumer.next_batch(20, millis(5000)).await.unwrap();
        assert!((1..=20).contains(&batch.len()));
        for delivery in batch {
            assert_eq!(place.id(&delivery), next.to_string());
            next += 1;
        }
    }
}

pub async fn a_dropped_wait_loses_nothing(place: Place) {
    let mut consumer = place.consume(place.spec("cancel")).await;
    let mut received = Vec::new();
    for n in 0..10 {
        let cancelled = tokio::time::timeout(millis(20), consumer.next()).await;
        assert!(cancelled.is_err());
        place.publish("u", &n.to_string()).await;
        received.extend(place.take(&mut consumer, 1).await);
    }
    assert_eq!(received, (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
}

pub async fn consumers_with_wildcards_see_their_subjects(place: Place) {
    let mut spec = place.spec("wildcard");
    spec.filter = format!("argosy.event.{}.*.*.Wanted", place.shard);
    let mut consumer = place.consume(spec).await;
    for (n, kind) in ["Wanted", "Other", "Other", "Wanted"].iter().enumerate() {
        let id = format!("{}:{n}", place.shard);
        place.bus.publish(Publish::new(Stream::Events, place.event("u", kind), id, "")).await.unwrap();
    }
    assert_eq!(place.take(&mut consumer, 2).await, ["0", "3"]);
    assert!(is_silent(&mut consumer, millis(200)).await);
    let id = format!("{}:4", place.shard);
    place.bus.publish(Publish::new(Stream::Events, place.event("v", "Wanted"), id, "")).await.unwrap();
    assert_eq!(place.take(&mut consumer, 1).await, ["4"]);
}

pub async fn purged_messages_are_not_delivered(place: Place) {
    for n in 0..4 {
        place.publish(["a", "b"][n % 2], &n.to_string()).await;
    }
    let mut spec = place.spec("purged");
    spec.ack_wait = ACK_WAIT;
    let mut consumer = place.consume(spec).await;
    let first = consumer.next().await.unwrap();
    assert_eq!(place.id(&first), "0");
    place.bus.purge(Stream::Events, &place.event("a", "T"), first.message.sequence + 1_000_000).await.unwrap();
    assert_eq!(place.take(&mut consumer, 2).await, ["1", "3"]);
    assert!(is_silent(&mut consumer, PAST_ACK_WAIT).await, "not again either");
    first.ack().await.expect("an answer for a purged message is fine");
}

pub async fn consumers_conflict_and_are_forgotten(place: Place) {
    let spec = place.spec("forget");
    let mut consumer = place.consume(spec.clone()).await;
    let error = place.bus.consume(ConsumerSpec { filter: place.event("u", "T"), ..spec.clone() }).await.err().unwrap();
    assert!(matches!(&error, Error::ConsumerConflict { .. }), "{error:?}");
    assert_eq!(error.class(), Class::Permanent);
    let bad = ConsumerSpec { name: "dots.and spaces".into(), ..spec.clone() };
    assert_eq!(place.bus.consume(bad).await.err().unwrap().class(), Class::Bug);
    let forgetting = async {
        tokio::time::sleep(millis(300)).await;
        place.bus.forget(Stream::Events, &spec.name).await.unwrap();
    };
    let (gone, ()) = tokio::join!(consumer.next(), forgetting);
    let gone = gone.expect_err("a removed consumer gives nothing");
    assert!(matches!(&gone, Error::ConsumerGone { name, .. } if *name == spec.name), "{gone:?}");
    place.bus.forget(Stream::Events, &spec.name).await.expect("twice is fine");
    place.publish("u", "0").await;
    let mut anew = place.consume(spec).await;
    assert_eq!(place.take(&mut anew, 1).await, ["0"]);
}

pub async fn many_publishers_and_consumers_at_once(place: Place) {
    let mut publishers = tokio::task::JoinSet::new();
    for publisher in 0..8 {
        let place = place.clone();
        publishers.spawn(async move {
            for n in 0..40 {
                place.publish(&format!("u{publisher}"), &format!("{publisher}:{n}")).await;
            }
        });
    }
    let mut readers = tokio::task::JoinSet::new();
    for reader in 0..3 {
        let place = place.clone();
        readers.spawn(async move {
            let mut consumer = place.consume(place.spec(&format!("reader{reader}"))).await;
            let mut next = [0; 8];
            for id in place.take(&mut consumer, 320).await {
                let (publisher, n) = id.split_once(':').expect("two numbers");
                let publisher: usize = publisher.parse().unwrap();
                assert_eq!(n.parse::<u32>().unwrap(), next[publisher]);
                next[publisher] += 1;
            }
            assert_eq!(next, [40; 8]);
        });
    }
    publishers.join_all().await;
    readers.join_all().await;
}

pub async fn a_closed_handle_gives_back_what_it_had(place: Place) {
    let spec = place.spec("closed");
    let mut first = place.consume(spec.clone()).await;
    for id in ["0", "1", "2", "3"] {
        place.publish("u", id).await;
    }
    // One request for many, of which one is taken.
    let batch = first.next_batch(1, millis(2000)).await.unwrap();
    assert_eq!(place.id(&batch[0]), "0");
    first.close().await.unwrap();
    let mut second = place.consume(spec).await;
    place.publish("u", "4").await;
    // Far less than the 30 s after which it would come again by itself.
    let taken = tokio::time::timeout(millis(10_000), place.take(&mut second, 4)).await.expect("nothing is kept back");
    let mut sorted = taken.clone();
    sorted.sort();
    assert_eq!(sorted, ["1", "2", "3", "4"], "{taken:?}");
}

pub async fn says_how_far_a_consumer_has_settled(place: Place) {
    let spec = place.spec("settled");
    let name = spec.name.clone();
    let settled = || async { place.bus.settled(Stream::Events, &name).await.unwrap() };
    assert_eq!(settled().await, 0, "there is no such consumer");
    let mut consumer = place.consume(spec).await;
    let mut sequences = Vec::new();
    let mut deliveries = Vec::new();
    for id in ["0", "1", "2"] {
        sequences.push(place.publish("u", id).await);
        deliveries.push(consumer.next().await.unwrap());
    }
    assert!(settled().await < sequences[0]);
    deliveries.remove(1).ack().await.unwrap();
    deliveries.remove(0).ack().await.unwrap();
    // On NATS nobody waits for an acknowledgement to arrive.
    while settled().await < sequences[1] {
        tokio::time::sleep(millis(20)).await;
    }
    assert!(settled().await < sequences[2], "one has no answer");
    deliveries.remove(0).ack().await.unwrap();
    while settled().await < sequences[2] {
        tokio::time::sleep(millis(20)).await;
    }
}

pub async fn says_how_much_a_consumer_has_to_do(place: Place) {
    let spec = place.spec("lag");
    let name = spec.name.clone();
    let lag = || async { place.bus.lag(Stream::Events, &name).await.unwrap() };
    assert_eq!(lag().await, None, "there is no such consumer");
    let mut narrow = place.spec("lag-narrow");
    narrow.filter = place.event("b", "T");
    let narrow_name = narrow.name.clone();
    let _narrow = place.consume(narrow).await;
    let mut consumer = place.consume(spec).await;
    assert_eq!(lag().await, Some(Lag { pending: 0, unacknowledged: 0 }));
    for n in 0..6 {
        place.publish(["a", "b"][n % 2], &n.to_string()).await;
    }
    // On NATS it is counted a moment later.
    let until = async |pending: u64, unacknowledged: u64| {
        while lag().await != Some(Lag { pending, unacknowledged }) {
            tokio::time::sleep(millis(20)).await;
        }
    };
    until(6, 0).await;
    let first = consumer.next().await.unwrap();
    let second = consumer.next().await.unwrap();
    until(4, 2).await;
    first.nak(millis(60_000)).await.unwrap();
    second.ack().await.unwrap();
    until(4, 1).await;
    assert_eq!(place.take(&mut consumer, 3).await, ["2", "3", "4"]);
    until(1, 1).await;
    let narrow = place.bus.lag(Stream::Events, &narrow_name).await.unwrap();
    assert_eq!(narrow, Some(Lag { pending: 3, unacknowledged: 0 }), "only what it is to see");
    place.bus.purge(Stream::Events, &place.events(), u64::MAX - 1).await.unwrap();
    until(0, 0).await;
    place.bus.forget(Stream::Events, &name).await.unwrap();
    assert_eq!(lag().await, None);
}
