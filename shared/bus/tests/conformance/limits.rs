//! Every bus takes and refuses the same messages; a full one drains.

use argosy_bus::{Class, Error, Fence, HEADERS_BYTES_MAX, Publish, Stream};

use crate::{Place, millis};

/// What a NATS server takes that was not told otherwise, headers included.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// The same event three ways: plainly, behind a fence, and in a batch.
async fn three_ways(place: &Place, number: usize, make: &(dyn Fn(String) -> Publish + Sync)) -> [Result<(), Error>; 3] {
    let last = async || place.bus.last_sequence(Stream::Events, &place.events()).await;
    let plain = place.bus.publish(make(format!("plain{number}"))).await.map(drop);
    let fenced = make(format!("fence{number}")).expect(place.events(), last().await.unwrap());
    let fenced = place.bus.publish(fenced).await.map(drop);
    let fence = Fence::new(place.events(), last().await.unwrap());
    let batch = vec![make(format!("batcA{number}")), make(format!("batcB{number}"))];
    [plain, fenced, place.bus.append(batch, fence).await.map(drop)]
}

/// The largest message that a bus says it takes is taken, to the byte; the next is refused by name and not by the server.
pub async fn the_largest_message_is_the_same_everywhere(place: Place) {
    let subject = place.event("u", "T");
    let sized = |bytes: usize| {
        let (subject, place) = (subject.clone(), place.clone());
        move |id: String| {
            Publish::new(Stream::Events, &subject, format!("{}:{id}", place.shard), vec![7; bytes]).header("a", "b")
        }
    };
    // Found out by asking, so that the suite knows no number of its own but the whole.
    let error = place.bus.publish(sized(MESSAGE_BYTES_MAX)("first0".into())).await.unwrap_err();
    let Error::TooLarge { size, limit, .. } = error else { panic!("{error:?}") };
    assert_eq!(limit, MESSAGE_BYTES_MAX);
    // The longest fence of the three ways counts too.
    let largest = MESSAGE_BYTES_MAX - (size - limit) - place.events().len();
    for (number, bytes) in [largest - 1, largest].into_iter().enumerate() {
        for taken in three_ways(&place, number, &sized(bytes)).await {
            taken.unwrap_or_else(|error| panic!("{bytes} of {largest}: {error:?}"));
        }
    }
    for (number, bytes) in
        [largest + place.events().len() + 1, MESSAGE_BYTES_MAX, 2 * MESSAGE_BYTES_MAX].iter().enumerate()
    {
        for refused in three_ways(&place, 2 + number, &sized(*bytes)).await {
            let error = refused.unwrap_err();
            assert!(matches!(&error, Error::TooLarge { size, limit, .. } if size > limit), "{bytes}: {error:?}");
            assert_eq!((error.class(), error.is_too_large()), (Class::Permanent, true));
        }
    }
    place.bus.purge(Stream::Events, &place.events(), u64::MAX - 1).await.unwrap();
}

pub async fn the_largest_headers_are_the_same_everywhere(place: Place) {
    let subject = place.event("u", "T");
    let sized = |bytes: usize| {
        let (subject, place) = (subject.clone(), place.clone());
        move |id: String| {
            let message = Publish::new(Stream::Events, &subject, format!("{}:{id}", place.shard), "");
            message.header("large", "x".repeat(bytes))
        }
    };
    let error = place.bus.publish(sized(HEADERS_BYTES_MAX)("first0".into())).await.unwrap_err();
    let Error::HeadersTooLarge { size, limit, .. } = error else { panic!("{error:?}") };
    let largest = HEADERS_BYTES_MAX - (size - limit) - place.events().len();
    for taken in three_ways(&place, 0, &sized(largest)).await {
        taken.unwrap_or_else(|error| panic!("{largest}: {error:?}"));
    }
    for refused in three_ways(&place, 1, &sized(largest + place.events().len() + 1)).await {
        assert!(matches!(&refused, Err(Error::HeadersTooLarge { .. })), "{refused:?}");
    }
    let stored = place.bus.read(Stream::Events, &place.events(), 0, 9).await.unwrap();
    assert!(stored.len() == 4 && stored.iter().all(|message| message.headers["large"].len() == largest));
}

/// For buses whose streams take 1 MiB: ordinary messages stop before the reserve, urgent ones at the end, and nothing that
/// makes room needs room.
pub async fn a_full_stream_drains(place: Place) {
    let message = |n: usize| {
        let subject = place.event(&format!("u{n}"), "T");
        Publish::new(Stream::Events, subject, format!("{}:{n}", place.shard), vec![7; 8 << 10])
    };
    let mut next = 0;
    let mut fill = async |urgent: bool| {
        loop {
            next += 1;
            assert!(next < 200, "it does not get full");
            let one = if urgent { message(next).urgent() } else { message(next) };
            match place.bus.publish(one).await {
                Ok(_) => {}
                Err(error) => {
                    assert!(error.is_full() && error.class() == Class::Transient, "{error:?}");
                    assert!(matches!(error, Error::Full { stream: Stream::Events }));
                    return;
                }
            }
        }
    };
    fill(false).await;
    fill(true).await;
    let filter = place.events();
    let all = place.bus.read(Stream::Events, &filter, 0, usize::MAX).await.unwrap();
    let last = all.last().unwrap().sequence;
    let batch = || (1000..1005).map(message).map(Publish::urgent).collect::<Vec<_>>();
    let refused = place.bus.append(batch(), Fence::new(&filter, last)).await.unwrap_err();
    assert!(refused.is_full(), "{refused:?}");
    assert_eq!(place.bus.read(Stream::Events, &filter, last, 9).await.unwrap(), [], "none of a batch without room");
    let lease =
        place.bus.acquire("full-1", "me", millis(30_000)).await.unwrap().expect("leases need no room in streams");
    place.bus.renew(&lease).await.unwrap();
    let mut consumer = place.consume(place.spec("full")).await;
    consumer.next().await.unwrap().ack().await.unwrap();

    // Room for some, but not beyond the reserve.
    place.bus.purge(Stream::Events, &filter, all[2].sequence).await.unwrap();
    let refused = place.bus.publish(message(2000)).await.unwrap_err();
    assert!(refused.is_full(), "{refused:?}");
    let claim = Publish::new(Stream::Events, place.event("claim", "T"), format!("{}:claim", place.shard), "mine");
    let claim = place.bus.publish(claim.urgent().expect(&filter, last)).await.expect("a claim goes into the reserve");
    // Workflow by workflow, as their logs are purged.
    for message in &all[3..] {
        place.bus.purge(Stream::Events, &message.subject, message.sequence).await.unwrap();
    }
    place.bus.publish(message(2000)).await.expect("there is room");
    let left = place.bus.read(Stream::Events, &filter, 0, 9).await.unwrap();
    assert_eq!((left.len(), left[0].sequence), (2, claim.sequence));
    let acks = place.bus.append(batch(), Fence::new(&filter, left[1].sequence)).await.expect("for the batch too");
    assert!(acks.iter().all(|ack| !ack.duplicate), "what was refused was not remembered");
}
