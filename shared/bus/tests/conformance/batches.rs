//! Batches behind a fence: whole or not at all, and never twice.

use argosy_bus::{Ack, BATCH_MESSAGES_MAX, Class, Error, Fence, Publish, Stream, batches, subject};

use crate::Place;

/// An event of the shard whose payload is its id.
fn event(place: &Place, uid: &str, id: &str) -> Publish {
    let id = format!("{}:{id}", place.shard);
    Publish::new(Stream::Events, place.event(uid, "T"), &id, id.clone())
}

fn batch(place: &Place, ids: &[&str]) -> Vec<Publish> {
    // Several subjects, as a scheduler's batches have them.
    ids.iter().enumerate().map(|(n, id)| event(place, ["u", "v", "w"][n % 3], id)).collect()
}

/// Ids of the shard's events without its mark, in order.
async fn stored(place: &Place) -> Vec<String> {
    let found = place.bus.read(Stream::Events, &place.events(), 0, usize::MAX).await.unwrap();
    let start = format!("{}:", place.shard);
    found.iter().map(|message| message.id.strip_prefix(&start).expect("of this shard").to_owned()).collect()
}

async fn append(place: &Place, ids: &[&str], last: u64) -> Result<Vec<Ack>, Error> {
    place.bus.append(batch(place, ids), Fence::new(place.events(), last)).await
}

fn told(acks: &[Ack]) -> Vec<bool> {
    acks.iter().map(|ack| ack.duplicate).collect()
}

pub async fn a_batch_is_stored_whole_behind_its_fence(place: Place) {
    let fence = Fence::new(place.events(), 0);
    assert_eq!(place.bus.append(Vec::new(), fence.clone()).await.unwrap(), []);
    let first = place.bus.append(batch(&place, &["0", "1", "2", "3"]), fence.clone()).await.unwrap();
    let second = place.bus.append(batch(&place, &["4"]), fence.after(&first)).await.unwrap();
    let third = place.bus.append(batch(&place, &["5", "6"]), fence.after(&first).after(&second)).await.unwrap();
    let acks = [first, second, third].concat();
    assert_eq!(told(&acks), [false; 7]);
    let found = place.bus.read(Stream::Events, &place.events(), 0, 99).await.unwrap();
    assert_eq!(stored(&place).await, ["0", "1", "2", "3", "4", "5", "6"]);
    assert!(found.iter().zip(&acks).all(|(message, ack)| message.sequence == ack.sequence));
    assert!(found[0].headers.is_empty() && found[3].payload == found[3].id.as_bytes());
    let mut consumer = place.consume(place.spec("batches")).await;
    assert_eq!(place.take(&mut consumer, 7).await, ["0", "1", "2", "3", "4", "5", "6"]);
}

pub async fn a_refused_batch_leaves_nothing(place: Place) {
    let first = append(&place, &["0", "1"], 0).await.unwrap();
    let claim = place.publish("claim", "claim").await;
    for last in [0, first[0].sequence, first[1].sequence, claim + 1] {
        let refused = append(&place, &["2", "3", "4"], last).await.unwrap_err();
        assert!(matches!(&refused, Error::Fenced { expected, .. } if *expected == last), "{refused:?}");
        let refused = append(&place, &["2"], last).await.unwrap_err();
        assert!(refused.is_fenced(), "a batch of one: {refused:?}");
    }
    assert_eq!(stored(&place).await, ["0", "1", "claim"]);
    let mut last_too_large = batch(&place, &["2", "3", "4"]);
    last_too_large[2].payload = vec![0; 2 << 20].into();
    let refused = place.bus.append(last_too_large, Fence::new(place.events(), claim)).await.unwrap_err();
    assert!(refused.is_too_large() && refused.class() == Class::Permanent, "{refused:?}");
    assert_eq!(stored(&place).await, ["0", "1", "claim"]);
    append(&place, &["2", "3", "4"], claim).await.expect("what was refused may be tried again");
    assert_eq!(stored(&place).await, ["0", "1", "claim", "2", "3", "4"]);
}

/// As after an answer that was lost: with the fence as it was, or with one read anew.
pub async fn a_repeated_batch_is_stored_once(place: Place) {
    let before = place.publish("u", "before").await;
    let ids = ["0", "1", "2"];
    let first = append(&place, &ids, before).await.unwrap();
    let expected: Vec<(u64, bool)> = first.iter().map(|ack| (ack.sequence, true)).collect();
    let last = place.bus.last_sequence(Stream::Events, &place.events()).await.unwrap();
    for fence in [before, last] {
        let repeat = append(&place, &ids, fence).await.unwrap();
        assert_eq!(repeat.iter().map(|ack| (ack.sequence, ack.duplicate)).collect::<Vec<_>>(), expected);
    }
    let longer = append(&place, &["0", "1", "2", "3"], before).await.expect("more has come meanwhile");
    assert_eq!(told(&longer), [true, true, true, false]);
    let other = place.publish("u", "other").await;
    let repeat = append(&place, &ids, before).await.expect("all of it is stored, whoever wrote since");
    assert_eq!(told(&repeat), [true; 3]);
    assert!(append(&place, &["0", "1", "2", "4"], before).await.unwrap_err().is_fenced());
    let fence = Fence::new(place.events(), before).after(&repeat);
    assert_eq!(fence.last, first[2].sequence);
    assert_eq!(append(&place, &["4"], other).await.map(|acks| told(&acks)).unwrap(), [false]);
    assert_eq!(stored(&place).await, ["before", "0", "1", "2", "3", "other", "4"]);
}

/// As in a replay by a new owner, whose predecessor has stored some of it in batches of another cut.
pub async fn known_ids_in_a_batch_are_left_out(place: Place) {
    let known = [place.publish("v", "1").await, place.publish("x", "3").await];
    let claim = place.publish("claim", "claim").await;
    let acks = append(&place, &["0", "1", "2", "3", "4"], claim).await.unwrap();
    assert_eq!(told(&acks), [false, true, false, true, false]);
    assert_eq!(acks[1].sequence, known[0]);
    assert_eq!(stored(&place).await, ["1", "3", "claim", "0", "2", "4"]);
    let all_known = append(&place, &["1", "0"], acks[4].sequence).await.unwrap();
    assert_eq!(told(&all_known), [true; 2]);
    assert_eq!(told(&append(&place, &["3"], acks[4].sequence).await.unwrap()), [true]);
    // Ids are remembered also of what was purged.
    place.bus.purge(Stream::Events, &place.event("claim", "T"), claim).await.unwrap();
    let again = append(&place, &["claim", "5"], acks[4].sequence).await.unwrap();
    assert_eq!(told(&again), [true, false]);
    assert_eq!(stored(&place).await, ["1", "3", "0", "2", "4", "5"]);
    let fenced = append(&place, &["1", "6", "7"], claim).await.unwrap_err();
    assert!(fenced.is_fenced(), "what is new in it is fenced all the same: {fenced:?}");
}

pub async fn one_of_many_racing_batches_wins(place: Place) {
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let place = place.clone();
        writers.spawn(async move {
            let ids: Vec<String> = (0..9).map(|n| format!("{writer}-{n}")).collect();
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            append(&place, &ids, 0).await
        });
    }
    // Others write to the stream meanwhile, in front of and behind it.
    let noise: Vec<Publish> = (0..200)
        .map(|n| {
            let subject = subject::Event {
                shard: 20_000 + place.shard,
                namespace: "argo".into(),
                uid: "noise".into(),
                kind: "T".into(),
            };
            Publish::new(Stream::Events, subject.to_string(), format!("noise:{}:{n}", place.shard), "")
        })
        .collect();
    let (results, noise) = tokio::join!(writers.join_all(), place.bus.publish_all(noise));
    noise.unwrap();
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert!(won.len() == 1 && lost.iter().flat_map(|result| result.as_ref().err()).all(Error::is_fenced), "{lost:?}");
    let acks = won.into_iter().flatten().next().unwrap();
    assert!(acks.windows(2).all(|pair| pair[0].sequence + 1 == pair[1].sequence), "nothing comes between: {acks:?}");
    let stored = stored(&place).await;
    let winner = stored[0].split('-').next().unwrap();
    assert_eq!(stored, (0..9).map(|n| format!("{winner}-{n}")).collect::<Vec<_>>());
}

pub async fn readers_see_a_batch_whole(place: Place) {
    let writing = async {
        let mut fence = Fence::new(place.events(), 0);
        for n in 0..25 {
            let ids: Vec<String> = (0..10).map(|m| format!("{n}-{m}")).collect();
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let acks = place.bus.append(batch(&place, &ids), fence.clone()).await.unwrap();
            fence = fence.after(&acks);
        }
    };
    let reading = async {
        let mut seen = 0;
        while seen < 250 {
            seen = stored(&place).await.len();
            assert_eq!(seen % 10, 0, "half a batch is seen");
            tokio::time::sleep(crate::millis(1)).await;
        }
    };
    tokio::join!(writing, reading);
}

pub async fn too_large_a_batch_is_named_and_can_be_cut(place: Place) {
    let messages: Vec<Publish> = (0..2500).map(|n| event(&place, &format!("u{}", n % 7), &n.to_string())).collect();
    let fence = Fence::new(place.events(), 0);
    let refused = place.bus.append(messages.clone(), fence.clone()).await.unwrap_err();
    assert!(matches!(&refused, Error::BatchTooLarge { messages: 2500, .. }), "{refused:?}");
    assert!(refused.is_too_large() && refused.to_string().contains("1000 messages"), "{refused}");
    let heavy: Vec<Publish> = (0..10)
        .map(|n| Publish { payload: vec![7; 900_000].into(), ..event(&place, "heavy", &format!("heavy-{n}")) })
        .collect();
    assert!(matches!(place.bus.append(heavy.clone(), fence.clone()).await, Err(Error::BatchTooLarge { .. })));
    assert_eq!(stored(&place).await.len(), 0);
    let mut fence = fence;
    let parts = [batches(messages), batches(heavy)].concat();
    assert!(parts.len() == 5 && parts[0].len() == BATCH_MESSAGES_MAX, "{}", parts.len());
    for part in parts {
        let acks = place.bus.append(part, fence.clone()).await.unwrap();
        fence = fence.after(&acks);
    }
    let expected = (0..2500).map(|n| n.to_string()).chain((0..10).map(|n| format!("heavy-{n}")));
    assert_eq!(stored(&place).await, expected.collect::<Vec<_>>());
}

pub async fn refuses_bad_batches(place: Place) {
    let good = || batch(&place, &["0", "1"]);
    let with = |change: &dyn Fn(&mut Vec<Publish>)| {
        let mut batch = good();
        change(&mut batch);
        batch
    };
    let fence = Fence::new(place.events(), 0);
    let command = Publish::new(Stream::Commands, place.command("u"), "bad-batches", "");
    let elsewhere = subject::Event { shard: 30_000, namespace: "argo".into(), uid: "u".into(), kind: "T".into() };
    for batch in [
        with(&|batch| batch[1].id = batch[0].id.clone()),
        with(&|batch| batch[1].id.clear()),
        with(&|batch| batch[1].subject = elsewhere.to_string()),
        with(&|batch| batch[1] = batch[1].clone().expect(place.events(), 0)),
        with(&|batch| batch[1] = command.clone()),
        with(&|batch| batch[1] = batch[1].clone().header("Nats-Batch-Id", "x")),
    ] {
        let error = place.bus.append(batch.clone(), fence.clone()).await.expect_err("a bad batch");
        assert_eq!(error.class(), Class::Bug, "{batch:?}: {error}");
    }
    let error = place.bus.append(good(), Fence::new("argosy.observed.>", 0)).await.unwrap_err();
    assert_eq!(error.class(), Class::Bug);
    assert_eq!(stored(&place).await, Vec::<String>::new());
    place.bus.append(good(), fence).await.unwrap();
}
