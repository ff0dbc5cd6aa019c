//! Leases on a machine that sleeps: the runtime's clock stands still then, and the clock of the day goes on. A paused runtime
//! is just that.

use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Host, Owned, Settings, Work, own_shards};
use argosy_bus::memory::Memory;
use argosy_bus::{Bus as _, Lease};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The least that the owner of shards takes.
const TTL: Duration = Duration::from_secs(1);

/// The machine sleeps past the lease.
fn sleep() {
    std::thread::sleep(TTL + Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_by_the_clock_of_the_day_too() {
    let bus = Arc::new(Memory::new());
    let host = Host::new(bus.clone(), "me", 1);
    let lease = bus.acquire("it", "me", TTL).await.expect("a bus").expect("it is free");
    let owned = Owned::new(0, lease.clone(), host.clock);
    sleep();
    assert!(lease.is_valid(), "as far as the runtime knows");
    assert!(!owned.holds());
}

#[tokio::test(start_paused = true)]
async fn a_shard_is_let_go_when_its_lease_lapsed_while_the_machine_slept_though_it_can_be_renewed() {
    let host = Host::new(Arc::new(Memory::new()), "me", 1);
    let (taken, mut owners) = mpsc::channel::<(Lease, CancellationToken)>(1);
    let work: Work = Arc::new(move |owned: Owned| {
        let taken = taken.clone();
        Box::pin(async move {
            taken.send((owned.lease.clone(), owned.stop.clone())).await.expect("the test listens");
            owned.stop.cancelled().await;
            Ok(())
        })
    });
    let owner = tokio::spawn(async move {
        let settings = Settings { ttl: TTL };
        own_shards(&host, "role", &settings, CancellationToken::new(), work).await.expect("it ends well");
    });
    let (before, stop) = owners.recv().await.expect("the shard is taken");
    sleep();
    // The next renewal succeeds, as nobody took the shard meanwhile; somebody may have, and have left again.
    tokio::time::timeout(TTL * 60, stop.cancelled()).await.expect("it is let go");
    let (after, _) = owners.recv().await.expect("it is taken anew");
    assert!(after.epoch > before.epoch, "{before:?} {after:?}");
    owner.abort();
}
