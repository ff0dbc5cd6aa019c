//! Where the scheduler lives.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Clock, Host};
use argosy_api::message::{CommandMessage, ContainerSummary, Observed, PodSummary, StatusChanged};
use argosy_api::v1alpha1::NodePhase;
use argosy_apiserver::{Options, Server};
use argosy_bus::memory::Memory;
use argosy_bus::{Bus, Message, Stream, subject};
use argosy_engine::Config;
use argosy_objects::api;
use argosy_scheduler::Service;
use argosy_workflows::{WorkflowKey, WorkflowLog as _, workflow_changed};
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than anything takes that waits for nothing.
pub const SOON: Duration = Duration::from_secs(60);

pub struct World {
    pub server: Server,
    /// As a test sees it, whatever the scheduler has to bear.
    pub bus: Arc<Memory>,
    pub host: Host,
}

/// A scheduler that runs.
pub struct Running {
    pub stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Has it end in order.
    pub async fn leave(self) {
        self.stop.cancel();
        self.task.await.expect("it ends");
    }

    /// Ends it without a word.
    pub async fn die(self) {
        self.task.abort();
        assert!(self.task.await.is_err_and(|error| error.is_cancelled()), "it lived until now");
    }
}

impl World {
    pub fn new() -> Self {
        let bus = Arc::new(Memory::new());
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().expect("a timestamp"));
        let host = Host { clock, ..Host::new(bus.clone(), "test", 1) };
        Self { server: Server::new(Options::default()), bus, host }
    }

    pub fn start(&self, holder: &str) -> Running {
        self.start_on(self.bus.clone(), holder)
    }

    /// The same, with the bus as the scheduler is to see it.
    pub fn start_on(&self, bus: Arc<dyn Bus>, holder: &str) -> Running {
        let host = Host { bus, holder: holder.to_owned(), ..self.host.clone() };
        let options = argosy_scheduler::Options::default();
        let service = Service::new(host, self.server.client("argo"), Config::default(), options);
        let stop = CancellationToken::new();
        let shutdown = stop.clone();
        Running { stop, task: tokio::spawn(async move { service.run(shutdown).await.expect("it ends well") }) }
    }

    pub fn workflows(&self) -> Api<DynamicObject> {
        api::workflows(&self.server.client("argo"), "argo")
    }

    /// A workflow of one pod, whose node is named as the workflow, is made; the log is told as the watcher does.
    pub async fn submit(&self, name: &str, more: Value) -> WorkflowKey {
        let mut spec = json!({"entrypoint": "main", "templates": [{"name": "main", "container": {"image": "i", "command": ["c"]}}]});
        json_members(&mut spec).extend(json_members(&mut more.clone()).clone());
        let object = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
            "metadata": {"name": name, "namespace": "argo"}, "spec": spec});
        let object = serde_json::from_value(object).expect("an object");
        let made = self.workflows().create(&PostParams::default(), &object).await.expect("created");
        let key = WorkflowKey {
            uid: made.metadata.uid.clone().expect("objects have uids"),
            namespace: "argo".into(),
            name: name.into(),
        };
        let report = workflow_changed(&self.host, &key, made, false);
        self.host.publish(vec![report]).await.expect("published");
        key
    }

    pub async fn delete(&self, name: &str) {
        self.workflows().delete(name, &DeleteParams::default()).await.expect("deleted");
    }

    /// The log is told that the pod of a workflow's only node looks like this.
    pub async fn pod(&self, key: &WorkflowKey, phase: &str) {
        self.tell_pod(key, phase, phase).await;
    }

    /// The log is told, once more, that the pod of a workflow's only node runs.
    pub async fn look_at_pod(&self, key: &WorkflowKey, look: &str) {
        self.tell_pod(key, "Running", look).await;
    }

    async fn tell_pod(&self, key: &WorkflowKey, phase: &str, id: &str) {
        let body = Observed::PodChanged { pod: Box::new(pod(&key.name, phase)) };
        self.host.report(key, format!("{}:pod:{id}", key.uid), body).await.expect("published");
    }

    pub async fn log(&self, key: &WorkflowKey) -> Vec<Message> {
        let log = self.host.observed_subject(&key.uid);
        self.bus.read(Stream::Observed, &log, 0, 1000).await.expect("readable")
    }

    pub async fn ids(&self, key: &WorkflowKey) -> Vec<String> {
        self.log(key).await.into_iter().map(|message| message.id).collect()
    }

    /// What was published of a workflow. A new owner publishes again what is not written yet, which is no news.
    pub async fn events(&self, key: &WorkflowKey) -> Vec<StatusChanged> {
        let all = self.bus.read(Stream::Events, &subject::of_stream(Stream::Events), 0, 1000).await.expect("readable");
        let mut ids = BTreeSet::new();
        let news = all.iter().filter(|message| ids.insert(&message.id));
        let changes = news.filter_map(|message| serde_json::from_slice(&message.payload).ok());
        changes.filter(|change: &StatusChanged| change.workflow_uid == key.uid).collect()
    }

    /// What was wished for of a workflow, by kind.
    pub async fn wishes(&self, key: &WorkflowKey) -> Vec<&'static str> {
        let all =
            self.bus.read(Stream::Commands, &subject::of_stream(Stream::Commands), 0, 1000).await.expect("readable");
        let wishes = all.iter().map(|message| serde_json::from_slice(&message.payload).expect("a command"));
        let of = |wish: CommandMessage| (wish.workflow_uid == key.uid).then(|| wish.body.kind());
        wishes.filter_map(of).collect()
    }

    /// Epochs of those who claimed the only shard.
    pub async fn claims(&self) -> Vec<String> {
        let claims = subject::Event::claim(0).to_string();
        let claims = self.bus.read(Stream::Events, &claims, 0, 100).await.expect("readable");
        claims.into_iter().map(|message| message.id).collect()
    }

    /// Whether it was published that the workflow has ended well.
    pub async fn has_succeeded(&self, key: &WorkflowKey) -> bool {
        let deltas = self.events(key).await.into_iter().filter_map(|change| change.workflow_status);
        deltas.last().is_some_and(|delta| delta.completed && delta.status["phase"] == "Succeeded")
    }

    pub async fn begins(&self, key: &WorkflowKey) {
        self.until("a wish for the pod", async || self.wishes(key).await == ["createPod"]).await;
    }

    pub async fn succeeds(&self, key: &WorkflowKey) {
        self.until("success", async || self.has_succeeded(key).await).await;
    }

    pub async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        for _ in 0..10_000 {
            if is_so().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = self.bus.read(Stream::Observed, &subject::of_stream(Stream::Observed), 0, 100).await;
        panic!("waited in vain for {what}: {log:#?}");
    }

    /// What the shard's consumer has handed out and not been answered for.
    pub async fn unacknowledged(&self) -> u64 {
        let lag = self.bus.lag(Stream::Observed, "scheduler-0").await.expect("a bus");
        lag.expect("a consumer").unacknowledged
    }
}

fn json_members(value: &mut Value) -> &mut serde_json::Map<String, Value> {
    value.as_object_mut().expect("an object")
}

fn pod(node: &str, phase: &str) -> PodSummary {
    let main = match phase {
        "Succeeded" => (NodePhase::Succeeded, Some(0)),
        _ => (NodePhase::Running, None),
    };
    let container = |name: &str| ContainerSummary {
        name: name.into(),
        phase: main.0,
        exit_code: main.1,
        ..ContainerSummary::default()
    };
    PodSummary {
        node_id: node.into(),
        name: node.into(),
        uid: format!("{node}-pod"),
        phase: phase.into(),
        containers: vec![container("main"), container("wait")],
        ..PodSummary::default()
    }
}
