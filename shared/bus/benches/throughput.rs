//! Messages per second through the in-process bus: 512 bytes, published, consumed and acknowledged.

use std::time::Duration;

use argosy_bus::memory::{Memory, Options, Sync};
use argosy_bus::{Bus, ConsumerSpec, Publish, Stream, subject};
use divan::Bencher;
use divan::counter::ItemsCount;
use tokio::runtime::Runtime;

const MESSAGES: usize = 20_000;

fn main() {
    divan::main();
}

fn messages(round: usize) -> Vec<Publish> {
    let payload = bytes::Bytes::from(vec![7; 512]);
    let message = |n: usize| {
        let uid = format!("5f0d6c1e-0000-4c1b-9c6e-{:012}", n % 100);
        let subject = subject::Observed { shard: 3, uid }.to_string();
        Publish::new(Stream::Observed, subject, format!("{round}:{n}:0"), payload.clone())
    };
    (0..MESSAGES).map(message).collect()
}

async fn round_trip(bus: &Memory, messages: Vec<Publish>, together: bool) {
    let filter = subject::Observed::of_shard(3);
    let mut spec = ConsumerSpec::new(Stream::Observed, "bench", &filter);
    spec.max_ack_pending = MESSAGES;
    let mut consumer = bus.consume(spec).await.expect("a consumer");
    if together {
        bus.publish_all(messages).await.expect("stored");
    } else {
        for message in messages {
            bus.publish(message).await.expect("stored");
        }
    }
    let (mut left, mut last) = (MESSAGES, 0);
    while left > 0 {
        let batch = consumer.next_batch(256, Duration::from_secs(1)).await.expect("a batch");
        left -= batch.len();
        for delivery in batch {
            last = delivery.message.sequence;
            delivery.ack().await.expect("an ack");
        }
    }
    bus.purge(Stream::Observed, &filter, last).await.expect("purged");
}

#[divan::bench(sample_count = 20)]
fn memory(bencher: Bencher) {
    let runtime = Runtime::new().expect("a runtime");
    let bus = Memory::new();
    let mut round = 0;
    bencher
        .counter(ItemsCount::new(MESSAGES))
        .with_inputs(|| {
            round += 1;
            messages(round)
        })
        .bench_local_values(|messages| runtime.block_on(round_trip(&bus, messages, false)));
}

#[divan::bench(sample_count = 10)]
fn directory(bencher: Bencher) {
    let runtime = Runtime::new().expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options { sync: Sync::Always, ..Options::default() };
    let bus = runtime.block_on(Memory::open(dir.path(), options)).expect("a bus");
    let mut round = 0;
    bencher
        .counter(ItemsCount::new(MESSAGES))
        .with_inputs(|| {
            round += 1;
            messages(round)
        })
        .bench_local_values(|messages| runtime.block_on(round_trip(&bus, messages, true)));
}
