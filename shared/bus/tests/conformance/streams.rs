//! Storing, fencing, reading and purging.

use argosy_bus::{Class, Error, Message, Publish, Stream, subject};

use crate::{Place, millis};

pub async fn stores_what_was_published(place: Place) {
    let subject = place.event("u", "NodeStarted");
    let publish = Publish::new(Stream::Events, &subject, "headers:0:0", "content")
        .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .header("Argosy-Epoch", "7");
    let ack = place.bus.publish(publish.clone()).await.unwrap();
    assert!(!ack.duplicate && ack.sequence > 0);
    let stored = place.bus.read(Stream::Events, &subject, 0, 10).await.unwrap();
    let Publish { stream, subject, id, headers, payload, .. } = publish;
    assert_eq!(stored, [Message { stream, subject, sequence: ack.sequence, id, headers, payload, deliveries: 0 }]);
}

pub async fn a_repeated_id_is_stored_once(place: Place) {
    let first = place.publish("u", "a").await;
    let repeat = Publish::new(Stream::Events, place.event("u", "T"), format!("{}:a", place.shard), "another content");
    let ack = place.bus.publish(repeat).await.unwrap();
    assert_eq!((ack.sequence, ack.duplicate), (first, true));
    let stored = place.bus.read(Stream::Events, &place.events(), 0, 10).await.unwrap();
    assert_eq!(stored.len(), 1);
    let elsewhere = Publish::new(Stream::Commands, place.command("u"), format!("{}:a", place.shard), "");
    assert!(!place.bus.publish(elsewhere).await.unwrap().duplicate, "ids belong to a stream");
}

pub async fn a_repeat_passes_its_own_fence(place: Place) {
    let publish =
        Publish::new(Stream::Events, place.event("u", "T"), format!("{}:r", place.shard), "").expect(place.events(), 0);
    let first = place.bus.publish(publish.clone()).await.unwrap();
    let repeat = place.bus.publish(publish).await.expect("known by its id before the fence is looked at");
    assert_eq!((repeat.sequence, repeat.duplicate), (first.sequence, true));
}

pub async fn a_wrong_expectation_is_fenced(place: Place) {
    let fenced = |uid: &str, id: &str, filter: &str, last: u64| {
        let publish = Publish::new(Stream::Events, place.event(uid, "T"), format!("{}:{id}", place.shard), "");
        place.bus.publish(publish.expect(filter, last))
    };
    let shard = place.events();
    let one = fenced("u", "1", &shard, 0).await.expect("nothing is stored yet").sequence;
    let refused = fenced("v", "2", &shard, 0).await.unwrap_err();
    assert!(matches!(&refused, Error::Fenced { filter, expected: 0 } if *filter == shard), "{refused:?}");
    assert_eq!(refused.class(), Class::Permanent);
    let two = fenced("v", "2", &shard, one).await.expect("another subject of the same filter").sequence;
    assert!(fenced("u", "3", &shard, one).await.unwrap_err().is_fenced());
    let own = place.event("u", "T");
    assert!(fenced("u", "4", &own, two).await.unwrap_err().is_fenced(), "only its own subject counts");
    let four = fenced("u", "4", &own, one).await.expect("the newest of its own subject").sequence;
    let workflow = subject::Event::of_workflow(place.shard, "argo", "v");
    fenced("v", "5", &workflow, two).await.expect("the newest of the workflow");
    assert_eq!(place.bus.last_sequence(Stream::Events, &own).await.unwrap(), four);
}

pub async fn one_of_many_racing_writers_wins(place: Place) {
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..10 {
        let publish = Publish::new(
            Stream::Events,
            place.event(&format!("u{writer}"), "T"),
            format!("{}:{writer}", place.shard),
            "",
        );
        let (bus, publish) = (place.bus.clone(), publish.expect(place.events(), 0));
        writers.spawn(async move { bus.publish(publish).await });
    }
    let results = writers.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().flat_map(|result| result.as_ref().err()).all(Error::is_fenced));
    assert_eq!(place.bus.read(Stream::Events, &place.events(), 0, 99).await.unwrap().len(), 1);
}

pub async fn pipelined_messages_stop_at_a_fence(place: Place) {
    let message =
        |id: u32| Publish::new(Stream::Events, place.event("u", "T"), format!("{}:{id}", place.shard), id.to_string());
    let wrong = message(2).expect(place.events(), 0);
    let result = place.bus.publish_all(vec![message(0), message(1), wrong, message(3)]).await;
    assert!(result.unwrap_err().is_fenced());
    let stored = place.bus.read(Stream::Events, &place.events(), 0, 9).await.unwrap();
    let payloads: Vec<_> = stored.iter().map(|message| message.payload.as_ref()).collect();
    assert_eq!(payloads, [b"0", b"1"]);
    let acks = place.bus.publish_all(vec![message(1), message(3)]).await.unwrap();
    assert_eq!(acks.iter().map(|ack| ack.duplicate).collect::<Vec<_>>(), [true, false]);
    assert_eq!(acks[0].sequence, stored[1].sequence);
}

pub async fn a_long_pipeline_keeps_its_order(place: Place) {
    let messages = (0..1500).map(|n| {
        let subject = place.event(&format!("u{}", n % 7), "T");
        Publish::new(Stream::Events, subject, format!("{}:{n}", place.shard), n.to_string())
    });
    let acks = place.bus.publish_all(messages.collect()).await.unwrap();
    assert!(acks.is_sorted_by(|one, next| one.sequence < next.sequence));
    let stored = place.bus.read(Stream::Events, &place.events(), 0, usize::MAX).await.unwrap();
    assert_eq!(stored.len(), 1500);
    assert!(stored.iter().zip(&acks).enumerate().all(|(n, (message, ack))| {
        message.sequence == ack.sequence && message.payload == n.to_string().as_bytes()
    }));
}

pub async fn reads_from_a_sequence(place: Place) {
    let mut sequences = Vec::new();
    for n in 0..9 {
        sequences.push(place.publish(["a", "b", "c"][n % 3], &n.to_string()).await);
    }
    let read = |filter: String, after: u64, limit: usize| {
        let bus = place.bus.clone();
        async move {
            let found = bus.read(Stream::Events, &filter, after, limit).await.unwrap();
            found.into_iter().map(|message| message.sequence).collect::<Vec<_>>()
        }
    };
    let at = |indices: &[usize]| indices.iter().map(|index| sequences[*index]).collect::<Vec<_>>();
    assert_eq!(read(place.events(), 0, 99).await, sequences);
    assert_eq!(read(place.events(), sequences[3], 3).await, at(&[4, 5, 6]));
    assert_eq!(read(place.event("b", "T"), 0, 99).await, at(&[1, 4, 7]));
    assert_eq!(read(place.event("b", "T"), sequences[1], 1).await, at(&[4]));
    assert_eq!(read(subject::Event::of_workflow(place.shard, "argo", "c"), sequences[2], 9).await, at(&[5, 8]));
    assert_eq!(read(format!("argosy.event.{}.*.a.*", place.shard), 0, 9).await, at(&[0, 3, 6]));
    assert_eq!(read(place.events(), sequences[8], 9).await, at(&[]));
    assert_eq!(read(place.event("none", "T"), 0, 9).await, at(&[]));
    assert_eq!(read(place.events(), 0, 0).await, at(&[]));
    assert_eq!(place.bus.last_sequence(Stream::Events, &place.events()).await.unwrap(), sequences[8]);
    assert_eq!(place.bus.last_sequence(Stream::Events, &place.event("a", "T")).await.unwrap(), sequences[6]);
    assert_eq!(place.bus.last_sequence(Stream::Events, &place.event("none", "T")).await.unwrap(), 0);
}

pub async fn purges_one_subject_up_to_a_sequence(place: Place) {
    let mut sequences = Vec::new();
    for n in 0..6 {
        sequences.push(place.publish(["a", "b"][n % 2], &n.to_string()).await);
    }
    let left = || async {
        let found = place.bus.read(Stream::Events, &place.events(), 0, 99).await.unwrap();
        found.into_iter().map(|message| message.sequence).collect::<Vec<_>>()
    };
    place.bus.purge(Stream::Events, &place.event("a", "T"), sequences[2]).await.unwrap();
    assert_eq!(left().await, [1, 3, 4, 5].map(|index| sequences[index]));
    let workflow = subject::Event::of_workflow(place.shard, "argo", "b");
    place.bus.purge(Stream::Events, &workflow, sequences[5]).await.unwrap();
    assert_eq!(left().await, [sequences[4]]);
    assert_eq!(
        place.bus.last_sequence(Stream::Events, &place.events()).await.unwrap(),
        sequences[4],
        "what is purged no longer counts"
    );
    assert_eq!(place.bus.last_sequence(Stream::Events, &workflow).await.unwrap(), 0);
    place.bus.purge(Stream::Events, &workflow, u64::MAX - 1).await.expect("nothing to purge is fine");
    assert!(place.publish("b", "6").await > sequences[5], "sequences are not used again");
}

pub async fn carries_big_payloads_and_names_too_big_ones(place: Place) {
    let big: Vec<u8> = (0..900_000_u32).map(|n| (n % 251) as u8).collect();
    let publish = Publish::new(Stream::Events, place.event("u", "T"), format!("{}:big", place.shard), big.clone());
    place.bus.publish(publish.clone()).await.unwrap();
    let stored = place.bus.read(Stream::Events, &place.events(), 0, 2).await.unwrap();
    assert!(stored.len() == 1 && stored[0].payload == big);
    let mut too_big = publish;
    (too_big.payload, too_big.id) = (vec![0; 5 << 20].into(), format!("{}:bigger", place.shard));
    let error = place.bus.publish(too_big).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { size, limit, .. } if size >= 5 << 20 && limit < size), "{error:?}");
    assert_eq!(error.class(), Class::Permanent);
    assert!(error.to_string().contains("524") && error.to_string().contains("1048576"), "{error}");
    place.publish("u", "after").await;
}

pub async fn refuses_bad_names(place: Place) {
    let good = Publish::new(Stream::Events, place.event("u", "T"), "bad-names", "");
    let with = |change: fn(&mut Publish)| {
        let mut publish = good.clone();
        change(&mut publish);
        publish
    };
    for publish in [
        with(|publish| publish.subject = "argosy.event.*.a".into()),
        with(|publish| publish.subject = "argosy.observed.1.a".into()),
        with(|publish| publish.subject = "argosy.event.1..a".into()),
        with(|publish| publish.id.clear()),
        with(|publish| publish.id = "two\nlines".into()),
        with(|publish| drop(publish.headers.insert("Nats-Msg-Id".into(), "x".into()))),
        with(|publish| drop(publish.headers.insert("a".into(), "two\r\nlines".into()))),
        with(|publish| drop(publish.headers.insert("a b".into(), "x".into()))),
        good.clone().expect("argosy.event.0.other", 0),
        good.clone().expect("argosy.observed.>", 0),
    ] {
        let error = place.bus.publish(publish.clone()).await.expect_err("a bad message");
        assert_eq!(error.class(), Class::Bug, "{publish:?}: {error}");
    }
    assert_eq!(place.bus.read(Stream::Events, "argosy.command.>", 0, 1).await.unwrap_err().class(), Class::Bug);
    assert_eq!(place.bus.last_sequence(Stream::Events, &place.events()).await.unwrap(), 0);
}

pub async fn finds_what_is_older_than_an_age(place: Place) {
    let older = |ms| {
        let (bus, filter) = (place.bus.clone(), place.events());
        async move { bus.older_than(Stream::Events, &filter, millis(ms)).await.unwrap() }
    };
    assert_eq!((older(0).await, older(60_000).await), (0, 0), "nothing is stored");
    place.publish("u", "0").await;
    let second = place.publish("v", "1").await;
    tokio::time::sleep(millis(1500)).await;
    let third = place.publish("u", "2").await;
    let found = older(1000).await;
    assert!(found >= second && found < third, "{found} is not between {second} and {third}");
    assert_eq!(older(60_000).await.max(second - 1), second - 1, "none is that old");
    tokio::time::sleep(millis(50)).await;
    assert_eq!(older(0).await, third);
}

pub async fn lists_the_subjects_that_have_messages(place: Place) {
    let list = || async { place.bus.subjects(Stream::Events, &place.events()).await.unwrap() };
    assert_eq!(list().await, Vec::<String>::new());
    place.publish("u", "0").await;
    let last = place.publish("u", "1").await;
    place.publish("a.b", "2").await;
    assert_eq!(list().await, [place.event("a.b", "T"), place.event("u", "T")]);
    place.bus.purge(Stream::Events, &place.event("u", "T"), last).await.unwrap();
    assert_eq!(list().await, [place.event("a.b", "T")]);
}
