//! Pods that are dealt with get their label, or go by the podGC of their workflow.

use std::time::Duration;

use argosy_api::digest::{Position, Watermark};
use argosy_api::labels;
use argosy_api::message::{ClusterCommand, Collection};
use argosy_workflows::WorkflowKey;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use crate::world::{SOON, World};

const NOW: Duration = Duration::ZERO;

fn terms(delay_ms: u64, published: u64) -> Collection {
    Collection { delay_ms, published: Position::step(published), ..Collection::default() }
}

fn collect(name: &str, terms: Collection) -> (String, ClusterCommand) {
    (name.to_owned(), ClusterCommand::CollectPod { name: name.to_owned(), terms })
}

/// The object of the workflow has been brought so far.
async fn written(world: &World, key: &WorkflowKey, sequence: u64) {
    let mark = Watermark { sequence, ..Watermark::default() }.written(&key.uid);
    let patch = json!({"metadata": {"annotations": {labels::WATERMARK: mark}}});
    let workflows = world.objects(key, "argoproj.io/v1alpha1", "Workflow");
    workflows.patch(&key.name, &PatchParams::default(), &Patch::Merge(&patch)).await.expect("patched");
}

/// The pods that are there, and whether they are marked as dealt with.
async fn pods(world: &World, key: &WorkflowKey) -> Vec<(String, bool)> {
    let pods = world.pods(key).list(&ListParams::default()).await.expect("listed");
    let of = |pod: k8s_openapi::api::core::v1::Pod| {
        let is_marked = pod.metadata.labels.is_some_and(|all| all.get(labels::COMPLETED).is_some_and(|t| t == "true"));
        (pod.metadata.name.unwrap_or_default(), is_marked)
    };
    pods.items.into_iter().map(of).collect()
}

fn left(names: &[(&str, bool)]) -> Vec<(String, bool)> {
    names.iter().map(|(name, is_marked)| ((*name).to_owned(), *is_marked)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_pod_goes_when_its_time_has_come_and_the_object_has_its_end() {
    let world = World::new();
    let key = world.workflow("w", "argo").await;
    let (stop, task) = world.start();
    for name in ["p", "q"] {
        world.pod(&key, name).await;
        world.end(&key, name, json!({})).await;
    }
    tokio::time::sleep(SOON).await;
    written(&world, &key, 4).await;
    world.wish(&key, NOW, [collect("p", terms(60_000, 4)), collect("q", terms(0, 5))]).await;
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert_eq!(world.undone().await, 0, "nothing waits on the bus");
    assert_eq!(pods(&world, &key).await, left(&[("p", false), ("q", false)]));
    tokio::time::sleep(SOON).await;
    assert_eq!(pods(&world, &key).await, left(&[("q", false)]), "the end of the other may be nowhere else");
    written(&world, &key, 5).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(pods(&world, &key).await, []);
    let told: Vec<bool> = world.ends(&key).await.iter().map(|pod| pod.deleted).collect();
    assert_eq!(told, [false, false], "that they are gone is no news");
    stop.cancel();
    task.await.expect("joined");
}

#[tokio::test(start_paused = true)]
async fn when_the_workflow_ends_its_pods_go_but_those_that_are_not_meant() {
    let world = World::new();
    let key = world.workflow("w", "argo").await;
    let (stop, task) = world.start();
    for name in ["p", "q"] {
        world.pod(&key, name).await;
        world.end(&key, name, json!({})).await;
    }
    let labelled = json!({"metadata": {"labels": {"keep": "no"}}});
    world.pods(&key).patch("q", &PatchParams::default(), &Patch::Merge(&labelled)).await.expect("patched");
    tokio::time::sleep(SOON).await;
    written(&world, &key, 9).await;
    let selector = Some(json!({"matchExpressions": [{"key": "keep", "operator": "In", "values": ["no"]}]}));
    let all = |deletes, terms| ("w".to_owned(), ClusterCommand::CollectPods { deletes, terms });
    world.wish(&key, NOW, [all(true, Collection { selector, ..terms(0, 9) })]).await;
    tokio::time::sleep(SOON).await;
    assert_eq!(pods(&world, &key).await, left(&[("p", true)]));
    // Of one that failed, they stay.
    let key = world.workflow("v", "argo").await;
    world.pod(&key, "r").await;
    world.end(&key, "r", json!({})).await;
    world.wish_at(&key, 2, NOW, [all(false, terms(0, 99))]).await;
    tokio::time::sleep(SOON).await;
    assert_eq!(pods(&world, &key).await, left(&[("p", true), ("r", true)]));
    stop.cancel();
    task.await.expect("joined");
}

#[tokio::test(start_paused = true)]
async fn what_was_to_be_done_when_its_owner_died_is_asked_for_again() {
    let world = World::new();
    let key = world.workflow("w", "argo").await;
    let (_stop, task) = world.start();
    world.pod(&key, "p").await;
    world.end(&key, "p", json!({})).await;
    tokio::time::sleep(SOON).await;
    world.wish(&key, NOW, [collect("p", terms(60_000, 0))]).await;
    tokio::time::sleep(SOON).await;
    task.abort();
    let before = world.ends(&key).await.len();
    let (stop, task) = world.start();
    tokio::time::sleep(SOON).await;
    assert_eq!(world.ends(&key).await.len(), before + 1, "its workflow hears of it, and wishes again");
    world.wish_at(&key, 2, NOW, [collect("p", terms(0, 0))]).await;
    tokio::time::sleep(SOON).await;
    assert_eq!(pods(&world, &key).await, []);
    stop.cancel();
    task.await.expect("joined");
}

#[tokio::test(start_paused = true)]
async fn a_pod_of_a_later_wish_stays() {
    let world = World::new();
    let key = world.workflow("w", "argo").await;
    let (stop, task) = world.start();
    world.wish_at(&key, 5, NOW, [("p".to_owned(), crate::world::create(&key, "p"))]).await;
    tokio::time::sleep(SOON).await;
    let label = ("p".to_owned(), ClusterCommand::LabelPodCompleted { name: "p".into() });
    world.wish_at(&key, 4, NOW, [collect("p", terms(0, 0))]).await;
    tokio::time::sleep(SOON).await;
    world.wish_at(&key, 3, NOW, [label]).await;
    tokio::time::sleep(SOON).await;
    assert_eq!(pods(&world, &key).await, left(&[("p", false)]));
    stop.cancel();
    task.await.expect("joined");
}
