//! An API in this process, replicas of the garbage collector, and a clock that the tests set.

use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Clock, Failure, Host};
use argosy_apiserver as apiserver;
use argosy_bus::memory::Memory;
use argosy_gc::{Options, Service};
use argosy_objects::api;
use jiff::Timestamp;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub struct World {
    server: apiserver::Server,
    pub clock: Clock,
    bus: Arc<Memory>,
}

struct ApiClock(Clock);

impl apiserver::Clock for ApiClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

/// A replica. Dropped without a word it goes on; its lease outlives it.
pub struct Replica(JoinHandle<Result<(), Failure>>);

impl Replica {
    /// Ends it as a crash does.
    pub fn die(self) {
        self.0.abort();
    }
}

impl World {
    pub fn new() -> Self {
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().expect("a time"));
        let options = apiserver::Options { clock: Arc::new(ApiClock(clock)), ..apiserver::Options::default() };
        Self { server: apiserver::Server::new(options), clock, bus: Arc::new(Memory::new()) }
    }

    pub fn start(&self, name: &str, options: Options) -> Replica {
        let host = Host { clock: self.clock, ..Host::new(self.bus.clone(), name, 4) };
        let service = Service::new(host, self.server.client("argo"), options);
        Replica(tokio::spawn(service.run(CancellationToken::new())))
    }

    fn workflows(&self) -> Api<DynamicObject> {
        api::workflows(&self.server.client("argo"), "argo")
    }

    /// A workflow that has just ended, with this `spec`, and these annotations.
    pub async fn ended(&self, name: &str, phase: &str, spec: Value, annotations: Value) {
        let object = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "spec": spec,
            "metadata": {"name": name, "namespace": "argo", "annotations": annotations,
                "labels": {"workflows.argoproj.io/phase": phase, "workflows.argoproj.io/completed": "true"}},
            "status": {"phase": phase, "finishedAt": self.clock.now().to_string()},
        });
        let object: DynamicObject = serde_json::from_value(object).expect("an object");
        self.workflows().create(&PostParams::default(), &object).await.expect("created");
    }

    pub async fn patch(&self, name: &str, patch: Value) {
        self.workflows().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.expect("patched");
    }

    /// The names of the workflows that are left.
    pub async fn left(&self) -> Vec<String> {
        let all = self.workflows().list(&ListParams::default()).await.expect("listed");
        let mut names: Vec<String> = all.items.into_iter().filter_map(|object| object.metadata.name).collect();
        names.sort();
        names
    }

    /// So many seconds pass, while everybody works.
    pub async fn pass(&self, secs: u64) {
        tokio::time::sleep(Duration::from_secs(secs)).await;
    }

    /// When it will be in so many seconds.
    pub fn after(&self, secs: i64) -> String {
        let at = self.clock.now().as_second() + secs;
        Timestamp::from_second(at).expect("in range").to_string()
    }
}
