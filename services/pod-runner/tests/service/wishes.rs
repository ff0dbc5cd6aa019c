//! Many wishes at once.

use std::time::Duration;

use argosy_api::message::{ClusterCommand, NotCreated, Observed};
use kube::api::{DynamicObject, ListParams, PostParams};
use serde_json::json;

use crate::world::{SOON, World, create, not_before};

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

#[tokio::test(start_paused = true)]
async fn a_pod_of_before_a_retry_makes_room_and_passes_for_no_other() {
    let world = World::new();
    let key = world.workflow("w", "argo").await;
    let (stop, task) = world.start();
    world.pod(&key, "p").await;
    world.end(&key, "p", json!({})).await;
    tokio::time::sleep(SOON).await;
    let old = world.ends(&key).await.pop().expect("it is told how it ended");
    assert_eq!(old.wished_at, 1);

    let again = |sequence: u64| [("p".to_owned(), not_before(sequence, create(&key, "p")))];
    world.wish_at(&key, 8, Duration::ZERO, again(7)).await;
    tokio::time::sleep(SOON).await;
    let pod = world.pods(&key).get("p").await.expect("a pod");
    assert_ne!(pod.metadata.uid, Some(old.uid), "it is another one");
    let told = world.log(&key).await;
    let is_refused = |body: &Observed| matches!(body, Observed::PodNotCreated { .. } | Observed::PodRejected { .. });
    assert!(!told.iter().any(is_refused), "{told:?}");

    // The same wish once more, and one of the same life: the pod is the one that is wished for.
    for sequence in [9, 10] {
        world.wish_at(&key, sequence, Duration::ZERO, again(7)).await;
    }
    tokio::time::sleep(SOON).await;
    assert_eq!(world.pods(&key).get("p").await.expect("a pod").metadata.uid, pod.metadata.uid);
    let Some(Observed::PodChanged { pod: last }) = world.log(&key).await.pop() else { panic!("it is told how it is") };
    assert_eq!((Some(last.uid), last.wished_at), (pod.metadata.uid, 8));
    assert_eq!(world.undone().await, 0);
    stop.cancel();
    task.await.expect("joined");
}

#[tokio::test(start_paused = true)]
async fn that_there_is_no_pod_is_said_with_the_time_of_the_question() {
    let world = World::new();
    let key = world.workflow("w", "argo").await;
    let (stop, task) = world.start();
    let confirm = ClusterCommand::ConfirmPod { name: "p".into(), is_check: false };
    world.wish_at(&key, 5, Duration::ZERO, [("p".to_owned(), confirm)]).await;
    tokio::time::sleep(SOON).await;
    let told: Vec<_> = world.ends(&key).await.iter().map(|pod| (pod.deleted, pod.wished_at)).collect();
    assert_eq!(told, [(true, 5)]);
    stop.cancel();
    task.await.expect("joined");
}

#[tokio::test(start_paused = true)]
async fn a_wish_that_comes_late_brings_back_no_pod_that_has_ended() {
    let world = World::new();
    let key = world.workflow("w", "argo").await;
    let label = |name: &str| ClusterCommand::LabelPodCompleted { name: name.into() };
    // The scheduler wished for it again, and had learned of its end since; nobody was there to carry out either.
    world.wish(&key, LATE, [("p".to_owned(), create(&key, "p"))]).await;
    world.wish_at(&key, 2, LATE, [("p".to_owned(), label("p"))]).await;
    // That of another pod of the node tells nothing of this one.
    world.wish(&key, LATE, [("q".to_owned(), create(&key, "q"))]).await;
    world.wish_at(&key, 2, LATE, [("q".to_owned(), label("another"))]).await;
    let (stop, task) = world.start();
    tokio::time::sleep(SOON).await;
    let pods = world.pods(&key).list(&ListParams::default()).await.expect("listed");
    let pods: Vec<_> = pods.items.iter().filter_map(|pod| pod.metadata.name.as_deref()).collect();
    assert_eq!(pods, ["q"]);
    assert_eq!(world.undone().await, 0);
    stop.cancel();
    task.await.expect("joined");
}

#[tokio::test(start_paused = true)]
async fn pods_come_at_the_rate_of_the_configuration() {
    let world = World::new();
    let key = world.workflow("w", "argo").await;
    let limit = argosy_pod_runner::CreateLimit { per_sec: 0.5, burst: 3 };
    let (stop, task) = world.start_with(argosy_pod_runner::Options { create_limit: Some(limit), ..Default::default() });
    let wishes: Vec<_> = (0..60).map(|n| (format!("p{n:02}"), create(&key, &format!("p{n:02}")))).collect();
    world.wish(&key, Duration::ZERO, wishes).await;
    tokio::time::sleep(SOON).await;
    let early = world.pods(&key).list(&ListParams::default()).await.expect("listed").items.len();
    assert!((3..=20).contains(&early), "{early} within 20 s");
    // Who waits for long is not taken to be lost, and nothing is handed back.
    tokio::time::sleep(Duration::from_secs(150)).await;
    let all = world.pods(&key).list(&ListParams::default()).await.expect("listed").items.len();
    let is_back = |body: &Observed| matches!(body, Observed::PodNotCreated { .. });
    assert_eq!((all, world.log(&key).await.iter().any(is_back), world.undone().await), (60, false, 0));
    stop.cancel();
    task.await.expect("joined");
}
