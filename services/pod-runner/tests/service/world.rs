//! Where the pod-runner lives.

use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Clock, Host};
use argosy_api::labels;
use argosy_api::message::{
    ClusterCommand, CommandMessage, Manifest, Observed, ObservedMessage, PodPhase, PodSummary, SCHEMA,
};
use argosy_apiserver::{Fault, Faults, Options, Server};
use argosy_bus::memory::Memory;
use argosy_bus::{Bus as _, Publish, Stream, subject};
use argosy_pod_runner::Service;
use argosy_workflows::WorkflowKey;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The pod-runner has done what it can by then; less than from one full list to the next.
pub const SOON: Duration = Duration::from_secs(20);
/// Messages read at once.
const PAGE: usize = 1000;

/// What goes wrong with requests, and which there were.
#[derive(Default)]
pub struct Plan {
    /// The kind (its plural) of which reads go wrong, and how.
    pub reads: Mutex<Option<(&'static str, Fault)>>,
    /// Verb and path.
    pub asked: Mutex<Vec<(String, String)>>,
}

impl Faults for Plan {
    fn on_request(&self, verb: &str, path: &str) -> Fault {
        self.asked.lock().push((verb.to_owned(), path.to_owned()));
        let fault = self.reads.lock().filter(|(kind, _)| verb == "get" && path.split('/').any(|part| part == *kind));
        fault.map_or(Fault::None, |(_, fault)| fault)
    }
}

pub struct World {
    pub server: Server,
    pub bus: Arc<Memory>,
    pub host: Host,
    pub plan: Arc<Plan>,
}

impl World {
    pub fn new() -> Self {
        let (bus, plan) = (Arc::new(Memory::new()), Arc::new(Plan::default()));
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().expect("a timestamp"));
        let host = Host { clock, ..Host::new(bus.clone(), "t", 1) };
        let server = Server::new(Options { faults: Some(plan.clone()), ..Options::default() });
        Self { server, bus, host, plan }
    }

    pub fn start(&self) -> (CancellationToken, JoinHandle<()>) {
        self.start_with(argosy_pod_runner::Options::default())
    }

    pub fn start_with(&self, options: argosy_pod_runner::Options) -> (CancellationToken, JoinHandle<()>) {
        let service = Service::new(self.host.clone(), self.server.client("argo"), options);
        let stop = CancellationToken::new();
        let shutdown = stop.clone();
        (stop, tokio::spawn(async move { service.run(shutdown).await.expect("it ends well") }))
    }

    pub async fn make_namespace(&self, name: &str) {
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}})).expect("a namespace");
        let namespaces: Api<Namespace> = Api::all(self.server.client(name));
        namespaces.create(&PostParams::default(), &namespace).await.expect("created");
    }

    /// A workflow that exists; nobody runs it.
    pub async fn workflow(&self, name: &str, namespace: &str) -> WorkflowKey {
        let mut key = WorkflowKey { uid: String::new(), namespace: namespace.into(), name: name.into() };
        let workflows = self.objects(&key, "argoproj.io/v1alpha1", "Workflow");
        let object =
            json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": name}, "spec": {}});
        let object = serde_json::from_value(object).expect("an object");
        let made = workflows.create(&PostParams::default(), &object).await.expect("created");
        key.uid = made.metadata.uid.expect("objects have uids");
        self.plan.asked.lock().clear();
        key
    }

    pub fn pods(&self, key: &WorkflowKey) -> Api<Pod> {
        Api::namespaced(self.server.client("argo"), &key.namespace)
    }

    pub fn objects(&self, key: &WorkflowKey, api_version: &str, kind: &str) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.server.client("argo"), &key.namespace, &resource)
    }

    /// Puts wishes on the bus, as a scheduler did so long ago. Each is of the node of its pod's name.
    pub async fn wish(
        &self,
        key: &WorkflowKey,
        age: Duration,
        wishes: impl IntoIterator<Item = (String, ClusterCommand)>,
    ) {
        self.wish_at(key, 1, age, wishes).await;
    }

    /// As [`World::wish`]; the scheduler had stepped the log so far.
    pub async fn wish_at(
        &self,
        key: &WorkflowKey,
        sequence: u64,
        age: Duration,
        wishes: impl IntoIterator<Item = (String, ClusterCommand)>,
    ) {
        let message = |(node, body): (String, ClusterCommand)| {
            let command = CommandMessage {
                schema: SCHEMA,
                at: self.host.clock.now() - age,
                epoch: 1,
                sequence,
                namespace: key.namespace.clone(),
                workflow: key.name.clone(),
                workflow_uid: key.uid.clone(),
                node_id: node.clone(),
                body,
            };
            let id = format!("{}:{sequence}:{node}:{}", key.uid, command.body.kind());
            let subject = subject::Command { shard: 0, uid: key.uid.clone(), node };
            Publish::new(Stream::Commands, subject.to_string(), id, serde_json::to_vec(&command).expect("JSON"))
        };
        self.host.publish(wishes.into_iter().map(message).collect()).await.expect("published");
    }

    /// A pod that has been created.
    pub async fn pod(&self, key: &WorkflowKey, name: &str) {
        self.wish(key, Duration::ZERO, [(name.to_owned(), create(key, name))]).await;
        tokio::time::sleep(SOON).await;
        self.pods(key).get(name).await.expect("the pod");
    }

    /// The pod has succeeded, and its `wait` container leaves a report.
    pub async fn end(&self, key: &WorkflowKey, name: &str, report: Value) {
        let ended = |name: &str, message: String| {
            let state = json!({"terminated": {"exitCode": 0, "reason": "Completed", "message": message}});
            json!({"name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state})
        };
        let containers = json!([ended("main", String::new()), ended("wait", report.to_string())]);
        let status = json!({"status": {"phase": "Succeeded", "containerStatuses": containers}});
        self.pods(key).patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await.expect("patched");
    }

    /// What the log of the workflow was told.
    pub async fn log(&self, key: &WorkflowKey) -> Vec<Observed> {
        let (log, mut after, mut told) = (self.host.observed_subject(&key.uid), 0, Vec::new());
        loop {
            let page = self.bus.read(Stream::Observed, &log, after, PAGE).await.expect("readable");
            let Some(last) = page.last() else { return told };
            after = last.sequence;
            let body = |payload: &[u8]| serde_json::from_slice::<ObservedMessage>(payload).expect("ours").body;
            told.extend(page.iter().map(|message| body(&message.payload)));
        }
    }

    /// How the log was told that the pod looks, but for looks before its end.
    pub async fn ends(&self, key: &WorkflowKey) -> Vec<PodSummary> {
        let looks = self.log(key).await.into_iter().filter_map(|body| match body {
            Observed::PodChanged { pod } => Some(*pod),
            _ => None,
        });
        looks.filter(|pod| pod.phase == PodPhase::Succeeded || pod.deleted).collect()
    }

    /// Commands that nobody has settled.
    pub async fn undone(&self) -> u64 {
        let lag = self.bus.lag(Stream::Commands, "pod-runner-0").await.expect("readable").expect("it consumes");
        lag.pending + lag.unacknowledged
    }
}

/// A wish for a pod of the workflow.
pub fn create(key: &WorkflowKey, name: &str) -> ClusterCommand {
    let owner = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": key.name, "uid": key.uid,
        "controller": true});
    create_of(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "ownerReferences": [owner], "annotations": {labels::NODE_ID: name}},
        "spec": {"containers": [{"name": "main", "image": "i"}, {"name": "wait", "image": "i"}]},
    }))
}

/// A wish for a pod with this manifest.
pub fn create_of(manifest: Value) -> ClusterCommand {
    ClusterCommand::CreatePod {
        manifest: serde_json::from_value::<Manifest>(manifest).expect("any value is one"),
        not_before: 0,
    }
}

/// The same wish, for a pod that was wished for at `sequence` or later.
pub fn not_before(sequence: u64, wish: ClusterCommand) -> ClusterCommand {
    match wish {
        ClusterCommand::CreatePod { manifest, .. } => ClusterCommand::CreatePod { manifest, not_before: sequence },
        other => other,
    }
}
