//! Services against an existing cluster and NATS: one role per process, or all in one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Backoff, Failure, Host};
use argosy_bus::nats::{self, Prefix};
use argosy_bus::{Bus, Class, Stream};
use argosy_engine::Config;
use argosy_telemetry::{Health, Part};
use jiff::tz::TimeZone;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::argo_config;
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
    /// Argo's configuration, a ConfigMap in the namespace of this process: `artifactRepository` and `workflowDefaults` are read,
    /// once at the start.
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

/// Neither a kubeconfig nor a pod's service account.
#[derive(Debug, thiserror::Error)]
#[error("no cluster: set $KUBECONFIG, or use `argosy dev --nats URL`, which brings an API and a node of its own")]
struct NoCluster {
    source: kube::config::InferConfigError,
}

/// The bus cannot be used, and waiting would not help.
#[derive(Debug, thiserror::Error)]
#[error("use the bus at {place}")]
struct NoBus {
    place: String,
    source: argosy_bus::Error,
}

/// A bus that answered is taken to be there for so long.
const BUS_ANSWERS: Duration = Duration::from_secs(12);

/// Connects to the bus and to the cluster of the current kubeconfig (or of the pod's service account), and runs the roles
/// until `shutdown`; `engine` is for the scheduler. A NATS server that does not answer yet is waited for, so that everything may be started in any order.
///
/// Errors: a bus that refuses; no cluster; a service that ended.
pub async fn run_roles(
    roles: Vec<Role>,
    connect: &Connect,
    engine: &EngineOptions,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let client = kube::Config::infer().await.map_err(|source| NoCluster { source })?;
    let client = kube::Client::try_from(client)?;
    let mut config = Config { executor_image: connect.executor_image.clone(), ..Config::default() };
    if let Some(name) = &connect.config_map {
        argo_config::read(&client, name, &mut config).await?;
    }
    engine.apply(&mut config);
    let health = Health::default();
    let bus_part = health.part("bus", "a server that answers");
    let mut tasks = JoinSet::new();
    if let Some(address) = connect.metrics_listen {
        let (health, shutdown) = (health.clone(), shutdown.clone());
        let serve = argosy_telemetry::serve(address, health, async move { shutdown.cancelled().await });
        tasks.spawn(async move { serve.await.map_err(Failure::from) });
    }
    let bus = tokio::select! {
        biased;
        () = shutdown.cancelled() => return join(tasks, &shutdown).await,
        bus = open_bus(connect) => bus?,
    };
    if connect.metrics_listen.is_some() {
        tasks.spawn(watch_bus(Arc::clone(&bus), bus_part, shutdown.clone()));
    }
    let host = Host { health, ..host(bus, connect.shards) };
    for role in roles {
        spawn(&mut tasks, role.in_cluster(), &host, &client, config.clone(), &shutdown);
    }
    join(tasks, &shutdown).await
}

impl Role {
    /// With what differs where kubelets run the pods.
    fn in_cluster(mut self) -> Self {
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

/// Says whether the bus answers, until `shutdown`.
async fn watch_bus(bus: Arc<dyn Bus>, part: Part, shutdown: CancellationToken) -> Result<(), Failure> {
    loop {
        let asked = async {
            if bus.origin(Stream::Observed).await.is_ok() {
                part.is_ready_for(BUS_ANSWERS);
            }
            tokio::time::sleep(BUS_ANSWERS / 4).await;
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            () = asked => {}
        }
    }
}

async fn open_bus(connect: &Connect) -> Result<Arc<dyn Bus>, NoBus> {
    let place = without_secrets(&connect.nats);
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
    loop {
        match argosy_bus::open(&connect.nats, connect.nats_options.bus(connect.shards)).await {
            Err(error) if error.class() == Class::Transient => {
                tracing::warn!(place, error = &error as &dyn std::error::Error, "no bus yet, trying again");
                backoff.wait().await;
            }
            result => return result.map_err(|source| NoBus { place, source }),
        }
    }
}

/// The addresses of servers, without what they may hold before an `@`: user, password or token.
fn without_secrets(place: &str) -> String {
    let servers = place.split(',').map(|server| match (server.split_once("://"), server.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        (_, None) => server.to_owned(),
    });
    servers.collect::<Vec<_>>().join(",")
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
async fn join(mut tasks: JoinSet<Result<(), Failure>>, shutdown: &CancellationToken) -> Result<(), Failure> {
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

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn addresses_are_told_without_passwords() {
        let places = "nats://me:secret@a:4222,nats://b:4222,token@c,d:4222";
        assert_eq!(without_secrets(places), "nats://a:4222,nats://b:4222,c,d:4222");
    }
}
