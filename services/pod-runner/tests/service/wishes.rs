//! Many wishes at once.

use std::time::Duration;

use argosy_api::message::{ClusterCommand, NotCreated, Observed};
use kube::api::{DynamicObject, ListParams, PostParams};
use serde_json::json;

use crate::world::{SOON, World, create};

/// More than are handed out at once.
const MANY: usize = 4200;
/// Older than a wish that is carried out without a look behind it.
const LATE: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn wishes_that_a_quota_refuses_hold_up_no_other_workflow_of_the_shard() {
    let world = World::new();
    for namespace in ["full", "free"] {
        world.make_namespace(namespace).await;
    }
    let (full, free) = (world.workflow("w", "full").await, world.workflow("w", "free").await);
    let quota: DynamicObject = serde_json::from_value(json!({"apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "quota"}, "spec": {"hard": {"pods": "0"}}}))
    .expect("an object");
    world.objects(&full, "v1", "ResourceQuota").create(&PostParams::default(), &quota).await.expect("created");
    let (stop, task) = world.start();
    for pod in ["to-be-stopped", "to-be-deleted"] {
        world.pod(&free, pod).await;
    }
    let names = (0..MANY).map(|n| format!("p{n}"));
    let refused: Vec<_> = names.map(|name| (name.clone(), create(&full, &name))).collect();
    world.wish(&full, Duration::ZERO, refused).await;
    world
        .wish(
            &free,
            Duration::ZERO,
            [
                ("new".to_owned(), create(&free, "new")),
                ("to-be-stopped".to_owned(), ClusterCommand::StopPod { name: "to-be-stopped".into() }),
                ("to-be-deleted".to_owned(), ClusterCommand::DeletePod { name: "to-be-deleted".into() }),
            ],
        )
        .await;
    // Its turn comes when those are handed out that the consumer did not have room for, and not behind all of them.
    tokio::time::sleep(SOON).await;
    assert!(world.pods(&free).get_opt("new").await.expect("answered").is_some());
    // As many turns as there are wishes, at 300 each second, and the time that a pod has to end.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let pods = world.pods(&free).list(&ListParams::default()).await.expect("listed");
    let pods: Vec<_> = pods.items.iter().filter_map(|pod| pod.metadata.name.as_deref()).collect();
    assert_eq!(pods, ["new"]);
    // Each refused wish is its workflow's again, once, and nobody else's concern.
    let told = world.log(&full).await;
    let is_refusal = |body: &Observed| match body {
        Observed::PodNotCreated { reason: NotCreated::Refused { message }, .. } => message.contains("exceeded quota"),
        _ => false,
    };
    assert_eq!((told.len(), told.iter().all(is_refusal), world.undone().await), (MANY, true, 0));
    stop.cancel();
    task.await.expect("joined");
}

#[tokio::test(start_paused = true)]
async fn wishes_that_waited_are_carried_out_without_a_look_at_their_workflow() {
    const PODS: usize = 300;
    let world = World::new();
    let key = world.workflow("w", "argo").await;
    let (stop, task) = world.start();
    let names = (0..PODS).map(|n| format!("p{n}"));
    let wishes: Vec<_> = names.map(|name| (name.clone(), create(&key, &name))).collect();
    world.wish(&key, LATE, wishes).await;
    tokio::time::sleep(SOON).await;
    let asked = world.plan.asked.lock().clone();
    let count = |verb: &str| asked.iter().filter(|(asked, _)| asked == verb).count();
    assert_eq!((count("create"), count("get")), (PODS, 0), "one request for each pod");
    assert!(asked.iter().all(|(_, path)| !path.contains("/workflows")), "it knows pods only");
    assert_eq!(world.undone().await, 0);
    stop.cancel();
    task.await.expect("joined");
}
