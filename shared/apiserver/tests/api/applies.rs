//! JSON, strategic and apply patches.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::{code, object, server, workflow, workflows};

fn wish(spec: Value) -> DynamicObject {
    object(json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
        "metadata": {"name": "a", "labels": {"app.kubernetes.io/name": "x"}}, "spec": spec}))
}

async fn apply(api: &Api<DynamicObject>, manager: &str, force: bool, spec: Value) -> kube::Result<DynamicObject> {
    let mut params = PatchParams::apply(manager);
    params.force = force;
    api.patch("a", &params, &Patch::Apply(wish(spec))).await
}

#[tokio::test]
async fn apply_creates_merges_and_takes_back() {
    let server = server();
    let api = workflows(&server);
    let made = apply(&api, "one", false, json!({"entrypoint": "m", "suspend": true})).await.expect("created");
    assert!(made.metadata.uid.is_some());
    let managers = made.metadata.managed_fields.clone().expect("managers");
    assert_eq!(managers.len(), 1);
    assert_eq!(managers[0].manager.as_deref(), Some("one"));

    // The same wish again writes nothing.
    let again = apply(&api, "one", false, json!({"entrypoint": "m", "suspend": true})).await.expect("applied");
    assert_eq!(again.metadata.resource_version, made.metadata.resource_version);

    // Another manager adds a field, and shares one of equal value.
    apply(&api, "two", false, json!({"entrypoint": "m", "priority": 5})).await.expect("applied");
    // What the first no longer wants goes, unless the other wants it too.
    let left = apply(&api, "one", false, json!({})).await.expect("applied");
    assert_eq!(left.data["spec"], json!({"entrypoint": "m", "priority": 5}));
}

#[tokio::test]
async fn apply_conflicts_unless_forced() {
    let server = server();
    let api = workflows(&server);
    apply(&api, "one", false, json!({"entrypoint": "m"})).await.expect("created");
    match apply(&api, "two", false, json!({"entrypoint": "other"})).await {
        Err(kube::Error::Api(status)) => {
            assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
            assert!(status.message.contains("conflict with \"one\": .spec.entrypoint"), "{}", status.message);
        }
        other => panic!("expected a conflict, got {other:?}"),
    }
    let forced = apply(&api, "two", true, json!({"entrypoint": "other"})).await.expect("forced");
    assert_eq!(forced.data["spec"]["entrypoint"], "other");
    // Now the first is the one in conflict.
    assert_eq!(code(apply(&api, "one", false, json!({"entrypoint": "m"})).await), 409);

    // A plain edit owns what it changed.
    let edit = Patch::Merge(json!({"spec": {"entrypoint": "edited"}}));
    let params = PatchParams { field_manager: Some("editor".to_owned()), ..PatchParams::default() };
    api.patch("a", &params, &edit).await.expect("patched");
    assert_eq!(code(apply(&api, "two", false, json!({"entrypoint": "other"})).await), 409);
}

#[tokio::test]
async fn json_patches_test_before_they_change() {
    let server = server();
    let api = workflows(&server);
    api.create(&PostParams::default(), &workflow("a")).await.expect("created");
    let steps = |expected: &str| -> Patch<DynamicObject> {
        Patch::Json(
            serde_json::from_value(json!([
                {"op": "test", "path": "/spec/entrypoint", "value": expected},
                {"op": "add", "path": "/spec/templates/-", "value": {"name": "second"}},
            ]))
            .expect("a valid patch"),
        )
    };
    let params = PatchParams::default();
    assert_eq!(code(api.patch("a", &params, &steps("other")).await), 422);
    let patched = api.patch("a", &params, &steps("main")).await.expect("patched");
    assert_eq!(patched.data["spec"]["templates"][1]["name"], "second");
}

#[tokio::test]
async fn strategic_patches_are_for_built_in_kinds() {
    let server = server();
    let wf = workflows(&server);
    wf.create(&PostParams::default(), &workflow("a")).await.expect("created");
    let patch = Patch::Strategic(json!({"spec": {"containers": [{"name": "main", "image": "b:2"}]}}));
    assert_eq!(code(wf.patch("a", &PatchParams::default(), &patch).await), 415);

    let api: Api<Pod> = Api::namespaced(server.client("argo"), "argo");
    let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {"containers": [
        {"name": "main", "image": "b:1", "args": ["x"]}, {"name": "wait", "image": "w"}]}}))
    .expect("a valid pod");
    api.create(&PostParams::default(), &pod).await.expect("created");
    let patched = api.patch("p", &PatchParams::default(), &patch).await.expect("patched");
    let containers = patched.spec.expect("a spec").containers;
    assert_eq!(containers.len(), 2);
    assert_eq!(containers[0].image.as_deref(), Some("b:2"));
    assert_eq!(containers[0].args.as_deref(), Some(&["x".to_owned()][..]));
}
