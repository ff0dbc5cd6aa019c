//! Manifests as no engine makes them.

use std::time::Duration;

use argosy_api::message::Observed;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::world::{SOON, World, create, create_of};

#[tokio::test(start_paused = true)]
async fn a_manifest_whose_metadata_is_no_map_is_rejected_with_a_word() {
    let world = World::new();
    let key = world.workflow("w", "argo").await;
    let (stop, task) = world.start();
    let mut manifests = Vec::new();
    for wrong in [json!("oops"), json!(["oops"]), json!(7), json!(true), Value::Null] {
        let pod = |metadata: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {}});
        manifests.push(pod(json!({"name": "p", "labels": wrong})));
        manifests.push(pod(json!({"name": "p", "annotations": wrong})));
        manifests.push(pod(wrong.clone()));
        manifests.push(wrong);
    }
    let count = manifests.len();
    let wishes = manifests.into_iter().enumerate().map(|(n, manifest)| (format!("n{n:02}"), create_of(manifest)));
    world.wish(&key, Duration::ZERO, wishes).await;
    world.wish(&key, Duration::ZERO, [("good".to_owned(), create(&key, "good"))]).await;
    tokio::time::sleep(SOON).await;
    let told = world.log(&key).await.into_iter().filter_map(|body| match body {
        Observed::PodRejected { node_id, message } => Some((node_id, message)),
        _ => None,
    });
    let mut told: Vec<_> = told.collect();
    told.sort();
    let nodes: Vec<String> = (0..count).map(|n| format!("n{n:02}")).collect();
    assert_eq!(told.iter().map(|(node, _)| node.clone()).collect::<Vec<_>>(), nodes, "each has its answer, once");
    assert!(told.iter().all(|(_, message)| message.contains("is no map")), "{told:?}");
    // None of them took the shard with it.
    let pods = world.pods(&key).list(&ListParams::default()).await.expect("listed");
    assert_eq!((pods.items.len(), world.undone().await), (1, 0));
    stop.cancel();
    task.await.expect("joined");
}
