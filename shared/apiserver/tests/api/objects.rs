//! Create, get, list, update, merge patch and delete.

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::support::{code, object, server, workflow, workflows};

#[tokio::test]
async fn an_object_lives_from_create_to_delete() {
    let server = server();
    let api = workflows(&server);
    let made = api.create(&PostParams::default(), &workflow("a")).await.expect("created");
    assert_eq!(made.metadata.generation, Some(1));
    let uid = made.metadata.uid.as_deref().expect("a uid");
    assert!(uid.starts_with("00000000-0000-4000-"), "{uid}");
    assert_eq!(serde_json::to_value(&made.metadata.creation_timestamp).expect("a time"), json!("2026-01-02T03:04:05Z"));
    assert_eq!(code(api.create(&PostParams::default(), &workflow("a")).await), 409);

    let same = api.get("a").await.expect("there");
    assert_eq!(same, made);

    let patch = json!({"status": {"phase": "Running", "nodes": {"n1": {"phase": "Running"}}}});
    let patched = api.patch("a", &PatchParams::default(), &Patch::Merge(&patch)).await.expect("patched");
    assert_eq!(patched.data["status"]["nodes"]["n1"]["phase"], "Running");
    // Without a status subresource a change of status is a new generation too.
    assert_eq!(patched.metadata.generation, Some(2));
    assert!(patched.metadata.resource_version > made.metadata.resource_version);

    // A patch that changes nothing writes nothing.
    let again = api.patch("a", &PatchParams::default(), &Patch::Merge(&patch)).await.expect("patched");
    assert_eq!(again.metadata.resource_version, patched.metadata.resource_version);

    // An update from an old copy is refused, one from the current copy is not.
    assert_eq!(code(api.replace("a", &PostParams::default(), &made).await), 409);
    let mut edited = again.clone();
    edited.data["spec"]["suspend"] = json!(true);
    let edited = api.replace("a", &PostParams::default(), &edited).await.expect("replaced");
    assert_eq!(edited.data["spec"]["suspend"], true);

    api.delete("a", &DeleteParams::default()).await.expect("deleted");
    assert_eq!(code(api.get("a").await), 404);
    assert_eq!(code(api.delete("a", &DeleteParams::default()).await), 404);
}

#[tokio::test]
async fn merge_patches_check_uid_and_resource_version() {
    let server = server();
    let api = workflows(&server);
    let made = api.create(&PostParams::default(), &workflow("a")).await.expect("created");
    for meta in [json!({"uid": "someone-else"}), json!({"resourceVersion": "1"})] {
        let patch = Patch::Merge(json!({"metadata": meta, "spec": {"x": 1}}));
        assert_eq!(code(api.patch("a", &PatchParams::default(), &patch).await), 409);
    }
    let meta = json!({"uid": made.metadata.uid, "resourceVersion": made.metadata.resource_version});
    let patch = Patch::Merge(json!({"metadata": meta, "spec": {"x": 1}}));
    let patched = api.patch("a", &PatchParams::default(), &patch).await.expect("patched");
    assert_eq!(patched.data["spec"]["x"], 1);
}

#[tokio::test]
async fn names_are_generated_and_checked() {
    let server = server();
    let api = workflows(&server);
    let mut unnamed = workflow("a");
    unnamed.metadata.name = None;
    assert_eq!(code(api.create(&PostParams::default(), &unnamed).await), 422);
    unnamed.metadata.generate_name = Some("run-".to_owned());
    let one = api.create(&PostParams::default(), &unnamed).await.expect("created");
    let two = api.create(&PostParams::default(), &unnamed).await.expect("created");
    let name = one.metadata.name.expect("a name");
    assert!(name.starts_with("run-") && name.len() == 9, "{name}");
    assert_ne!(Some(name), two.metadata.name);
    for bad in ["Upper", "-a", "a..b", "a_b", &"x".repeat(64)] {
        assert_eq!(code(api.create(&PostParams::default(), &workflow(bad)).await), 422, "{bad}");
    }
    api.create(&PostParams::default(), &workflow("with.dot")).await.expect("created");
}

#[tokio::test]
async fn lists_select_and_page() {
    let server = server();
    let api: Api<ConfigMap> = Api::namespaced(server.client("argo"), "argo");
    for i in 0..5 {
        let map: ConfigMap = serde_json::from_value(json!({
            "metadata": {"name": format!("m{i}"), "labels": {"n": i.to_string(), "kind": "x"}},
        }))
        .expect("a valid map");
        api.create(&PostParams::default(), &map).await.expect("created");
    }
    let names = |list: &kube::core::ObjectList<ConfigMap>| -> Vec<String> {
        list.items.iter().filter_map(|m| m.metadata.name.clone()).collect()
    };
    let some = api.list(&ListParams::default().labels("n in (1,3),kind=x")).await.expect("listed");
    assert_eq!(names(&some), ["m1", "m3"]);
    let one = api.list(&ListParams::default().fields("metadata.name=m2")).await.expect("listed");
    assert_eq!(names(&one), ["m2"]);

    let first = api.list(&ListParams::default().limit(2)).await.expect("listed");
    assert_eq!(names(&first), ["m0", "m1"]);
    assert_eq!(first.metadata.remaining_item_count, Some(3));
    // A deletion between the pages is not seen: all pages show one revision.
    api.delete("m3", &DeleteParams::default()).await.expect("deleted");
    let token = first.metadata.continue_.clone().expect("there is more");
    let rest = api.list(&ListParams::default().limit(10).continue_token(&token)).await.expect("listed");
    assert_eq!(names(&rest), ["m2", "m3", "m4"]);
    assert_eq!(rest.metadata.resource_version, first.metadata.resource_version);
    server.compact_history();
    let token = ListParams::default().limit(10).continue_token(&token);
    assert_eq!(code(api.list(&token).await), 410);

    let elsewhere: Api<ConfigMap> = Api::namespaced(server.client("argo"), "arg");
    assert!(elsewhere.list(&ListParams::default()).await.expect("listed").items.is_empty());
    let all: Api<ConfigMap> = Api::all(server.client("argo"));
    assert_eq!(all.list(&ListParams::default()).await.expect("listed").items.len(), 4);
}

#[tokio::test]
async fn metadata_alone_can_be_asked_for() {
    let server = server();
    let api = workflows(&server);
    api.create(&PostParams::default(), &workflow("a")).await.expect("created");
    let meta = api.get_metadata("a").await.expect("there");
    assert_eq!(meta.metadata.name.as_deref(), Some("a"));
    let listed = api.list_metadata(&ListParams::default()).await.expect("listed");
    assert_eq!(listed.items.len(), 1);
    let patch = Patch::Merge(json!({"metadata": {"labels": {"l": "1"}}}));
    let meta = api.patch_metadata("a", &PatchParams::default(), &patch).await.expect("patched");
    assert_eq!(meta.metadata.labels.expect("labels")["l"], "1");
}

#[tokio::test]
async fn status_is_written_through_its_subresource_only() {
    let server = server();
    let api: Api<Pod> = Api::namespaced(server.client("argo"), "argo");
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "main", "image": "busybox"}]},
        "status": {"phase": "Running"},
    }))
    .expect("a valid pod");
    let made = api.create(&PostParams::default(), &pod).await.expect("created");
    let phase = |pod: &Pod| pod.status.clone().and_then(|s| s.phase);
    assert_eq!(phase(&made).as_deref(), Some("Pending"));
    let status = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}, "status": {"phase": "Running"}}));
    let params = PatchParams::default();
    let whole = api.patch("p", &params, &status).await.expect("patched");
    assert_eq!(phase(&whole).as_deref(), Some("Pending"));
    assert!(whole.metadata.labels.is_some());
    let ours = api.patch_status("p", &params, &status).await.expect("patched");
    assert_eq!(phase(&ours).as_deref(), Some("Running"));
    assert_eq!(ours.metadata.generation, made.metadata.generation);
}

#[tokio::test]
async fn dry_runs_leave_nothing() {
    let server = server();
    let api = workflows(&server);
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let made = api.create(&dry, &workflow("a")).await.expect("accepted");
    assert!(made.metadata.uid.is_some());
    assert_eq!(code(api.get("a").await), 404);
}

#[tokio::test]
async fn bodies_and_types_are_checked() {
    let server = server();
    let api = workflows(&server);
    let mut wrong = workflow("a");
    wrong.metadata.namespace = Some("other".to_owned());
    assert_eq!(code(api.create(&PostParams::default(), &wrong).await), 400);
    let pod = object(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}));
    assert_eq!(code(api.create(&PostParams::default(), &pod).await), 400);
    let mut huge = workflow("a");
    huge.data["spec"]["x"] = json!("x".repeat(4 << 20));
    assert_eq!(code(api.create(&PostParams::default(), &huge).await), 413);
}

#[tokio::test]
async fn objects_past_the_size_limit_are_refused_as_by_etcd() {
    let mut options = crate::support::options();
    options.object_bytes_max = Some(2_000);
    let api = workflows(&argosy_apiserver::Server::new(options));
    api.create(&PostParams::default(), &workflow("a")).await.expect("small enough");
    let grow = Patch::Merge(json!({"status": {"message": "x".repeat(2_000)}}));
    match api.patch("a", &PatchParams::default(), &grow).await {
        Err(kube::Error::Api(status)) => {
            assert_eq!(status.code, 500);
            assert_eq!(status.message, "etcdserver: request is too large");
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
    let kept = api.get("a").await.expect("there");
    assert!(kept.data.get("status").is_none());
}
