//! A bus that does not answer for a while.

use std::time::Duration;

use serde_json::json;

use crate::bus::Between;
use crate::world::{SOON, World};

#[tokio::test(start_paused = true)]
async fn a_shard_outlives_reads_that_are_not_answered() {
    let world = World::new();
    let bus = Between::new(&world.bus);
    let _scheduler = world.start_on(bus.clone(), "a");
    // One that lives in memory when the bus goes away, and one that is new then.
    let live = world.submit("live", json!({})).await;
    world.begins(&live).await;
    let claims = world.claims().await;
    *bus.is_away.lock() = true;
    world.pod(&live, "Succeeded").await;
    let new = world.submit("new", json!({})).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(*bus.unanswered.lock() > 1, "it was asked, and again");
    assert!(!world.has_succeeded(&live).await && world.wishes(&new).await.is_empty());
    *bus.is_away.lock() = false;
    world.succeeds(&live).await;
    world.begins(&new).await;
    tokio::time::sleep(SOON).await;
    assert_eq!(world.unacknowledged().await, 0);
    // Whoever takes a shard up claims it: nobody has done so again.
    assert_eq!((claims.len(), world.claims().await), (1, claims));
}
