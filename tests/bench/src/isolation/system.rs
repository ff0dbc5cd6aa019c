//! All services with few shards, on one of the buses, with an API and a node in this process.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, Result, anyhow};
use argosy_actor::{Failure, Host};
use argosy_apiserver::{Options, Server};
use argosy_bus::{Bus, memory::Memory};
use argosy_engine::Config;
use argosy_objects::api;
use argosy_standalone::{ServiceOptions, run_all};
use kube::api::{Api, DynamicObject, PostParams};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{nats, node, webhook::Webhook};

/// So few that a sick workflow shares its shard with half of the healthy ones.
const SHARDS: u16 = 2;
/// Requests per second that the services may make of the API: more than they do. With what is usual the healthy workflows
/// would wait for their turns most of the time, and what a sick one costs them would not be seen.
const REQUESTS_PER_SEC: u32 = 10_000;

/// What the services meet on.
#[derive(Clone, Debug)]
pub enum Place {
    /// The bus in this process.
    Memory,
    /// A server that is started from this binary, anew for each measurement.
    Nats(PathBuf),
}

impl Place {
    /// The name in figures.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Nats(_) => "nats",
        }
    }
}

fn options() -> ServiceOptions {
    ServiceOptions {
        pod_runner: argosy_pod_runner::Options { pod_requests_per_sec: REQUESTS_PER_SEC, ..Default::default() },
        status: argosy_status::Options { status_writes_per_sec: REQUESTS_PER_SEC, ..Default::default() },
        ..ServiceOptions::default()
    }
}

/// A running system.
pub struct System {
    pub server: Server,
    pub webhook: Arc<Webhook>,
    stop: CancellationToken,
    services: JoinHandle<Result<(), Failure>>,
    node: JoinHandle<Result<()>>,
    _nats: Option<nats::Server>,
}

impl System {
    /// Starts everything, with nothing in it.
    ///
    /// Errors: what does not start.
    pub async fn start(place: &Place) -> Result<Self> {
        let nats = match place {
            Place::Memory => None,
            Place::Nats(binary) => Some(nats::Server::start(binary).await?),
        };
        let bus: Arc<dyn Bus> = match &nats {
            None => Arc::new(Memory::new()),
            Some(server) => {
                let options = argosy_bus::nats::Options { shards: Some(SHARDS), ..Default::default() };
                argosy_bus::open(&server.url(), options).await.context("open the bus")?
            }
        };
        let (server, webhook) = (Server::new(Options::default()), Arc::<Webhook>::default());
        let stop = CancellationToken::new();
        let host = Host::new(bus, "bench", SHARDS);
        let (client, ending) = (webhook.client(&server, "argo"), stop.clone());
        let services = async move { run_all(&host, &client, Config::default(), options(), ending).await };
        Ok(Self {
            services: tokio::spawn(services),
            node: tokio::spawn(node::run(server.client("argo"), stop.clone())),
            server,
            webhook,
            stop,
            _nats: nats,
        })
    }

    pub fn workflows(&self, namespace: &str) -> Api<DynamicObject> {
        api::workflows(&self.server.client(namespace), namespace)
    }

    /// Creates a Workflow.
    ///
    /// Errors: the API refuses.
    pub async fn submit(&self, namespace: &str, name: &str, spec: Value) -> Result<()> {
        let object = serde_json::json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
            "metadata": {"name": name, "namespace": namespace}, "spec": spec,
        });
        let object: DynamicObject = serde_json::from_value(object).with_context(|| format!("write {name}"))?;
        let created = self.workflows(namespace).create(&PostParams::default(), &object).await;
        created.map(|_| ()).with_context(|| format!("create {name}"))
    }

    /// Ends everything.
    ///
    /// Errors: a service or the node had failed.
    pub async fn end(self) -> Result<()> {
        self.stop.cancel();
        self.services.await?.map_err(|error| anyhow!(error)).context("a service failed")?;
        self.node.await?.context("the node failed")
    }
}
