//! Services against an existing cluster and NATS: one role per process, or all in one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use argosy_actor::{Failure, Host};
use argosy_bus::Bus;
use argosy_bus::nats::{self, Prefix};
use argosy_engine::Config;
use jiff::tz::TimeZone;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::engine::EngineOptions;

/// Where the bus and the cluster are.
#[derive(Clone, Debug, clap::Args)]
pub struct Connect {
    /// The bus: address of a NATS server with JetStream.
    #[arg(long, env = "ARGOSY_NATS", default_value = "nats://127.0.0.1:4222")]
    pub nats: String,
    #[command(flatten)]
    pub nats_options: NatsOptions,
    /// Number of shards of the installation; never changed after the first start.
    #[arg(long, env = "ARGOSY_SHARDS", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub shards: u16,
    /// Address of `/metrics`, `/healthz` and `/readyz`, such as `0.0.0.0:9090`.
    #[arg(long, env = "ARGOSY_METRICS_LISTEN")]
    pub metrics_listen: Option<SocketAddr>,
    /// Image of the init and wait containers.
    #[arg(long, env = "ARGOSY_EXECUTOR_IMAGE", default_value = "argosy/executor")]
    pub executor_image: String,
    /// Argo's configuration, a ConfigMap in the namespace of this process. When it changes, the services start anew with it.
    #[arg(long, env = "ARGOSY_CONFIG_MAP", value_name = "NAME")]
    pub config_map: Option<String>,
}

/// How the NATS server is used.
#[derive(Clone, Debug, clap::Args)]
pub struct NatsOptions {
    /// Names this installation among others on the same server: its streams, subjects and leases carry it.
    #[arg(long, env = "ARGOSY_PREFIX", default_value_t)]
    pub prefix: Prefix,
    /// Copies of each stream and of the leases, on a cluster of servers: 1, 3 or 5.
    #[arg(long, env = "ARGOSY_NATS_REPLICAS", default_value_t = 1)]
    pub nats_replicas: usize,
    /// Largest stream in bytes; what is to be written waits while it is full. Without it, the server's limits.
    #[arg(long, env = "ARGOSY_NATS_STREAM_BYTES_MAX")]
    pub nats_stream_bytes_max: Option<u64>,
    /// File with credentials (JWT and seed).
    #[arg(long, env = "ARGOSY_NATS_CREDS", value_name = "FILE")]
    pub nats_creds: Option<PathBuf>,
    /// PEM certificates trusted in addition to the system's; turns TLS on.
    #[arg(long, env = "ARGOSY_NATS_CA", value_name = "FILE")]
    pub nats_ca: Option<PathBuf>,
}

impl Default for NatsOptions {
    fn default() -> Self {
        Self {
            prefix: Prefix::default(),
            nats_replicas: 1,
            nats_stream_bytes_max: None,
            nats_creds: None,
            nats_ca: None,
        }
    }
}

impl NatsOptions {
    /// For an installation of so many shards.
    pub(crate) fn bus(&self, shards: u16) -> nats::Options {
        nats::Options {
            shards: Some(shards),
            prefix: self.prefix.clone(),
            replicas: self.nats_replicas,
            stream_bytes_max: self.nats_stream_bytes_max,
            credentials_file: self.nats_creds.clone(),
            root_certificates: self.nats_ca.clone(),
            ..nats::Options::default()
        }
    }
}

/// Requests per second to an API in this process: more than it answers.
const OWN_API_REQUESTS_PER_SEC: u32 = 10_000;

/// Settings of every service.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ServiceOptions {
    #[command(flatten)]
    pub watcher: argosy_watcher::Options,
    #[command(flatten)]
    pub scheduler: argosy_scheduler::Options,
    #[command(flatten)]
    pub pod_runner: argosy_pod_runner::Options,
    #[command(flatten)]
    pub status: argosy_status::Options,
}

impl ServiceOptions {
    /// For an API in this process, which nobody else asks: what a cluster's API server has to be spared would only make the
    /// laptop slow.
    pub fn of_own_api() -> Self {
        Self {
            pod_runner: argosy_pod_runner::Options {
                pod_requests_per_sec: OWN_API_REQUESTS_PER_SEC,
                ..Default::default()
            },
            status: argosy_status::Options {
                status_writes_per_sec: OWN_API_REQUESTS_PER_SEC,
                status_minor_ms: 0,
                ..Default::default()
            },
            ..Self::default()
        }
    }
}

/// All services in one process, against an existing cluster.
#[derive(Clone, Debug, clap::Args)]
pub struct AllInOne {
    #[command(flatten)]
    pub connect: Connect,
    #[command(flatten)]
    pub services: ServiceOptions,
    #[command(flatten)]
    pub engine: EngineOptions,
    #[command(flatten)]
    pub recorder: argosy_recorder::Options,
    #[command(flatten)]
    pub cron_runner: argosy_cron_runner::Options,
    #[command(flatten)]
    pub gc: argosy_gc::Options,
}

/// What a process does.
#[derive(Clone, Debug)]
pub enum Role {
    /// Reports changes of Workflow objects.
    Watcher(argosy_watcher::Options),
    /// Hosts the engine.
    Scheduler(argosy_scheduler::Options),
    /// Creates and watches pods.
    PodRunner(argosy_pod_runner::Options),
    /// Writes the status of Workflow objects.
    Status(argosy_status::Options),
    /// Records Kubernetes Events.
    Recorder(argosy_recorder::Options),
    /// Starts the workflows of CronWorkflows.
    CronRunner(argosy_cron_runner::Options),
    /// Deletes finished workflows whose time is up.
    Gc(argosy_gc::Options),
    /// All that a workflow needs: neither the recorder nor the cron-runner nor the garbage collector.
    All(Box<ServiceOptions>),
}

impl Role {
    /// With what differs where kubelets run the pods.
    pub(crate) fn in_cluster(mut self) -> Self {
        match &mut self {
            Self::PodRunner(options) => options.asks_registries = true,
            Self::All(options) => options.pod_runner.asks_registries = true,
            Self::Watcher(_)
            | Self::Scheduler(_)
            | Self::Status(_)
            | Self::Recorder(_)
            | Self::CronRunner(_)
            | Self::Gc(_) => {}
        }
        self
    }
}

/// Runs all services on `bus` for the cluster behind `client`, until `shutdown`.
///
/// Errors: a service that ended.
pub async fn run_all(
    host: &Host,
    client: &kube::Client,
    config: Config,
    options: ServiceOptions,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    run([Role::All(Box::new(options))], host, client, config, shutdown).await
}

/// Runs such roles on `host` until `shutdown`.
///
/// Errors: a service that ended.
pub(crate) async fn run(
    roles: impl IntoIterator<Item = Role>,
    host: &Host,
    client: &kube::Client,
    config: Config,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let mut tasks = JoinSet::new();
    for role in roles {
        spawn(&mut tasks, role, host, client, config.clone(), &shutdown);
    }
    join(tasks, &shutdown).await
}

/// A host with a name of its own.
pub(crate) fn host(bus: Arc<dyn Bus>, shards: u16) -> Host {
    Host::new(bus, uuid::Uuid::new_v4().to_string(), shards.max(1))
}

fn spawn(
    tasks: &mut JoinSet<Result<(), Failure>>,
    role: Role,
    host: &Host,
    client: &kube::Client,
    config: Config,
    shutdown: &CancellationToken,
) {
    let (host, client, shutdown) = (host.clone(), client.clone(), shutdown.clone());
    match role {
        Role::Watcher(options) => {
            let service = argosy_watcher::Service::new(host, client, options);
            tasks.spawn(async move { service.run(shutdown).await.map_err(Failure::from) });
        }
        Role::Scheduler(options) => {
            _ = tasks.spawn(argosy_scheduler::Service::new(host, client, config, options).run(shutdown))
        }
        Role::PodRunner(options) => {
            _ = tasks.spawn(argosy_pod_runner::Service::new(host, client, options).run(shutdown))
        }
        Role::Recorder(options) => {
            let service = argosy_recorder::Service::new(host, client, options);
            tasks.spawn(async move {
                service.run(shutdown).await;
                Ok(())
            });
        }
        Role::CronRunner(options) => {
            let service = argosy_cron_runner::Service::new(host, client, options, TimeZone::system());
            tasks.spawn(service.run(shutdown));
        }
        Role::Gc(mut options) => {
            options.ttl_default = config.workflow_defaults.as_ref().and_then(|spec| spec.ttl_strategy.clone());
            tasks.spawn(argosy_gc::Service::new(host, client, options).run(shutdown));
        }
        Role::Status(options) => _ = tasks.spawn(argosy_status::Service::new(host, client, options).run(shutdown)),
        Role::All(options) => {
            let ServiceOptions { watcher, scheduler, pod_runner, status } = *options;
            for role in
                [Role::Status(status), Role::PodRunner(pod_runner), Role::Scheduler(scheduler), Role::Watcher(watcher)]
            {
                spawn(tasks, role, &host, &client, config.clone(), &shutdown);
            }
        }
    }
}

/// Waits for all; the first that fails ends the others.
pub(crate) async fn join(mut tasks: JoinSet<Result<(), Failure>>, shutdown: &CancellationToken) -> Result<(), Failure> {
    let mut failure = None;
    while let Some(ended) = tasks.join_next().await {
        let result = ended.unwrap_or_else(|error| Err(error.into()));
        // One that ends by itself leaves the rest without it.
        shutdown.cancel();
        if let Err(error) = result {
            tracing::error!(error = &*error as &dyn std::error::Error, "a service ended");
            failure.get_or_insert(error);
        }
    }
    failure.map_or(Ok(()), Err)
}
