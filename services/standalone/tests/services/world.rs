//! Where the services live.

use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Clock, Host};
use argosy_apiserver::{Options, Server};
use argosy_bus::memory::{self, Memory};
use argosy_bus::{Bus as _, Stream, subject};
use argosy_engine::Config;
use argosy_standalone::{ServiceOptions, run_all};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub struct World {
    pub server: Server,
    pub bus: Arc<Memory>,
    pub clock: Clock,
}

impl World {
    pub fn new() -> Self {
        Self {
            server: Server::new(Options::default()),
            bus: Arc::new(Memory::new()),
            clock: Clock::starting_at("2026-01-01T00:00:00Z".parse().expect("a timestamp")),
        }
    }

    pub fn with(options: memory::Options) -> Self {
        Self { bus: Arc::new(Memory::with_options(options)), ..Self::new() }
    }

    pub fn host(&self, holder: &str) -> Host {
        Host { clock: self.clock, ..Host::new(self.bus.clone(), holder, 2) }
    }

    pub fn start(&self, holder: &str) -> (CancellationToken, JoinHandle<()>) {
        self.start_on(self.host(holder), ServiceOptions::default())
    }

    pub fn start_on(&self, host: Host, options: ServiceOptions) -> (CancellationToken, JoinHandle<()>) {
        let (client, stop) = (self.server.client("argo"), CancellationToken::new());
        let shutdown = stop.clone();
        let task = tokio::spawn(async move {
            run_all(&host, &client, Config::default(), options, shutdown).await.expect("services end well");
        });
        (stop, task)
    }

    pub fn workflows(&self) -> Api<DynamicObject> {
        argosy_objects::api::workflows(&self.server.client("argo"), "argo")
    }

    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.server.client("argo"), "argo")
    }

    pub async fn submit(&self, name: &str, templates: Value) {
        self.submit_spec(name, json!({"entrypoint": "main", "templates": templates})).await;
    }

    pub async fn submit_spec(&self, name: &str, spec: Value) {
        let workflow = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": name, "namespace": "argo"},
            "spec": spec,
        });
        let object = serde_json::from_value(workflow).expect("an object");
        self.workflows().create(&PostParams::default(), &object).await.expect("created");
    }

    pub async fn workflow(&self, name: &str) -> Value {
        argosy_objects::api::to_json(&self.workflows().get(name).await.expect("it exists")).expect("JSON")
    }

    /// Waits for a phase, ending pods with `exit_code` meanwhile.
    pub async fn until(&self, name: &str, phase: &str, exit_code: Option<i32>) -> Value {
        for _ in 0..20_000 {
            let workflow = self.workflow(name).await;
            if workflow["status"]["phase"] == phase {
                return workflow;
            }
            if let Some(exit_code) = exit_code {
                self.end_pods(exit_code).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{name} is not {phase}: {:#}", self.workflow(name).await);
    }

    pub async fn count_pods(&self) -> usize {
        self.pods().list(&ListParams::default()).await.expect("listed").items.len()
    }

    pub async fn end_pods(&self, exit_code: i32) {
        self.end_pods_of(&self.pods(), exit_code).await;
    }

    pub async fn end_pods_of(&self, pods: &Api<Pod>, exit_code: i32) {
        for pod in pods.list(&ListParams::default()).await.expect("listed") {
            if pod.status.as_ref().and_then(|status| status.phase.as_deref()).is_some_and(|phase| phase != "Pending") {
                continue;
            }
            let name = pod.metadata.name.expect("pods have names");
            self.end_pod(pods, &name, exit_code, "").await;
        }
    }

    /// The pod ends, and its `wait` container leaves a report.
    pub async fn end_pod(&self, pods: &Api<Pod>, name: &str, exit_code: i32, report: &str) {
        let ended = |name: &str, code: i32, message: &str| {
            let state = json!({"terminated": {"exitCode": code, "reason": if code == 0 { "Completed" } else { "Error" },
                "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:10Z", "message": message}});
            json!({"name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state})
        };
        let phase = if exit_code == 0 { "Succeeded" } else { "Failed" };
        let containers = json!([ended("main", exit_code, ""), ended("wait", 0, report)]);
        let status = json!({"status": {"phase": phase, "containerStatuses": containers}});
        pods.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await.expect("patched");
    }

    pub async fn ids(&self, stream: Stream) -> Vec<String> {
        let messages = self.bus.read(stream, &subject::of_stream(stream), 0, 1000).await.expect("readable");
        messages.into_iter().map(|message| message.id).collect()
    }
}

pub fn container(name: &str) -> Value {
    json!({"name": name, "container": {"image": "busybox", "command": ["true"]}})
}
