//! Grace periods, finalizers, preconditions, owners, eviction.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::Api;
use kube::api::{DeleteParams, EvictParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::{Value, json};

use crate::support::{code, object, server, workflow, workflows};

fn pod(name: &str, spec: Value, metadata: Value) -> Pod {
    let mut spec = spec;
    spec["containers"] = json!([{"name": "main", "image": "busybox:1"}]);
    let mut metadata = metadata;
    metadata["name"] = json!(name);
    serde_json::from_value(json!({"metadata": metadata, "spec": spec})).expect("a valid pod")
}

#[tokio::test]
async fn a_pod_on_a_node_waits_for_the_node() {
    let server = server();
    let api: Api<Pod> = Api::namespaced(server.client("argo"), "argo");
    api.create(&PostParams::default(), &pod("free", json!({}), json!({}))).await.expect("created");
    api.delete("free", &DeleteParams::default()).await.expect("deleted");
    assert_eq!(code(api.get("free").await), 404);

    let spec = json!({"nodeName": "local", "terminationGracePeriodSeconds": 7});
    api.create(&PostParams::default(), &pod("placed", spec.clone(), json!({}))).await.expect("created");
    api.delete("placed", &DeleteParams::default()).await.expect("accepted");
    let meta = api.get("placed").await.expect("still there").metadata;
    assert_eq!(meta.deletion_grace_period_seconds, Some(7));
    assert_eq!(serde_json::to_value(meta.deletion_timestamp).expect("a time"), json!("2026-01-02T03:04:12Z"));
    // Deleting again changes nothing; the node's confirmation ends it.
    api.delete("placed", &DeleteParams::default()).await.expect("accepted");
    api.delete("placed", &DeleteParams::default().grace_period(0)).await.expect("deleted");
    assert_eq!(code(api.get("placed").await), 404);

    // A pod that has ended goes at once.
    api.create(&PostParams::default(), &pod("ended", spec, json!({}))).await.expect("created");
    let done = Patch::Merge(json!({"status": {"phase": "Succeeded"}}));
    api.patch_status("ended", &PatchParams::default(), &done).await.expect("patched");
    api.delete("ended", &DeleteParams::default()).await.expect("deleted");
    assert_eq!(code(api.get("ended").await), 404);
}

#[tokio::test]
async fn finalizers_hold_an_object() {
    let server = server();
    let api = workflows(&server);
    let mut held = workflow("a");
    held.metadata.finalizers = Some(vec!["x/y".to_owned()]);
    api.create(&PostParams::default(), &held).await.expect("created");
    let waiting = api.delete("a", &DeleteParams::default()).await.expect("accepted");
    assert!(waiting.left().expect("the object").metadata.deletion_timestamp.is_some());
    let more = Patch::Merge(json!({"metadata": {"finalizers": ["x/y", "z/z"]}}));
    assert_eq!(code(api.patch("a", &PatchParams::default(), &more).await), 422);
    let none = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    api.patch("a", &PatchParams::default(), &none).await.expect("patched");
    assert_eq!(code(api.get("a").await), 404);
}

#[tokio::test]
async fn preconditions_are_checked() {
    let server = server();
    let api = workflows(&server);
    let made = api.create(&PostParams::default(), &workflow("a")).await.expect("created");
    let with = |uid: Option<String>, version: Option<String>| {
        DeleteParams::default().preconditions(Preconditions { uid, resource_version: version })
    };
    assert_eq!(code(api.delete("a", &with(Some("other".to_owned()), None)).await), 409);
    assert_eq!(code(api.delete("a", &with(None, Some("1".to_owned()))).await), 409);
    let right = with(made.metadata.uid, made.metadata.resource_version);
    api.delete("a", &right).await.expect("deleted");
}

#[tokio::test]
async fn dependents_go_with_their_owner() {
    for params in [DeleteParams::background(), DeleteParams::foreground(), DeleteParams::orphan()] {
        let server = server();
        let api = workflows(&server);
        let owner = api.create(&PostParams::default(), &workflow("a")).await.expect("created");
        let reference = json!([{"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": "a",
            "uid": owner.metadata.uid, "controller": true, "blockOwnerDeletion": true}]);
        let pods: Api<Pod> = Api::namespaced(server.client("argo"), "argo");
        let owned = json!({"ownerReferences": reference});
        pods.create(&PostParams::default(), &pod("p", json!({}), owned.clone())).await.expect("created");
        let running = pod("q", json!({"nodeName": "local"}), owned);
        pods.create(&PostParams::default(), &running).await.expect("created");
        api.delete("a", &params).await.expect("deleted");
        let names: Vec<_> = pods.list(&ListParams::default()).await.expect("listed").items;
        if params == DeleteParams::orphan() {
            assert_eq!(code(api.get("a").await), 404);
            assert!(names.iter().all(|p| p.metadata.owner_references.is_none()));
            assert_eq!(names.len(), 2);
            continue;
        }
        // The pod on a node ends gracefully; in the foreground its owner waits for it.
        assert_eq!(names.len(), 1);
        assert!(names[0].metadata.deletion_timestamp.is_some());
        assert_eq!(api.get("a").await.is_ok(), params == DeleteParams::foreground());
        pods.delete("q", &DeleteParams::default().grace_period(0)).await.expect("deleted");
        assert_eq!(code(api.get("a").await), 404);
    }
}

#[tokio::test]
async fn a_dependent_of_nobody_does_not_stay() {
    let server = server();
    let pods: Api<Pod> = Api::namespaced(server.client("argo"), "argo");
    let gone = json!({"ownerReferences": [{"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
        "name": "a", "uid": "long-gone"}]});
    pods.create(&PostParams::default(), &pod("p", json!({}), gone)).await.expect("created");
    assert_eq!(code(pods.get("p").await), 404);
}

#[tokio::test]
async fn collections_and_namespaces_are_deleted_whole() {
    let server = server();
    let maps: Api<ConfigMap> = Api::namespaced(server.client("x"), "x");
    for (name, label) in [("a", "1"), ("b", "2"), ("c", "1")] {
        let map = json!({"metadata": {"name": name, "labels": {"l": label}}});
        let map: ConfigMap = serde_json::from_value(map).expect("a valid map");
        maps.create(&PostParams::default(), &map).await.expect("created");
    }
    maps.delete_collection(&DeleteParams::default(), &ListParams::default().labels("l=1")).await.expect("deleted");
    let left = maps.list(&ListParams::default()).await.expect("listed").items;
    assert_eq!(left.len(), 1);
    let namespaces: Api<Namespace> = Api::all(server.client("x"));
    namespaces.get("x").await.expect("made with its first object");
    namespaces.delete("x", &DeleteParams::default()).await.expect("deleted");
    assert!(maps.list(&ListParams::default()).await.expect("listed").items.is_empty());
}

#[tokio::test]
async fn a_disruption_budget_stops_eviction() {
    let server = server();
    let pods: Api<Pod> = Api::namespaced(server.client("argo"), "argo");
    for name in ["p", "q"] {
        let labels = json!({"labels": {"app": "x"}});
        pods.create(&PostParams::default(), &pod(name, json!({"nodeName": "n"}), labels)).await.expect("created");
        let up = Patch::Merge(json!({"status": {"phase": "Running"}}));
        pods.patch_status(name, &PatchParams::default(), &up).await.expect("patched");
    }
    let budget = object(json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "b"}, "spec": {"minAvailable": "50%", "selector": {"matchLabels": {"app": "x"}}}}));
    let resource =
        kube::api::ApiResource::from_gvk(&kube::api::GroupVersionKind::gvk("policy", "v1", "PodDisruptionBudget"));
    let budgets: Api<kube::api::DynamicObject> = Api::namespaced_with(server.client("argo"), "argo", &resource);
    budgets.create(&PostParams::default(), &budget).await.expect("created");
    pods.evict("p", &EvictParams::default()).await.expect("evicted");
    assert!(pods.get("p").await.expect("ending").metadata.deletion_timestamp.is_some());
    assert_eq!(code(pods.evict("q", &EvictParams::default()).await), 429);
    // More than there can be is more than there are.
    let most = Patch::Merge(json!({"spec": {"minAvailable": "18446744073709551615%"}}));
    budgets.patch("b", &PatchParams::default(), &most).await.expect("patched");
    assert_eq!(code(pods.evict("q", &EvictParams::default()).await), 429);
    let none = Patch::Merge(json!({"spec": {"minAvailable": null, "maxUnavailable": "18446744073709551615%"}}));
    budgets.patch("b", &PatchParams::default(), &none).await.expect("patched");
    pods.evict("q", &EvictParams::default()).await.expect("evicted");
}
