//! How far the log of a workflow that lives is purged.

use std::time::Duration;

use argosy_api::digest::Watermark;
use argosy_api::labels;
use argosy_bus::{Bus as _, Stream, subject};
use argosy_workflows::{PODS_LISTED, WorkflowKey, WorkflowLog as _};
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

#[tokio::test(start_paused = true)]
async fn what_tells_of_listed_pods_is_no_workflows_log_and_goes() {
    let world = World::new();
    let _scheduler = world.start("a");
    tokio::time::sleep(SOON).await;
    let nobody = WorkflowKey { uid: PODS_LISTED.into(), namespace: String::new(), name: String::new() };
    let subject = subject::Observed { shard: 0, uid: PODS_LISTED.into() }.to_string();
    let mut listed = world.host.observed(&nobody, format!("{PODS_LISTED}:0:1"), Vec::new());
    listed.subject.clone_from(&subject);
    world.host.publish(vec![listed]).await.expect("published");
    tokio::time::sleep(SOON).await;
    assert_eq!(world.unacknowledged().await, 0);
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    let log = world.bus.read(Stream::Observed, &subject, 0, 10).await.expect("readable");
    assert_eq!(log, [], "it is looked for hourly");
}
