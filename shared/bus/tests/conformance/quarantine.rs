//! The place for what nobody could deal with.

use std::collections::BTreeMap;

use argosy_bus::{Class, Message, Quarantined, Stream};
use jiff::Timestamp;

use crate::Place;

pub fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + secs).unwrap()
}

pub fn message(stream: Stream, sequence: u64, payload: Vec<u8>) -> Message {
    let headers = BTreeMap::from([("traceparent".to_owned(), "00-1-2-01".to_owned())]);
    let (subject, id) = ("argosy.observed.3.u".to_owned(), "u:7".to_owned());
    Message { stream, subject, sequence, id, headers, payload: payload.into(), deliveries: 5 }
}

pub async fn keeps_what_nobody_could_deal_with(place: Place) {
    let (uid, other) = (format!("5f0d-{}", place.shard), format!("other.{} ü", place.shard));
    let shelf = place.bus.quarantine();
    let of = async |uid: &str| shelf.list(Some(uid)).await.unwrap();
    assert_eq!(of(&uid).await, []);
    let whole = Quarantined::workflow(&uid, "the spec cannot be read:\n\"{\" ü", at(1)).named("argo", "hello");
    let garbage = vec![0xff, 0, 7];
    let first = whole.clone().message(&message(Stream::Observed, 7, garbage.clone()));
    let second = whole.clone().message(&message(Stream::Commands, 7, b"{}".to_vec()));
    for entry in [&whole, &first, &second] {
        assert_eq!(shelf.put(entry.clone()).await.unwrap(), *entry);
    }
    assert_eq!(of(&uid).await, [whole.clone(), first.clone(), second.clone()]);
    assert_eq!(of(&other).await, []);

    let again = Quarantined::workflow(&uid, "still", at(9)).message(&message(Stream::Observed, 7, garbage));
    let again = shelf.put(again).await.unwrap();
    assert_eq!((again.count, again.first_at, again.at, again.reason.as_str()), (2, at(1), at(9), "still"));
    assert_eq!(of(&uid).await, [whole.clone(), second.clone(), again.clone()]);
    assert_eq!(shelf.get(&first.key()).await.unwrap(), Some(again));

    let large = message(Stream::Observed, 8, vec![7; 1_000_000]);
    let large = shelf.put(Quarantined::workflow(&other, "large", at(3)).message(&large)).await.unwrap();
    let kept = large.message.clone().unwrap();
    assert_eq!((kept.payload, kept.payload_bytes), (None, 1_000_000), "told by reference");
    let fits = message(Stream::Observed, 9, vec![7; 700_000]);
    let fits = shelf.put(Quarantined::workflow(&other, "fits", at(4)).message(&fits)).await.unwrap();
    assert_eq!(of(&other).await, [large.clone(), fits.clone()]);
    let all = shelf.list(None).await.unwrap();
    let own = [&whole, &second, &large, &fits];
    assert!(own.iter().all(|entry| all.contains(entry)), "without a uid everything is listed");

    assert!(shelf.remove(&first.key()).await.unwrap());
    assert!(!shelf.remove(&first.key()).await.unwrap());
    assert_eq!(shelf.get(&first.key()).await.unwrap(), None);
    assert_eq!(of(&uid).await, [whole, second]);
    assert_eq!(shelf.put(first.clone()).await.unwrap().count, 1, "what was taken away counts anew");
    for key in ["*.OBSERVED.1", "u.>", "u", ""] {
        assert_eq!(shelf.get(key).await.unwrap_err().class(), Class::Bug, "{key}");
        assert_eq!(shelf.remove(key).await.unwrap_err().class(), Class::Bug, "{key}");
    }
    assert_eq!(shelf.put(Quarantined::workflow("u".repeat(600), "", at(0))).await.unwrap_err().class(), Class::Bug);
}

pub async fn racing_puts_are_all_counted(place: Place) {
    let uid = format!("race-{}", place.shard);
    let put = || place.bus.quarantine().put(Quarantined::workflow(&uid, "why", at(0)));
    let (a, b, c) = tokio::join!(put(), put(), put());
    let mut counts = [a, b, c].map(|entry| entry.unwrap().count);
    counts.sort_unstable();
    assert_eq!(counts, [1, 2, 3]);
}

/// For buses that take eight entries: the oldest leaves, and the newest are there.
pub async fn the_oldest_leaves_a_full_quarantine(place: Place) {
    let shelf = place.bus.quarantine();
    for n in 0..20 {
        shelf.put(Quarantined::workflow(format!("u{n}"), "why", at(n))).await.unwrap();
        if n == 12 {
            shelf.put(Quarantined::workflow("u6", "again", at(n))).await.unwrap();
        }
    }
    let left: Vec<String> = shelf.list(None).await.unwrap().into_iter().map(|entry| entry.uid).collect();
    assert_eq!(left, ["u6", "u13", "u14", "u15", "u16", "u17", "u18", "u19"]);
}
