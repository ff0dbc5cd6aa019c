//! What the API does not take: objects that clients cannot read, too large ones, and pods beyond a quota.

use std::sync::Arc;

use argosy_apiserver::{Fault, Faults, Options, Server};
use k8s_openapi::api::core::v1::{Event, Pod, ResourceQuota};
use kube::Api;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::{code, object, options, server, workflow, workflows};

/// Sends a body as it is.
async fn send(server: &Server, method: &str, path: &str, media: &str, body: &Value) -> Result<Value, (u16, String)> {
    let request = http::Request::builder().method(method).uri(path).header("content-type", media);
    let request = request.body(body.to_string().into_bytes()).expect("a request");
    server.client("argo").request::<Value>(request).await.map_err(|error| match error {
        kube::Error::Api(status) => (status.code, status.message.clone()),
        other => panic!("{other}"),
    })
}

const WORKFLOWS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argo/workflows";
const PODS: &str = "/api/v1/namespaces/argo/pods";

#[tokio::test]
async fn no_way_leads_to_an_object_that_clients_cannot_read() {
    let server = server();
    let api = workflows(&server);
    api.create(&PostParams::default(), &workflow("good")).await.expect("created");
    for metadata in
        [json!({"name": "x", "labels": "."}), json!({"name": 5, "generateName": "a-"}), json!("m"), json!([])]
    {
        let body = json!({"metadata": metadata, "spec": {}});
        assert_eq!(
            send(&server, "POST", WORKFLOWS, "application/json", &body).await.expect_err("refused").0,
            400,
            "{body}"
        );
        let one = format!("{WORKFLOWS}/good");
        assert_eq!(send(&server, "PUT", &one, "application/json", &body).await.expect_err("refused").0, 400, "{body}");
        let apply = format!("{WORKFLOWS}/x?fieldManager=m");
        let applied = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"labels": {"a": 1}}, "spec": {}});
        assert_eq!(
            send(&server, "PATCH", &apply, "application/apply-patch+yaml", &applied).await.expect_err("refused").0,
            400
        );
    }
    let one = format!("{WORKFLOWS}/good");
    for (media, patch) in [
        ("application/merge-patch+json", json!({"metadata": {"labels": "."}})),
        ("application/merge-patch+json", json!({"metadata": {"labels": {"a": 1}}})),
        ("application/merge-patch+json", json!({"metadata": {"annotations": []}})),
        ("application/merge-patch+json", json!({"metadata": {"managedFields": [1]}})),
        ("application/merge-patch+json", json!({"metadata": "m"})),
        ("application/merge-patch+json", json!({"spec": null})),
        ("application/merge-patch+json", json!({"status": "done"})),
        ("application/json-patch+json", json!([{"op": "add", "path": "/metadata/finalizers", "value": "f"}])),
        ("application/json-patch+json", json!([{"op": "replace", "path": "/spec", "value": "s"}])),
    ] {
        let refused = send(&server, "PATCH", &one, media, &patch).await.expect_err("refused");
        assert!(matches!(refused.0, 400 | 422), "{patch}: {refused:?}");
    }
    // A pod's status as a node would write it, but of another shape.
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "main", "image": "i"}]}});
    send(&server, "POST", PODS, "application/json", &pod).await.expect("created");
    let status = json!({"status": {"containerStatuses": "none"}});
    let path = format!("{PODS}/p/status");
    assert_eq!(
        send(&server, "PATCH", &path, "application/merge-patch+json", &status).await.expect_err("refused").0,
        400
    );
    let named = json!({"metadata": {"name": "q"}, "spec": {"containers": [{"name": "../../x", "image": "i"}]}});
    let refused = send(&server, "POST", PODS, "application/json", &named).await.expect_err("refused");
    assert!(refused.0 == 422 && refused.1.contains("spec.containers[0].name"), "{refused:?}");
    // What is there is as it was, and everybody can list it.
    assert_eq!(api.list(&ListParams::default()).await.expect("listed").items.len(), 1);
    let pods: Api<Pod> = Api::namespaced(server.client("argo"), "argo");
    assert_eq!(pods.list(&ListParams::default()).await.expect("listed").items.len(), 1);
}

#[tokio::test]
async fn objects_are_as_large_as_etcd_takes_them() {
    let server = server();
    let api = workflows(&server);
    let with = |name: &str, bytes: usize| {
        let mut object = workflow(name);
        object.data["spec"]["text"] = json!("x".repeat(bytes));
        object
    };
    let most = 3 << 19;
    api.create(&PostParams::default(), &with("a", most - 2000)).await.expect("small enough");
    let too_large = |result: kube::Result<DynamicObject>| match result {
        Err(kube::Error::Api(status)) => {
            // As in a cluster, where kube-apiserver passes on what etcd says.
            let told = (status.code, status.reason.as_str(), status.message.as_str());
            assert_eq!(told, (500, "", "etcdserver: request is too large"))
        }
        other => panic!("{other:?}"),
    };
    too_large(api.create(&PostParams::default(), &with("b", most)).await);
    // Grown by steps, each of which is small.
    let mut grown = 0;
    let refused = loop {
        let patch = Patch::Merge(json!({"status": {"nodes": {format!("n{grown}"): {"message": "y".repeat(500)}}}}));
        match api.patch("a", &PatchParams::default(), &patch).await {
            Ok(_) if grown < 10 => grown += 1,
            other => break other,
        }
    };
    too_large(refused);
    assert!((2..4).contains(&grown), "{grown}");
    let shrunk = Patch::Merge(json!({"spec": {"text": null}}));
    api.patch("a", &PatchParams::default(), &shrunk).await.expect("it is smaller now");
    // A body larger than kube-apiserver reads.
    assert_eq!(code(api.create(&PostParams::default(), &with("c", 3 << 20)).await), 413);
}

async fn pod(server: &Server, name: &str) -> kube::Result<Pod> {
    let pods: Api<Pod> = Api::namespaced(server.client("argo"), "argo");
    let pod = json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": "i"}]}});
    pods.create(&PostParams::default(), &serde_json::from_value(pod).expect("a pod")).await
}

#[tokio::test]
async fn a_quota_has_room_for_so_many_pods() {
    let server = server();
    let quotas: Api<ResourceQuota> = Api::namespaced(server.client("argo"), "argo");
    let quota = json!({"metadata": {"name": "few"}, "spec": {"hard": {"pods": "2", "requests.cpu": "1"}}});
    quotas.create(&PostParams::default(), &serde_json::from_value(quota).expect("a quota")).await.expect("created");
    pod(&server, "a").await.expect("room");
    pod(&server, "b").await.expect("room");
    match pod(&server, "c").await {
        Err(kube::Error::Api(status)) => {
            assert_eq!((status.code, status.reason.as_str()), (403, "Forbidden"));
            let expected =
                r#"pods "c" is forbidden: exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2"#;
            assert_eq!(status.message, expected);
        }
        other => panic!("{other:?}"),
    }
    // One that has ended counts no more; another namespace has its own.
    let pods: Api<Pod> = Api::namespaced(server.client("argo"), "argo");
    let ended = Patch::Merge(json!({"status": {"phase": "Succeeded"}}));
    pods.patch_status("a", &PatchParams::default(), &ended).await.expect("patched");
    pod(&server, "c").await.expect("room again");
    let all = object(
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "all"}, "spec": {"hard": {"count/pods": 3}}}),
    );
    let all: ResourceQuota = serde_json::from_value(serde_json::to_value(all).expect("JSON")).expect("a quota");
    quotas.create(&PostParams::default(), &all).await.expect("created");
    pods.patch_status("b", &PatchParams::default(), &ended).await.expect("patched");
    assert_eq!(code(pod(&server, "d").await), 403, "counted with those that have ended");
    let elsewhere: Api<Pod> = Api::namespaced(server.client("other"), "other");
    let pod = json!({"metadata": {"name": "e"}, "spec": {"containers": [{"name": "main", "image": "i"}]}});
    elsewhere.create(&PostParams::default(), &serde_json::from_value(pod).expect("a pod")).await.expect("created");
}

#[tokio::test]
async fn a_conflict_of_quotas_can_be_planned() {
    struct Always;
    impl Faults for Always {
        fn on_request(&self, _: &str, _: &str) -> Fault {
            Fault::QuotaConflict
        }
    }
    let mut options = options();
    options.faults = Some(Arc::new(Always));
    let server = Server::new(options);
    workflows(&server).create(&PostParams::default(), &workflow("a")).await.expect("pods only");
    match pod(&server, "p").await {
        Err(kube::Error::Api(status)) => {
            assert_eq!(status.code, 409);
            assert!(
                status.message.starts_with("Operation cannot be fulfilled on resourcequotas"),
                "{}",
                status.message
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn yaml_whose_aliases_explode_is_refused() {
    let server = server();
    let long = "x".repeat(200_000);
    let bytes = format!("a: &a {long}\nb: [{}]\n", vec!["*a"; 3000].join(", "));
    let laughs =
        (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| text + &format!("a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1));
    for (path, method, media) in [
        (WORKFLOWS.to_owned(), "POST", "application/yaml"),
        (format!("{WORKFLOWS}/x?fieldManager=m"), "PATCH", "application/apply-patch+yaml"),
    ] {
        for bomb in [&bytes, &laughs] {
            let body =
                format!("apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {{name: x}}\nspec: {{}}\n{bomb}");
            let request = http::Request::builder().method(method).uri(&path).header("content-type", media);
            let request = request.body(body.into_bytes()).expect("a request");
            let refused = server.client("argo").request::<Value>(request).await;
            assert_eq!(code(refused), 400, "{method}");
        }
    }
}

#[tokio::test]
async fn events_are_dropped_an_hour_after_they_were_written() {
    let clock = Arc::new(parking_lot::Mutex::new("2026-01-02T03:00:00Z".parse::<jiff::Timestamp>().expect("a time")));
    let now = Arc::clone(&clock);
    let server = Server::new(Options { clock: Arc::new(move || *now.lock()), ..options() });
    let events: Api<Event> = Api::namespaced(server.client("argo"), "argo");
    let create = async |name: &str, last: Option<&str>| {
        let about = json!({"kind": "Workflow", "name": "wf", "namespace": "argo"});
        let event = json!({"metadata": {"name": name}, "involvedObject": about, "lastTimestamp": last});
        events
            .create(&PostParams::default(), &serde_json::from_value(event).expect("an event"))
            .await
            .expect("created");
    };
    create("old", None).await;
    create("seen-again", Some("2026-01-02T03:30:00Z")).await;
    *clock.lock() += jiff::SignedDuration::from_mins(59);
    create("new", None).await;
    assert_eq!(events.list(&ListParams::default()).await.expect("listed").items.len(), 3);
    *clock.lock() += jiff::SignedDuration::from_mins(2);
    create("newest", None).await;
    let left = events.list(&ListParams::default()).await.expect("listed").items.into_iter();
    let names: Vec<String> = left.filter_map(|event| event.metadata.name).collect();
    assert_eq!(names, ["new", "newest", "seen-again"]);
}
