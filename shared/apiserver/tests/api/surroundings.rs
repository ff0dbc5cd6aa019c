//! Durability, faults, logs, discovery, TCP.

use std::sync::Arc;
use std::time::Duration;

use argosy_apiserver::{Access, Fault, Faults, LogSource, OpenError, Server};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{code, options, server, workflow, workflows};

#[tokio::test]
async fn a_data_directory_keeps_what_was_answered() {
    let dir = tempfile::tempdir().expect("a directory");
    let open = || Server::open(options(), dir.path());
    // The tasks of a dropped client end, and let go of the server, when they next run.
    let reopen = async || {
        for _ in 0..1000 {
            match open() {
                Err(OpenError::InUse { .. }) => tokio::task::yield_now().await,
                other => return other.expect("opened again"),
            }
        }
        panic!("the server is never let go of");
    };
    let (version, nodes) = {
        let server = open().expect("opened");
        assert!(open().is_err(), "a directory has one owner");
        let api = workflows(&server);
        api.create(&PostParams::default(), &workflow("a")).await.expect("created");
        api.create(&PostParams::default(), &workflow("b")).await.expect("created");
        // Large enough to be recorded as differences.
        let nodes: Value = (0..200)
            .map(|i| (format!("n{i}"), json!({"phase": "Running", "null": null})))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let params = PatchParams::default();
        for status in [json!({"nodes": nodes}), json!({"nodes": {"n7": {"phase": "Failed"}, "n8": null}})] {
            api.patch("a", &params, &Patch::Merge(json!({"status": status}))).await.expect("patched");
        }
        api.delete("b", &DeleteParams::default()).await.expect("deleted");
        (server.revision(), api.get("a").await.expect("there"))
    };
    for _ in 0..2 {
        let server = reopen().await;
        assert_eq!(server.revision(), version);
        let api = workflows(&server);
        assert_eq!(api.get("a").await.expect("kept"), nodes);
        assert_eq!(code(api.get("b").await), 404);
    }
    // A tail that was being written when the process died is cut off.
    let server = reopen().await;
    let api = workflows(&server);
    api.create(&PostParams::default(), &workflow("c")).await.expect("created");
    let copy = tempfile::tempdir().expect("a directory");
    for entry in std::fs::read_dir(dir.path()).expect("readable") {
        let entry = entry.expect("readable");
        let mut bytes = std::fs::read(entry.path()).expect("readable");
        if entry.file_name().to_string_lossy().starts_with("log-") {
            assert!(!bytes.is_empty(), "the creation is in the log");
            bytes.extend_from_slice(&[9, 0, 0, 0, 1, 2, 3]);
        }
        std::fs::write(copy.path().join(entry.file_name()), bytes).expect("written");
    }
    let restored = Server::open(options(), copy.path()).expect("opened");
    workflows(&restored).get("c").await.expect("kept");
}

#[tokio::test]
async fn a_grown_log_is_cut_back_without_loss() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut options = options();
    options.log_bytes_max = 10_000;
    let server = Server::open(options, dir.path()).expect("opened");
    let api = workflows(&server);
    api.create(&PostParams::default(), &workflow("a")).await.expect("created");
    for i in 0..300 {
        let patch = Patch::Merge(json!({"spec": {"count": i}}));
        api.patch("a", &PatchParams::default(), &patch).await.expect("patched");
    }
    let copy = tempfile::tempdir().expect("a directory");
    let mut size = 0;
    for entry in std::fs::read_dir(dir.path()).expect("readable") {
        let entry = entry.expect("readable");
        size += std::fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("copied");
    }
    // Snapshot and log together stay within what a snapshot and one limit's worth of log take.
    assert!(size < 40_000, "{size} bytes are kept");
    let restored = Server::open(crate::support::options(), copy.path()).expect("opened");
    assert_eq!(restored.revision(), server.revision());
    let kept = workflows(&restored).get("a").await.expect("kept");
    assert_eq!(kept.data["spec"]["count"], 299);
}

#[tokio::test]
async fn watches_follow_a_durable_server() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::open(options(), dir.path()).expect("opened");
    let api = workflows(&server);
    let version = server.revision().to_string();
    let mut events = api.watch(&kube::api::WatchParams::default(), &version).await.expect("watch starts").boxed();
    for name in ["a", "b", "c"] {
        api.create(&PostParams::default(), &workflow(name)).await.expect("created");
        let event = tokio::time::timeout(Duration::from_secs(5), events.next()).await.expect("in time");
        match event {
            Some(Ok(kube::api::WatchEvent::Added(o))) => {
                assert_eq!(o.metadata.name.as_deref(), Some(name))
            }
            other => panic!("expected an added workflow, got {other:?}"),
        }
    }
}

#[derive(Default)]
struct Planned(Mutex<Vec<Fault>>);

impl Faults for Planned {
    fn on_request(&self, verb: &str, _path: &str) -> Fault {
        if verb == "get" {
            return Fault::None;
        }
        self.0.lock().pop().unwrap_or_default()
    }

    fn stale_list(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn planned_faults_happen() {
    let faults = Arc::new(Planned::default());
    let mut options = options();
    options.faults = Some(faults.clone());
    let server = Server::new(options);
    let api = workflows(&server);
    for (fault, want, made) in
        [(Fault::Refuse503, 503, false), (Fault::ConflictOnce, 409, false), (Fault::LostAnswer, 500, true)]
    {
        faults.0.lock().push(fault);
        assert_eq!(code(api.create(&PostParams::default(), &workflow("a")).await), want);
        assert_eq!(api.get("a").await.is_ok(), made);
    }
    // A lagging list does not show the newest.
    let list = api.list(&ListParams::default()).await.expect("listed");
    assert!(list.items.is_empty());
    let exact = server.revision().to_string();
    let list = api.list(&ListParams::default().at(&exact)).await.expect("listed");
    assert_eq!(list.items.len(), 1);
    faults.0.lock().push(Fault::DropWatch);
    let mut events = api.watch(&kube::api::WatchParams::default(), "0").await.expect("starts").boxed();
    assert!(events.next().await.is_none());
}

struct Lines;

#[async_trait::async_trait]
impl LogSource for Lines {
    async fn logs(
        &self,
        namespace: &str,
        pod: &str,
        params: LogParams,
    ) -> std::io::Result<Option<BoxStream<'static, Bytes>>> {
        let container = params.container.unwrap_or_default();
        if container == "later" {
            return Ok(None);
        }
        let lines = [format!("{namespace}/{pod}/{container}\n"), format!("{:?}\n", params.tail_lines)];
        Ok(Some(futures::stream::iter(lines.map(Bytes::from)).boxed()))
    }
}

#[tokio::test]
async fn logs_come_from_the_node() {
    let server = server();
    let api: Api<Pod> = Api::namespaced(server.client("argo"), "argo");
    let pod = |names: &[&str]| -> Pod {
        let containers: Vec<Value> = names.iter().map(|n| json!({"name": n, "image": "b"})).collect();
        serde_json::from_value(json!({"metadata": {"name": format!("p{}", names.len())},
            "spec": {"containers": containers}}))
        .expect("a valid pod")
    };
    api.create(&PostParams::default(), &pod(&["main"])).await.expect("created");
    api.create(&PostParams::default(), &pod(&["main", "wait"])).await.expect("created");
    assert_eq!(code(api.logs("p1", &LogParams::default()).await), 503);
    server.set_log_source(Arc::new(Lines));
    let params = LogParams { tail_lines: Some(3), ..LogParams::default() };
    assert_eq!(api.logs("p1", &params).await.expect("a log"), "argo/p1/main\nSome(3)\n");
    assert_eq!(code(api.logs("p2", &LogParams::default()).await), 400);
    let wait = LogParams { container: Some("wait".to_owned()), ..LogParams::default() };
    assert_eq!(api.logs("p2", &wait).await.expect("a log"), "argo/p2/wait\nNone\n");
    let bad = LogParams { container: Some("x".to_owned()), ..LogParams::default() };
    assert_eq!(code(api.logs("p2", &bad).await), 400);
    api.create(&PostParams::default(), &pod(&["later", "b", "c"])).await.expect("created");
    let later = LogParams { container: Some("later".to_owned()), ..LogParams::default() };
    assert_eq!(code(api.logs("p3", &later).await), 400);
}

async fn get(server: &Server, path: &str, accept: &str) -> Value {
    let request = http::Request::get(path).header("accept", accept).body(Vec::new()).expect("a valid request");
    server.client("argo").request(request).await.expect("answered")
}

#[tokio::test]
async fn discovery_names_all_resources() {
    let server = server();
    let client = server.client("argo");
    let found = kube::discovery::Discovery::new(client).run().await.expect("discovered");
    let gvk = kube::api::GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Workflow");
    let (resource, capabilities) = found.resolve_gvk(&gvk).expect("workflows are served");
    assert_eq!(resource.plural, "workflows");
    assert!(capabilities.supports_operation("watch"));
    let openapi = get(&server, "/openapi/v3/apis/argoproj.io/v1alpha1", "*/*").await;
    let path = "/apis/argoproj.io/v1alpha1/namespaces/{namespace}/workflows/{name}";
    assert_eq!(openapi["paths"][path]["patch"]["parameters"][2]["name"], "fieldValidation");
}

#[tokio::test]
async fn openapi_2_is_there_for_kubectl_though_empty() {
    let server = server();
    assert_eq!(get(&server, "/openapi/v2", "application/json").await["swagger"], "2.0");
    let asked = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let request = http::Request::get("/openapi/v2").header("accept", asked).body(Vec::new()).expect("a valid request");
    let text = server.client("argo").request_text(request).await.expect("answered");
    // openapi.v2.Document { swagger: "2.0", info: { title, version }, paths: {} }
    assert_eq!(text, "\n\u{3}2.0\u{12}\u{15}\n\nKubernetes\u{12}\u{7}v1.33.0B\0");
}

#[tokio::test]
async fn tables_have_argos_columns() {
    let server = server();
    let api = workflows(&server);
    api.create(&PostParams::default(), &workflow("a")).await.expect("created");
    let status = json!({"status": {"phase": "Running", "startedAt": "2026-01-02T03:00:00Z", "message": "m"}});
    api.patch("a", &PatchParams::default(), &Patch::Merge(status)).await.expect("patched");
    let table = get(
        &server,
        "/apis/argoproj.io/v1alpha1/namespaces/argo/workflows",
        "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
    )
    .await;
    let names: Vec<&Value> =
        table["columnDefinitions"].as_array().expect("columns").iter().map(|c| &c["name"]).collect();
    assert_eq!(names, ["Name", "Status", "Age", "Message"]);
    assert_eq!(table["rows"][0]["cells"], json!(["a", "Running", "4m5s", "m"]));
    assert_eq!(table["rows"][0]["object"]["metadata"]["name"], "a");
}

#[tokio::test]
async fn a_pod_whose_main_container_failed_reads_error() {
    let server = server();
    let ended = |name: &str, code: i32, reason: &str| json!({"name": name, "state": {"terminated": {"exitCode": code, "reason": reason}}});
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "wait"}, {"name": "main"}]},
        "status": {"phase": "Failed", "containerStatuses": [ended("wait", 0, "Completed"), ended("main", 1, "Error")]}});
    let api: kube::Api<Pod> = kube::Api::namespaced(server.client("argo"), "argo");
    let pod: Pod = serde_json::from_value(pod).expect("a pod");
    api.create(&PostParams::default(), &pod).await.expect("created");
    api.replace_status("p", &PostParams::default(), &pod).await.expect("written");
    let table = get(&server, "/api/v1/namespaces/argo/pods", "application/json;as=Table;v=v1;g=meta.k8s.io").await;
    assert_eq!(table["rows"][0]["cells"][2], "Error");
}

#[tokio::test]
async fn tcp_clients_see_the_same_objects_until_shutdown() {
    let server = server();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let access = Arc::new(Access::new().expect("a certificate"));
    let kubeconfig = access.kubeconfig(address);
    let serving = tokio::spawn({
        let server = server.clone();
        async move {
            let shutdown = async {
                // A dropped sender stops the server as well.
                stopped.await.unwrap_or(());
            };
            server.serve(listener, access, shutdown).await
        }
    });
    let config = kube::config::Kubeconfig::from_yaml(&kubeconfig).expect("valid");
    let config = kube::Config::from_custom_kubeconfig(config, &Default::default()).await.expect("usable");
    let client = kube::Client::try_from(config).expect("a client");
    let api: Api<Pod> = Api::default_namespaced(client);
    assert!(api.list(&ListParams::default()).await.expect("listed").items.is_empty());
    let mut events = api.watch(&kube::api::WatchParams::default(), "0").await.expect("starts").boxed();
    stop.send(()).expect("still serving");
    // An open watch does not hold the server up.
    let end = tokio::time::timeout(Duration::from_secs(5), async {
        while events.next().await.is_some() {}
        drop(events);
        drop(api);
        serving.await
    });
    end.await.expect("in time").expect("joined").expect("served");
}
