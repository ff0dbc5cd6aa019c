//! What people do to workflows.

use argosy_client::objects;
use http::StatusCode;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::World;

/// A workflow in the middle of its life, as nobody runs it here.
async fn stored(world: &World, name: &str, status: Value) {
    let spec = json!({"entrypoint": "main", "templates": [{"name": "main", "suspend": {}}]});
    let body = json!({"workflow": {"metadata": {"name": name}, "spec": spec}});
    world.ok("POST", "/api/v1/workflows/argo", Some(body)).await;
    let api = objects::workflows(&world.client, "argo");
    let patch = Patch::Merge(json!({ "status": status }));
    api.patch(name, &PatchParams::default(), &patch).await.expect("patched");
}

fn waiting(name: &str) -> Value {
    json!({"phase": "Running", "nodes": {name: {"id": name, "name": name, "displayName": name, "type": "Suspend",
        "templateName": "main", "phase": "Running", "startedAt": "2026-01-01T00:00:00Z"}}})
}

#[tokio::test]
async fn workflows_are_suspended_resumed_and_stopped() {
    let world = World::new().await;
    stored(&world, "w", waiting("w")).await;
    let path = |what: &str| format!("/api/v1/workflows/argo/w/{what}");
    assert_eq!(world.ok("PUT", &path("suspend"), None).await["spec"]["suspend"], true);
    let resumed = world.ok("PUT", &path("resume"), Some(json!({"name": "w", "namespace": "argo"}))).await;
    assert_eq!(
        (resumed["spec"].get("suspend"), &resumed["status"]["nodes"]["w"]["phase"]),
        (None, &json!("Succeeded"))
    );
    assert_eq!(resumed["metadata"]["labels"]["workflows.argoproj.io/action"], "Resume");
    let stopped = world.ok("PUT", &path("stop"), Some(json!({"message": "enough"}))).await;
    assert_eq!(stopped["spec"]["shutdown"], "Stop");
    assert_eq!(world.ok("PUT", &path("terminate"), None).await["spec"]["shutdown"], "Terminate");
}

#[tokio::test]
async fn a_stop_ends_what_waits_with_its_message() {
    let world = World::new().await;
    stored(&world, "w", waiting("w")).await;
    let stopped = world.ok("PUT", "/api/v1/workflows/argo/w/stop", Some(json!({"message": "enough"}))).await;
    let node = &stopped["status"]["nodes"]["w"];
    assert_eq!((&node["phase"], &node["message"]), (&json!("Failed"), &json!("enough")));
    assert_eq!(stopped["metadata"]["annotations"]["argosy.io/stop-message"], "enough");
}

#[tokio::test]
async fn a_waiting_node_is_set() {
    let world = World::new().await;
    stored(&world, "w", waiting("w")).await;
    let path = "/api/v1/workflows/argo/w/set";
    let body = json!({"nodeFieldSelector": "displayName=w", "message": "seen", "phase": "Failed"});
    let set = world.ok("PUT", path, Some(body)).await;
    assert_eq!(set["status"]["nodes"]["w"]["message"], "seen");
    for body in [json!({"nodeFieldSelector": "displayName=no", "message": "m"}), json!({"phase": "Frozen"})] {
        let (status, answer) = world.ask("PUT", path, Some(body)).await;
        assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!(3)), "{answer}");
    }
}

#[tokio::test]
async fn ended_workflows_are_retried_and_resubmitted() {
    let world = World::new().await;
    let mut ended = waiting("w");
    (ended["phase"], ended["nodes"]["w"]["phase"]) = (json!("Failed"), json!("Failed"));
    ended["finishedAt"] = json!("2026-01-01T00:00:01Z");
    ended["nodes"]["w"]["finishedAt"] = json!("2026-01-01T00:00:01Z");
    stored(&world, "w", ended).await;
    let again = world.ok("PUT", "/api/v1/workflows/argo/w/resubmit", Some(json!({"memoized": false}))).await;
    assert!(again["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("w-")), "{again}");
    assert_eq!(again["metadata"]["labels"]["workflows.argoproj.io/resubmitted-from-workflow"], "w");
    let retried = world.ok("PUT", "/api/v1/workflows/argo/w/retry", Some(json!({"parameters": []}))).await;
    assert!(
        retried["status"].get("finishedAt").is_none(),
        "its only node runs again, so that it begins anew: {retried}"
    );
    let (status, answer) = world.ask("PUT", "/api/v1/workflows/argo/w/retry", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "it runs: {answer}");
    let (status, _) = world.ask("PUT", "/api/v1/workflows/argo/nothing/stop", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let body = json!({"resourceKind": "WorkflowTemplate", "resourceName": "No_Name"});
    let (status, answer) = world.ask("POST", "/api/v1/workflows/argo/submit", Some(body)).await;
    assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!(3)), "none may have it: {answer}");
}
