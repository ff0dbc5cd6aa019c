//! A scheduler that is asked to go.

use std::time::Duration;

use serde_json::json;

use crate::bus::Between;
use crate::world::{SOON, World};

#[tokio::test(start_paused = true)]
async fn what_is_in_hand_is_published_before_the_shard_is_given_back() {
    let world = World::new();
    let bus = Between::new(&world.bus);
    let scheduler = world.start_on(bus.clone(), "a");
    let key = world.submit("w", json!({})).await;
    world.begins(&key).await;
    tokio::time::sleep(SOON).await;
    // It takes a while to store what follows from this; meanwhile the process is to end.
    *bus.delay.lock() = Duration::from_secs(1);
    bus.done.lock().clear();
    world.pod(&key, "Succeeded").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(*bus.done.lock(), [""; 0], "it is in hand");
    scheduler.leave().await;
    let done = bus.done.lock().clone();
    let place = |what: &str| done.iter().position(|done| done.contains(what));
    let (published, released) = (place(&key.uid).expect("published"), place("scheduler.0").expect("given back"));
    assert!(published < released, "{done:?}");
    assert!(world.has_succeeded(&key).await);
    assert_eq!(world.unacknowledged().await, 0, "the next owner has nothing to do again");
}
