//! How far the log of a workflow that lives is purged.

use std::time::Duration;

use argosy_actor::WorkflowKey;
use argosy_api::digest::Watermark;
use argosy_api::labels;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::world::{SOON, World};

/// From one look of a workflow after itself to the next.
const CHECK: Duration = Duration::from_secs(300);

/// The object says that the log is folded into it so far.
async fn write(world: &World, key: &WorkflowKey, sequence: u64) {
    let mark = Watermark { sequence, ..Watermark::default() }.written(&key.uid);
    let patch = json!({"metadata": {"annotations": {labels::WATERMARK: mark}}});
    world.workflows().patch(&key.name, &PatchParams::default(), &Patch::Merge(&patch)).await.expect("patched");
}

async fn sequences(world: &World, key: &WorkflowKey) -> Vec<u64> {
    world.log(key).await.into_iter().map(|message| message.sequence).collect()
}

#[tokio::test(start_paused = true)]
async fn the_log_of_a_live_workflow_goes_as_far_as_it_is_written_and_no_further() {
    let world = World::new();
    let _scheduler = world.start("a");
    let key = world.submit("w", json!({})).await;
    world.begins(&key).await;
    for look in 0..4 {
        world.look_at_pod(&key, &look.to_string()).await;
    }
    tokio::time::sleep(CHECK + SOON).await;
    let all = sequences(&world, &key).await;
    assert_eq!(all.len(), 5, "nothing is written yet");
    write(&world, &key, all[1]).await;
    tokio::time::sleep(CHECK + SOON).await;
    assert_eq!(sequences(&world, &key).await, all[2..], "it looks after itself from time to time");
    // With many events it does not wait for that.
    write(&world, &key, all[3]).await;
    for look in 4..140 {
        world.look_at_pod(&key, &look.to_string()).await;
    }
    tokio::time::sleep(SOON).await;
    let left = sequences(&world, &key).await;
    assert_eq!((left[0], left.len()), (all[4], 1 + 136));
}
