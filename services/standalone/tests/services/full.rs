//! A log that is full of what people did to a workflow that goes on living.

use std::time::Duration;

use argosy_bus::{Bus as _, Error, Publish, Stream, memory, subject};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::world::{World, container};

/// Of what is told of an edit.
const EDIT_BYTES: usize = 20_000;
const STREAM_BYTES_MAX: u64 = 256 * 1024;

fn world() -> World {
    World::with(memory::Options { stream_bytes_max: STREAM_BYTES_MAX, ..memory::Options::default() })
}

/// Edits the workflow until no report of that has room any more, nor anything else.
async fn fill(world: &World, name: &str) {
    for n in 0..20 {
        let ballast = json!([{"name": "ballast", "value": format!("{n}").repeat(EDIT_BYTES / 2)}]);
        let edit = json!({"spec": {"arguments": {"parameters": ballast}}});
        world.workflows().patch(name, &PatchParams::default(), &Patch::Merge(&edit)).await.expect("patched");
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    assert!(!has_room(world, EDIT_BYTES).await);
    let mut bytes = EDIT_BYTES;
    while bytes > 0 {
        if !has_room(world, bytes).await {
            bytes /= 2;
        }
    }
}

/// Whether a message of so many bytes has room; it takes it.
async fn has_room(world: &World, bytes: usize) -> bool {
    let subject = subject::Observed { shard: 0, uid: "nobody".into() }.to_string();
    let id = world.bus.last_sequence(Stream::Observed, &subject).await.expect("readable").to_string();
    match world.bus.publish(Publish::new(Stream::Observed, subject, id, vec![0; bytes])).await {
        Ok(ack) => !ack.duplicate,
        Err(Error::Full { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_log_of_a_live_workflow_drains_and_everything_goes_on() {
    let world = world();
    let (stop, task) = world.start("a");
    world.submit("edited", json!([container("main")])).await;
    world.until("edited", "Running", None).await;
    fill(&world, "edited").await;
    // Another workflow finds no room at first; how a pod ends has a reserve.
    world.submit("other", json!([container("main")])).await;
    world.end_pods(0).await;
    world.until("edited", "Succeeded", Some(0)).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(world.workflow("other").await["status"]["phase"].is_null());
    // Owners look after their logs every five minutes.
    tokio::time::sleep(Duration::from_secs(300)).await;
    world.until("other", "Succeeded", Some(0)).await;
    stop.cancel();
    task.await.expect("joined");
}

#[tokio::test(start_paused = true)]
async fn who_takes_over_when_the_log_is_full_goes_on_too() {
    let world = world();
    let (_stop, task) = world.start("a");
    let spec = json!({"entrypoint": "main", "activeDeadlineSeconds": 300, "templates": [container("main")]});
    world.submit_spec("edited", spec).await;
    world.until("edited", "Running", None).await;
    fill(&world, "edited").await;
    task.abort();
    _ = task.await;
    // What is due then has to be told, and there is no room for it.
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(!has_room(&world, 1).await);
    let (stop, task) = world.start("b");
    world.until("edited", "Failed", None).await;
    stop.cancel();
    task.await.expect("joined");
}
