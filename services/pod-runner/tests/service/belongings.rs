//! Objects of a workflow beside its pods.

use std::time::Duration;

use argosy_api::message::ClusterCommand;
use argosy_workflows::WorkflowKey;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::world::{SOON, World};

fn budget(name: &str, owner: Option<&WorkflowKey>) -> Value {
    let owners: Vec<Value> = owner
        .iter()
        .map(|key| json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": key.name, "uid": key.uid}))
        .collect();
    json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "ownerReferences": owners}, "spec": {"minAvailable": 1}})
}

fn delete(name: &str) -> ClusterCommand {
    ClusterCommand::DeleteObject {
        api_version: "policy/v1".into(),
        resource_kind: "PodDisruptionBudget".into(),
        name: name.into(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_made_and_deleted_and_one_of_another_stays() {
    let world = World::new();
    let (own, other) = (world.workflow("own", "argo").await, world.workflow("other", "argo").await);
    let budgets = world.objects(&own, "policy/v1", "PodDisruptionBudget");
    let foreign = serde_json::from_value(budget("other", None)).expect("an object");
    budgets.create(&PostParams::default(), &foreign).await.expect("created");
    let (stop, task) = world.start();
    for key in [&own, &other] {
        // Twice: it is there already.
        for sequence in [1, 2] {
            let create = ClusterCommand::CreateObject { manifest: budget(&key.name, Some(key)) };
            world.wish_at(key, sequence, Duration::ZERO, [(key.name.clone(), create)]).await;
        }
    }
    tokio::time::sleep(SOON).await;
    assert!(budgets.get_opt("own").await.expect("answered").is_some());
    for key in [&own, &other] {
        for sequence in [3, 4] {
            world.wish_at(key, sequence, Duration::ZERO, [(key.name.clone(), delete(&key.name))]).await;
        }
    }
    tokio::time::sleep(SOON).await;
    assert!(budgets.get_opt("own").await.expect("answered").is_none());
    assert!(budgets.get_opt("other").await.expect("answered").is_some(), "it was there before the workflow");
    assert_eq!(world.undone().await, 0);
    stop.cancel();
    task.await.expect("joined");
}
