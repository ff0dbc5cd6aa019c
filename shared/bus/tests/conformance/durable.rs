//! The suite on the in-process bus with a directory, and what only it has: being opened again.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use argosy_bus::memory::{Memory, Options, Sync};
use argosy_bus::{Bus, Error, Fence, Publish, Quarantined, Stream, subject};

use crate::{Place, is_silent, millis, run_all};

async fn open(dir: &Path) -> Memory {
    Memory::open(dir, Options::default()).await.expect("the bus opens")
}

fn place(bus: &Memory) -> Place {
    Place { bus: Arc::new(bus.clone()), shard: 1 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conforms() {
    let dir = tempfile::tempdir().unwrap();
    run_all(Arc::new(open(dir.path()).await)).await;
}

#[tokio::test]
async fn conforms_with_lazy_sync_after_it_was_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { sync: Sync::Interval(millis(50)), ..Options::default() };
    let bus = Memory::open(dir.path(), options.clone()).await.unwrap();
    let place = Place { bus: Arc::new(bus.clone()), shard: 99 };
    place.publish("u", "before").await;
    drop(place);
    bus.close().await;
    run_all(Arc::new(Memory::open(dir.path(), options).await.unwrap())).await;
}

#[tokio::test]
async fn everything_is_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path()).await;
    let here = place(&bus);
    let mut sequences = Vec::new();
    for n in 0..8 {
        sequences.push(here.publish(["a", "b"][n % 2], &n.to_string()).await);
    }
    let mut consumer = here.consume(here.spec("again")).await;
    assert_eq!(here.take(&mut consumer, 2).await, ["0", "1"]);
    let held = consumer.next().await.unwrap();
    assert_eq!(here.take(&mut consumer, 1).await, ["3"]);
    here.bus.purge(Stream::Events, &here.event("a", "T"), sequences[0]).await.unwrap();
    here.bus.purge(Stream::Events, &here.event("b", "T"), sequences[7]).await.unwrap();
    here.publish_command("u", "c0").await;
    here.publish_command("u", "c1").await;
    let mut commands = here.consume(here.command_spec("again")).await;
    assert_eq!(here.take(&mut commands, 1).await, ["c0"]);
    let mut forgotten = here.spec("forgotten");
    forgotten.name = "forgotten".into();
    drop(here.consume(forgotten.clone()).await);
    here.bus.forget(Stream::Events, "forgotten").await.unwrap();
    let lease = here.bus.acquire("shard-1", "a", Duration::from_secs(3600)).await.unwrap().unwrap();
    drop((held, consumer, commands));
    bus.close().await;

    let bus = open(dir.path()).await;
    let here = place(&bus);
    let left = here.bus.read(Stream::Events, &here.events(), 0, 99).await.unwrap();
    assert_eq!(
        left.iter().map(|message| message.sequence).collect::<Vec<_>>(),
        [2, 4, 6].map(|index| sequences[index])
    );
    assert_eq!(here.publish("a", "0").await, sequences[0], "ids are remembered, also of what was purged");
    let mut consumer = here.consume(here.spec("again")).await;
    let again = consumer.next().await.unwrap();
    assert_eq!((here.id(&again), again.message.deliveries), ("2".to_owned(), 2));
    again.ack().await.unwrap();
    assert_eq!(here.take(&mut consumer, 2).await, ["4", "6"]);
    assert!(is_silent(&mut consumer, millis(50)).await);
    let mut commands = here.consume(here.command_spec("again")).await;
    assert_eq!(here.take(&mut commands, 1).await, ["c1"]);
    assert_eq!(here.bus.last_sequence(Stream::Commands, &subject::Command::of_shard(1)).await.unwrap(), 0);
    forgotten.filter = here.event("other", "T");
    here.consume(forgotten).await;
    let taken =
        here.bus.acquire("shard-1", "b", Duration::from_secs(60)).await.unwrap().expect("holders die with the process");
    assert!(taken.epoch > lease.epoch);
    assert_eq!(here.publish("a", "new").await, sequences[7] + 1);
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path()).await;
    let error = Memory::open(dir.path(), Options::default()).await.err().expect("it is open");
    assert!(matches!(&error, Error::Locked { dir: locked } if locked == dir.path()), "{error:?}");
    let here = place(&bus);
    bus.close().await;
    open(dir.path()).await;
    let refused = here.bus.publish(Publish::new(Stream::Events, here.event("u", "T"), "late", "")).await;
    assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
}

#[tokio::test]
async fn damage_is_told_from_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path()).await;
    let sequences = [place(&bus).publish("u", "0").await, place(&bus).publish("u", "1").await];
    bus.close().await;
    let segment = dir.path().join("0000000000000001.log");
    let whole = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, &whole[..whole.len() - 3]).unwrap();
    let bus = open(dir.path()).await;
    assert_eq!(place(&bus).bus.last_sequence(Stream::Events, "argosy.event.>").await.unwrap(), sequences[0]);
    assert_eq!(place(&bus).publish("u", "1").await, sequences[1], "the bus goes on behind the cut");
    bus.close().await;
    let bus = open(dir.path()).await;
    assert_eq!(place(&bus).bus.last_sequence(Stream::Events, "argosy.event.>").await.unwrap(), sequences[1]);
    bus.close().await;

    let mut damaged = std::fs::read(&segment).unwrap();
    damaged[30] ^= 1;
    std::fs::write(&segment, &damaged).unwrap();
    std::fs::write(dir.path().join("0000000000000002.log"), &whole[..16]).unwrap();
    let error = Memory::open(dir.path(), Options::default()).await.err().expect("a record before the end is damaged");
    assert!(matches!(&error, Error::Corrupt { path, .. } if *path == segment), "{error:?}");
    std::fs::remove_file(&segment).unwrap();
    std::fs::write(dir.path().join("0000000000000004.log"), &whole[..16]).unwrap();
    let error = Memory::open(dir.path(), Options::default()).await.err().expect("a segment is missing");
    assert!(matches!(&error, Error::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn the_log_shrinks_when_its_messages_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { sync: Sync::Interval(Duration::from_secs(1)), ..Options::default() };
    let bus = Memory::open(dir.path(), options.clone()).await.unwrap();
    let here = place(&bus);
    let kept = here.publish("kept", "kept").await;
    let mut consumer = here.consume(here.spec("shrink")).await;
    assert_eq!(here.take(&mut consumer, 1).await, ["kept"]);
    let mut last = 0;
    for n in 0..40 {
        let message =
            |m| Publish::new(Stream::Events, here.event("gone", "T"), format!("1:{n}:{m}"), vec![7; 512 << 10]);
        last = here.bus.publish_all((0..2).map(message).collect()).await.unwrap()[1].sequence;
        here.bus.purge(Stream::Events, &here.event("gone", "T"), last).await.unwrap();
    }
    drop((here, consumer));
    bus.close().await;
    let sizes = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
    let total: u64 = sizes.sum();
    assert!(total < 24 << 20, "{total} bytes of 40 MiB");
    let bus = Memory::open(dir.path(), options).await.unwrap();
    let here = place(&bus);
    assert_eq!(here.bus.last_sequence(Stream::Events, &here.events()).await.unwrap(), kept);
    assert_eq!(
        here.publish("gone", "0:0").await,
        kept + 1,
        "ids survive the rewriting, also of what was purged before it"
    );
    let mut consumer = here.consume(here.spec("shrink")).await;
    assert!(is_silent(&mut consumer, millis(50)).await);
    assert_eq!(here.publish("kept", "next").await, last + 1, "sequences are not used again");
}

/// Wherever the log is cut by a crash, a batch is there whole or not at all.
#[tokio::test]
async fn a_torn_tail_takes_a_batch_whole() {
    let dir = tempfile::tempdir().unwrap();
    let bus = open(dir.path()).await;
    let here = place(&bus);
    let before = here.publish("u", "before").await;
    let segment = dir.path().join("0000000000000001.log");
    let start = std::fs::metadata(&segment).unwrap().len();
    let message = |n: u32| Publish::new(Stream::Events, here.event("u", "T"), format!("1:{n}"), "content");
    let batch = || (0..4).map(message).collect::<Vec<_>>();
    let acks = bus.append(batch(), Fence::new(here.events(), before)).await.unwrap();
    bus.clone().close().await;
    let whole = std::fs::read(&segment).unwrap();
    for length in (usize::try_from(start).unwrap()..=whole.len()).step_by(7).chain([whole.len() - 1, whole.len()]) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("0000000000000001.log"), &whole[..length]).unwrap();
        let bus = open(dir.path()).await;
        let found = bus.read(Stream::Events, &here.events(), 0, 99).await.unwrap();
        let is_whole = length == whole.len();
        assert_eq!(found.len(), if is_whole { 5 } else { 1 }, "cut to {length} of {}", whole.len());
        let again = bus.append(batch(), Fence::new(here.events(), before)).await.unwrap();
        assert!(again.iter().all(|ack| ack.duplicate == is_whole) && again[3].sequence == acks[3].sequence);
        bus.close().await;
    }
}

#[tokio::test]
async fn the_quarantine_is_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { sync: Sync::Interval(Duration::from_secs(1)), ..Options::default() };
    let bus = Memory::open(dir.path(), options.clone()).await.unwrap();
    let at = crate::quarantine::at;
    let entry = |n: u64| {
        let message = crate::quarantine::message(Stream::Observed, n, vec![0xff; 500_000]);
        Quarantined::workflow("u", "why", at(1)).message(&message)
    };
    bus.quarantine().put(Quarantined::workflow("v", "whole", at(0)).named("argo", "hello")).await.unwrap();
    // More than the log holds before it is written anew.
    for n in 0..60 {
        bus.quarantine().put(entry(n % 3)).await.unwrap();
    }
    assert!(bus.quarantine().remove(&entry(1).key()).await.unwrap());
    let before = bus.quarantine().list(None).await.unwrap();
    assert_eq!(before.iter().map(|entry| entry.count).collect::<Vec<_>>(), [1, 20, 20]);
    bus.close().await;
    let bus = Memory::open(dir.path(), options).await.unwrap();
    assert_eq!(bus.quarantine().list(None).await.unwrap(), before);
    assert_eq!(bus.quarantine().put(entry(2)).await.unwrap().count, 21);
}

/// Not a test of its own: what the next test kills. Publishes without end and prints what was acknowledged.
#[tokio::test]
async fn victim() {
    let Some(dir) = std::env::var_os("ARGOSY_BUS_VICTIM") else {
        return;
    };
    let here = place(&open(Path::new(&dir)).await);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let here = here.clone();
        writers.spawn(async move {
            for n in 0.. {
                let id = format!("{writer}-{n}");
                let sequence = here.publish(&format!("u{writer}"), &id).await;
                let mut out = std::io::stdout().lock();
                writeln!(out, "stored {sequence} {id}").and_then(|()| out.flush()).expect("the parent reads");
            }
        });
    }
    writers.join_all().await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for _ in 0..2 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["durable::victim", "--exact", "--nocapture"]).env("ARGOSY_BUS_VICTIM", dir.path());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let lines = out
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| line.split_once("stored ").map(|(_, rest)| rest.to_owned()));
        let seen: Vec<String> = lines.take(300).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(seen.len(), 300);
        acknowledged.extend(seen);
        let bus = open(dir.path()).await;
        let stored = bus.read(Stream::Events, "argosy.event.1.>", 0, usize::MAX).await.unwrap();
        for line in &acknowledged {
            let (sequence, id) = line.split_once(' ').unwrap();
            let sequence: u64 = sequence.parse().unwrap();
            let found = stored.iter().find(|message| message.sequence == sequence);
            assert!(found.is_some_and(|message| message.id == format!("1:{id}")), "{line} is lost");
        }
        bus.close().await;
    }
}

#[tokio::test]
async fn a_new_directory_begins_at_its_origin_and_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let open = |origin| Memory::open(dir.path(), Options { origin, ..Options::default() });
    for origin in [500, 900] {
        let bus = open(origin).await.unwrap();
        let sequence = place(&bus).publish("u", &origin.to_string()).await;
        assert_eq!(bus.origin(Stream::Events).await.unwrap(), 500, "the first origin stays");
        assert_eq!(sequence, if origin == 500 { 501 } else { 502 });
        bus.close().await;
    }
}
