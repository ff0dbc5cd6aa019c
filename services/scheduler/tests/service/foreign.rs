//! Messages that name a workflow by its uid, and another namespace: what a pod with copied labels gets reported.

use std::time::Duration;

use argosy_actor::WorkflowKey;

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
