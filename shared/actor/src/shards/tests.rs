use std::collections::BTreeSet;

use argosy_bus::{Bus as _, memory::Memory};
use argosy_telemetry::Health;
use parking_lot::Mutex;

use super::*;
use crate::Owned;

const SHARDS: u16 = 16;

/// What all replicas do: who works on which shard, and what went wrong.
#[derive(Default)]
struct World {
    working: Mutex<BTreeMap<u16, String>>,
    doubled: Mutex<Vec<String>>,
}

/// A replica of a role whose work takes `finish` to end after it was asked to leave.
struct Replica {
    health: Health,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<Result<(), Failure>>,
}

fn start(bus: &Arc<Memory>, world: &Arc<World>, name: &str, finish: Duration) -> Replica {
    let host = Host::new(bus.clone(), name, SHARDS);
    let (world, name, shutdown) = (Arc::clone(world), name.to_owned(), CancellationToken::new());
    let work: Work = Arc::new(move |owned: Owned| {
        let (world, name) = (Arc::clone(&world), name.clone());
        Box::pin(async move {
            if let Some(other) = world.working.lock().insert(owned.shard, name.clone()) {
                world.doubled.lock().push(format!("{name} took {} from {other}", owned.shard));
            }
            // Also when it is dropped.
            let _gone = Gone(world, owned.shard, name);
            tokio::select! {
                biased;
                () = owned.stop.cancelled() => {}
                () = async { owned.leave.cancelled().await; tokio::time::sleep(finish).await } => {}
            }
            Ok(())
        })
    });
    let (stop, health) = (shutdown.clone(), host.health.clone());
    let task = tokio::spawn(async move { own_shards(&host, "role", &Settings::default(), stop, work).await });
    Replica { health, shutdown, task }
}

struct Gone(Arc<World>, u16, String);

impl Drop for Gone {
    fn drop(&mut self) {
        let mut working = self.0.working.lock();
        if working.get(&self.1) == Some(&self.2) {
            working.remove(&self.1);
        }
    }
}

impl World {
    fn counts(&self) -> Vec<usize> {
        let working = self.working.lock();
        let names: BTreeSet<&String> = working.values().collect();
        names.into_iter().map(|name| working.values().filter(|other| *other == name).count()).collect()
    }

    /// How long it takes until shards are spread like this.
    async fn until(&self, counts: &[usize]) -> Duration {
        let since = Instant::now();
        while self.counts() != counts {
            assert!(since.elapsed() < Duration::from_secs(60), "{:?} instead of {counts:?}", self.counts());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        since.elapsed()
    }
}

#[test]
fn shares_are_even_and_complete() {
    for shards in [1, 2, 4, 16, 17] {
        for members in 1..20 {
            let shares: Vec<Share> = (0..members).map(|rank| share(shards, members, rank)).collect();
            let counts: Vec<usize> = shares.iter().map(|share| share.count).collect();
            assert_eq!(counts.iter().sum::<usize>(), usize::from(shards));
            assert!(counts.iter().max().zip(counts.iter().min()).is_some_and(|(most, least)| most - least <= 1));
            for pair in shares.windows(2) {
                assert_eq!(usize::from(pair[0].from) + pair[0].count, usize::from(pair[1].from));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_gets_its_share_within_seconds_and_nothing_is_owned_twice() {
    let (bus, world) = (Arc::new(Memory::new()), Arc::new(World::default()));
    let a = start(&bus, &world, "a", Duration::from_millis(300));
    assert!(world.until(&[16]).await < Duration::from_secs(1), "one alone waits for nobody");
    let b = start(&bus, &world, "b", Duration::from_millis(300));
    assert!(world.until(&[8, 8]).await < Duration::from_secs(4));
    let c = start(&bus, &world, "c", Duration::from_millis(300));
    assert!(world.until(&[6, 5, 5]).await < Duration::from_secs(4));
    // In order: what it has is taken over at once.
    b.shutdown.cancel();
    b.task.await.expect("joined").expect("ends well");
    assert!(world.until(&[8, 8]).await < Duration::from_secs(4));
    // Without a word: when its leases have lapsed.
    c.task.abort();
    _ = c.task.await;
    assert!(world.until(&[16]).await < Duration::from_secs(12));
    assert_eq!(*world.doubled.lock(), Vec::<String>::new());
    a.shutdown.cancel();
    a.task.await.expect("joined").expect("ends well");
    assert_eq!(world.counts(), Vec::<usize>::new());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_finish_is_stopped_before_it_holds_up_the_shard() {
    let (bus, world) = (Arc::new(Memory::new()), Arc::new(World::default()));
    let a = start(&bus, &world, "a", Duration::from_secs(3600));
    world.until(&[16]).await;
    let _b = start(&bus, &world, "b", Duration::ZERO);
    assert!(world.until(&[8, 8]).await < Duration::from_secs(7));
    a.shutdown.cancel();
    a.task.await.expect("joined").expect("ends well");
    assert_eq!(*world.doubled.lock(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_lost_bus_is_shared_out_anew() {
    let (bus, world) = (Arc::new(Memory::new()), Arc::new(World::default()));
    let _a = start(&bus, &world, "a", Duration::ZERO);
    let _b = start(&bus, &world, "b", Duration::ZERO);
    world.until(&[8, 8]).await;
    bus.lose(1 << 30);
    tokio::time::sleep(Duration::from_secs(4)).await;
    world.doubled.lock().clear();
    world.until(&[8, 8]).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((world.counts(), &*world.doubled.lock()), (vec![8, 8], &Vec::<String>::new()));
}

#[tokio::test(start_paused = true)]
async fn a_replica_is_ready_when_it_owns_a_shard_or_none_is_left_for_it() {
    let (bus, world) = (Arc::new(Memory::new()), Arc::new(World::default()));
    let mut taken = Vec::new();
    for shard in 0..SHARDS {
        let name = format!("role.{shard}");
        taken.extend(bus.acquire(&name, "somebody", Duration::from_secs(3600)).await.expect("reachable"));
    }
    let a = start(&bus, &world, "a", Duration::ZERO);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(a.health.not_ready(), ["role: waits for a shard of its own"]);
    assert_eq!(a.health.hanging(), [""; 0], "it looks again and again");
    for lease in taken {
        bus.release(lease).await.expect("reachable");
    }
    world.until(&[16]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(a.health.not_ready(), [""; 0]);
    let others: Vec<Replica> = ('b'..='q').map(|name| start(&bus, &world, &name.to_string(), Duration::ZERO)).collect();
    world.until(&[1; 16]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    for replica in &others {
        assert_eq!(replica.health.not_ready(), [""; 0], "a spare one is ready, too");
    }
    a.shutdown.cancel();
    a.task.await.expect("joined").expect("ends well");
    assert_eq!(a.health.not_ready(), ["role: waits for its process to end"]);
}
