//! An API in this process, replicas of the cron-runner, and a clock that the tests set.

use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Clock, Failure, Host};
use argosy_apiserver as apiserver;
use argosy_bus::memory::Memory;
use argosy_cron_runner::{Options, Service};
use argosy_objects::api;
use jiff::{Timestamp, tz::TimeZone};
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// When the tests begin: ten seconds before a minute.
const BEGIN: &str = "2024-05-06T09:59:50Z";

pub struct World {
    pub server: apiserver::Server,
    pub clock: Clock,
}

/// A replica. Dropped without a word it dies, and its lease outlives it.
pub struct Replica {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), Failure>>,
}

impl Replica {
    /// Ends it in order.
    pub async fn leave(self) {
        self.shutdown.cancel();
        self.task.await.expect("it does not panic").expect("it ends well");
    }

    /// Ends it as a crash does.
    pub fn die(self) {
        self.task.abort();
    }
}

struct ApiClock(Clock);

impl apiserver::Clock for ApiClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

impl World {
    pub fn new() -> Self {
        let clock = Clock::starting_at(BEGIN.parse().expect("a time"));
        let options = apiserver::Options { clock: Arc::new(ApiClock(clock)), ..apiserver::Options::default() };
        Self { server: apiserver::Server::new(options), clock }
    }

    /// A replica on `bus`. Replicas on different ones know nothing of each other, and each believes that it alone acts.
    pub fn start(&self, bus: &Arc<Memory>, name: &str) -> Replica {
        let host = Host { clock: self.clock, ..Host::new(bus.clone(), name, 4) };
        let service = Service::new(host, self.server.client("argo"), Options::default(), TimeZone::UTC);
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(service.run(shutdown.clone()));
        Replica { shutdown, task }
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.server.client("argo"), "argo", &api::argo_kind(kind))
    }

    /// Creates the CronWorkflow `c`, with these members of its spec.
    pub async fn cron(&self, spec: Value) {
        let mut object = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "CronWorkflow", "metadata": {"name": "c", "namespace": "argo"},
            "spec": {"schedules": ["* * * * *"], "workflowSpec": {"entrypoint": "main",
                "templates": [{"name": "main", "container": {"image": "busybox", "command": ["true"]}}]}},
        });
        for (key, value) in spec.as_object().into_iter().flatten() {
            object["spec"][key] = value.clone();
        }
        self.create("CronWorkflow", object).await;
    }

    pub async fn create(&self, kind: &str, object: Value) {
        let object: DynamicObject = serde_json::from_value(object).expect("an object");
        self.api(kind).create(&PostParams::default(), &object).await.expect("created");
    }

    pub async fn patch(&self, kind: &str, name: &str, patch: Value) {
        self.api(kind).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.expect("patched");
    }

    /// The CronWorkflow as it is.
    pub async fn get(&self) -> Value {
        api::to_json(&self.api("CronWorkflow").get("c").await.expect("it is there")).expect("JSON")
    }

    /// The workflows, by name.
    pub async fn workflows(&self) -> Vec<Value> {
        let all = self.api("Workflow").list(&ListParams::default()).await.expect("listed");
        let mut all: Vec<Value> = all.items.iter().map(|object| api::to_json(object).expect("JSON")).collect();
        all.sort_by_key(|workflow| workflow["metadata"]["name"].to_string());
        all
    }

    /// The times of day that workflows stand for.
    pub async fn moments(&self) -> Vec<String> {
        let time = |workflow: &Value| {
            let text =
                workflow["metadata"]["annotations"]["workflows.argoproj.io/scheduled-time"].as_str().map(str::to_owned);
            text.unwrap_or_default()[11..19].to_owned()
        };
        self.workflows().await.iter().map(time).collect()
    }

    /// Says that the workflow of this time of day has ended, as the status service does.
    pub async fn ends(&self, clock: &str, phase: &str) {
        let at: Timestamp = format!("2024-05-06T{clock}Z").parse().expect("a time");
        let noted = json!({
            "metadata": {"labels": {"workflows.argoproj.io/phase": phase, "workflows.argoproj.io/completed": "true"}},
            "status": {"phase": phase, "finishedAt": self.clock.now().to_string()},
        });
        self.patch("Workflow", &format!("c-{}", at.as_second()), noted).await;
    }

    /// Lets it be this time of day, while everybody works.
    pub async fn until(&self, clock: &str) {
        let at: Timestamp = format!("2024-05-06T{clock}Z").parse().expect("a time");
        let left = Duration::try_from(at.duration_since(self.clock.now())).expect("in the future");
        tokio::time::sleep(left).await;
    }

    /// The machine sleeps: nobody works meanwhile.
    pub async fn sleep(&self, hours: u64) {
        tokio::time::advance(Duration::from_secs(hours * 3600)).await;
    }
}
