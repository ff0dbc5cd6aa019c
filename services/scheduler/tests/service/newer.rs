//! Messages of a newer process, as there are some while an installation is brought up to date.

use std::time::Duration;

use argosy_api::message::SCHEMA;
use argosy_workflows::{WorkflowKey, WorkflowLog as _};
use serde_json::{Value, json};

use crate::world::{SOON, World};

async fn tell(world: &World, key: &WorkflowKey, body: Value) {
    let id = format!("{}:newer", key.uid);
    let message = world.host.observed(key, id, body.to_string().into_bytes());
    world.host.publish(vec![message]).await.expect("published");
}

#[tokio::test(start_paused = true)]
async fn a_log_waits_where_a_newer_process_wrote_and_loses_nothing() {
    let newer = json!({"schema": SCHEMA + 1, "at": "2026-01-01T00:00:00Z"});
    // A kind that nobody knows here, and one that is known and may mean something else by now.
    for more in [json!({"kind": "podDreamt", "of": "sheep"}), json!({"kind": "workflowDeleted"})] {
        let mut body = newer.clone();
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let world = World::new();
        let scheduler = world.start("a");
        let (waits, other) = (world.submit("waits", json!({})).await, world.submit("other", json!({})).await);
        for key in [&waits, &other] {
            world.begins(key).await;
        }
        tell(&world, &waits, body).await;
        for key in [&waits, &other] {
            world.pod(key, "Succeeded").await;
        }
        world.succeeds(&other).await;
        // Neither the message nor what came behind it is acknowledged, however often it came, and whoever owns the shard.
        tokio::time::sleep(Duration::from_secs(3600)).await;
        scheduler.leave().await;
        let _scheduler = world.start("b");
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(!world.has_succeeded(&waits).await);
        assert_eq!((world.unacknowledged().await, world.log(&waits).await.len()), (2, 3));
        assert_eq!(world.host.bus.quarantine().list(None).await.expect("readable"), [], "it is nobody's mistake");
    }
}

#[tokio::test(start_paused = true)]
async fn garbage_is_put_aside_and_its_log_goes_on() {
    let world = World::new();
    let _scheduler = world.start("a");
    let key = world.submit("w", json!({})).await;
    world.begins(&key).await;
    tell(&world, &key, json!({"schema": SCHEMA, "at": "2026-01-01T00:00:00Z", "kind": "podDreamt"})).await;
    world.pod(&key, "Succeeded").await;
    world.succeeds(&key).await;
    tokio::time::sleep(SOON).await;
    let kept = world.host.bus.quarantine().list(Some(&key.uid)).await.expect("readable");
    assert_eq!((kept.len(), world.unacknowledged().await), (1, 0));
}
