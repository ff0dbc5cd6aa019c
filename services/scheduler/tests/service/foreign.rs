//! Messages that name a workflow by its uid, and another namespace: what a pod with copied labels gets reported.

use std::time::Duration;

use argosy_workflows::WorkflowKey;
use kube::api::{Patch, PatchParams};

use crate::world::{SOON, World};

fn forged(victim: &WorkflowKey) -> WorkflowKey {
    WorkflowKey { namespace: "evil".into(), ..victim.clone() }
}

#[tokio::test(start_paused = true)]
async fn a_pod_of_another_namespace_changes_nothing_in_the_log_whose_labels_it_copied() {
    let world = World::new();
    let scheduler = world.start("a");
    let victim = world.submit("victim", serde_json::json!({})).await;
    world.begins(&victim).await;
    world.pod(&victim, "Running").await;
    tokio::time::sleep(SOON).await;
    let (log, events) = (world.ids(&victim).await, world.events(&victim).await);
    world.pod(&forged(&victim), "Succeeded").await;
    tokio::time::sleep(SOON).await;
    // The forged message stands behind it, and was dealt with.
    assert_eq!(world.ids(&victim).await[..log.len()], log);
    assert_eq!((world.events(&victim).await, world.unacknowledged().await), (events.clone(), 0));
    // The same where nobody has the workflow in memory, and the newest message of the log is the forged one.
    scheduler.die().await;
    world.pod(&WorkflowKey { namespace: "more-evil".into(), ..victim.clone() }, "Failed").await;
    let _scheduler = world.start("b");
    tokio::time::sleep(SOON).await;
    assert_eq!(world.ids(&victim).await[..log.len()], log);
    assert_eq!((world.events(&victim).await, world.unacknowledged().await), (events, 0));
    world.pod(&victim, "Succeeded").await;
    world.succeeds(&victim).await;
}

#[tokio::test(start_paused = true)]
async fn a_log_of_which_only_forged_messages_are_left_is_not_purged_on_their_word() {
    let world = World::new();
    let _scheduler = world.start("a");
    tokio::time::sleep(SOON).await;
    // Its object is reported later than its pods: the watcher was away.
    let nobody = WorkflowKey { uid: "u".into(), namespace: "evil".into(), name: "victim".into() };
    world.pod(&nobody, "Running").await;
    tokio::time::sleep(SOON).await;
    assert_eq!(world.ids(&nobody).await.len(), 1, "its workflow may still be on its way");
    assert_eq!(world.unacknowledged().await, 0);
    // Nobody came for it.
    tokio::time::sleep(Duration::from_secs(2 * 3600 + 60)).await;
    assert_eq!(world.ids(&nobody).await.len(), 0, "it is looked for again, without a message for it");
}

#[tokio::test(start_paused = true)]
async fn a_log_whose_own_object_is_gone_goes() {
    let world = World::new();
    let scheduler = world.start("a");
    let gone = world.submit("gone", serde_json::json!({})).await;
    world.begins(&gone).await;
    scheduler.die().await;
    world.delete("gone").await;
    world.pod(&forged(&gone), "Succeeded").await;
    let _scheduler = world.start("b");
    tokio::time::sleep(SOON).await;
    assert_eq!((world.ids(&gone).await.len(), world.unacknowledged().await), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_outlived_its_workflow_ends_though_copies_of_it_report_after_it() {
    let world = World::new();
    let victim = world.submit("victim", serde_json::json!({})).await;
    let failed = serde_json::json!({"status": {"phase": "Failed", "finishedAt": "2026-01-01T00:00:00Z"},
        "metadata": {"labels": {"workflows.argoproj.io/completed": "true"}}});
    world.workflows().patch("victim", &PatchParams::default(), &Patch::Merge(&failed)).await.expect("patched");
    // With the bus goes who reported the object; nothing but reports of pods leads to it.
    world.bus.lose(1 << 30);
    for namespace in ["argo", "evil", "more-evil"] {
        world.look_at_pod(&WorkflowKey { namespace: namespace.into(), ..victim.clone() }, namespace).await;
    }
    let _scheduler = world.start("a");
    tokio::time::sleep(SOON).await;
    assert_eq!((world.wishes(&victim).await, world.unacknowledged().await), (vec!["stopPod"], 0));
}
