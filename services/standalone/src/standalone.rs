//! The whole system in one process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use argosy_actor::Failure;
use argosy_apiserver::{self as api, Access, LogSource, Server};
use argosy_bus::{Bus, memory, origin_of_now};
use argosy_engine::Config;
use argosy_node::{self as node, Builtin, Images, Node, Runtime};
use argosy_private as private;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use kube::api::LogParams;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config_source::Source;
use crate::embedded::Embedded;
use crate::front::{self, FrontError};
use crate::process::run_configured;
use crate::role::{self, NatsOptions, Role, ServiceOptions};
use crate::temporary::{self, Temporary};

/// How long events are kept by the bus of this process.
const EVENTS_KEEP_HOURS: u64 = 1;
/// Argo's configuration.
const CONFIG_MAP: &str = "workflow-controller-configmap";
/// The file of a data directory that holds the key to the API.
const ACCESS_FILE: &str = "api-access.json";

/// The folders of a data directory.
const FOLDERS: [&str; 4] = ["api", "bus", "node", "artifacts"];

/// True for a directory that [`Options::data_dir`] named once: what is in it is no business of others.
pub fn is_data_dir(dir: &Path) -> bool {
    FOLDERS.iter().all(|name| dir.join(name).is_dir())
}

/// How the system is put together.
pub struct Options {
    /// Where everything is kept, closed to other users; without it in memory and in a temporary directory, gone at the end.
    pub data_dir: Option<PathBuf>,
    /// Address of a NATS server; without it the bus is in this process.
    pub nats: Option<String>,
    /// How that server is used.
    pub nats_options: NatsOptions,
    /// Where `kubectl` may reach the API, with the token of [`Handle::kubeconfig`]; without it nowhere. Loopback only.
    pub listen: Option<SocketAddr>,
    /// Number of shards. Fixed for the life of a data directory.
    pub shards: u16,
    /// An existing cluster, in place of the API and the node of this process.
    pub client: Option<kube::Client>,
    /// The argosy executable: the program whose `main` begins with [`dispatch`](crate::dispatch).
    pub executable: PathBuf,
    /// What images run.
    pub images: Images,
    /// What runs the containers.
    pub runtime: Runtime,
    /// What runs some of them inside the node, besides the executor.
    pub builtins: Vec<Arc<dyn Builtin>>,
    /// Settings of the engine.
    pub config: Config,
    /// Settings of the services. With a `client`, what they ask of it is to be set as a cluster bears it.
    pub services: ServiceOptions,
    /// Whether what happens is recorded as Kubernetes Events, for `kubectl describe` and `kubectl get events`.
    pub records_events: bool,
    /// Whether CronWorkflows are run, and finished workflows deleted when their time is up.
    pub runs_crons: bool,
    /// Whether Argo's configuration is read, where there is one: the ConfigMap `workflow-controller-configmap` in the namespace
    /// `argo`. When it changes, the services start anew with it.
    pub config_map: bool,
    /// Only the API and the node: the services run elsewhere, as roles of their own.
    pub without_services: bool,
}

impl Options {
    /// In memory, with the executor inside the node, for the program `executable`.
    pub fn new(executable: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: None,
            nats: None,
            nats_options: NatsOptions::default(),
            listen: None,
            shards: 4,
            client: None,
            executable: executable.into(),
            images: Images::default(),
            runtime: Runtime::default(),
            builtins: Vec::new(),
            config: Config::default(),
            services: ServiceOptions::of_own_api(),
            records_events: false,
            runs_crons: false,
            config_map: false,
            without_services: false,
        }
    }
}

/// The system did not start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No directory for the node.
    #[error("make a temporary directory")]
    TemporaryDirectory(#[source] std::io::Error),
    /// The data directory is not this user's alone, or cannot be made.
    #[error("use the data directory")]
    DataDirectory(#[source] private::Error),
    /// There is no key to the API.
    #[error("make the API's token")]
    Access(#[from] api::AccessError),
    /// The bus cannot be opened.
    #[error("open the bus")]
    Bus(#[from] argosy_bus::Error),
    /// The artifacts' directory cannot be made.
    #[error("open the artifact store")]
    Artifacts(#[from] argosy_artifacts::Error),
    /// A limit of the executor cannot be read.
    #[error("read the limits of steps")]
    Limits(#[from] argosy_executor::BadLimit),
    /// The API's objects cannot be read.
    #[error("open the API's objects")]
    Api(#[from] api::OpenError),
    /// The node cannot work.
    #[error("start the node")]
    Node(#[from] node::Error),
    /// The address of the API is taken, or not ours.
    #[error("listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A service ended.
    #[error("a service ended")]
    Service(#[source] Failure),
    /// The system's own task died.
    #[error("the system died")]
    Died(#[from] tokio::task::JoinError),
}

impl Error {
    /// Whether another process has the data directory, so that it may be had later.
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Bus(argosy_bus::Error::Locked { .. }) | Self::Api(api::OpenError::InUse { .. }))
    }
}

/// Starts the system.
pub struct Standalone;

/// The running system. It ends with `shutdown`, or when dropped (without waiting).
pub struct Handle {
    cluster: Cluster,
    bus: Arc<dyn Bus>,
    listening: Option<(SocketAddr, Arc<Access>)>,
    sandbox: Option<String>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Failure>>,
}

/// What the services work on.
enum Cluster {
    /// The API of this process.
    Own(Server),
    /// One that exists.
    Given(kube::Client),
}

impl Cluster {
    fn client(&self, namespace: &str) -> kube::Client {
        match self {
            Self::Own(server) => server.client(namespace),
            Self::Given(client) => client.clone(),
        }
    }

    fn server(&self) -> Option<&Server> {
        match self {
            Self::Own(server) => Some(server),
            Self::Given(_) => None,
        }
    }
}

impl Standalone {
    /// Starts everything and returns once the API answers.
    ///
    /// Errors: what does not start.
    pub async fn start(options: Options) -> Result<Handle, Error> {
        let stop = CancellationToken::new();
        let temporary = match &options.data_dir {
            Some(_) => None,
            None => {
                temporary::clean(&std::env::temp_dir());
                Some(Temporary::new(&std::env::temp_dir()).map_err(Error::TemporaryDirectory)?)
            }
        };
        if let Some(dir) = &options.data_dir {
            private::dir(dir).map_err(Error::DataDirectory)?;
            for name in FOLDERS {
                private::dir(&dir.join(name)).map_err(Error::DataDirectory)?;
            }
        }
        let bus = open_bus(&options).await?;
        let host = role::host(Arc::clone(&bus), options.shards);
        let cluster = match (options.client, &options.data_dir) {
            (Some(client), _) => Cluster::Given(client),
            (None, None) => Cluster::Own(Server::new(api::Options::default())),
            (None, Some(dir)) => Cluster::Own(Server::open(api::Options::default(), &dir.join("api"))?),
        };
        let client = cluster.client("argo");
        let (listening, serving) = match (cluster.server(), options.listen) {
            (Some(server), Some(address)) => {
                let access = Arc::new(match &options.data_dir {
                    // A kubeconfig stays good as long as the data.
                    Some(dir) => Access::open(&dir.join(ACCESS_FILE))?,
                    None => Access::new()?,
                });
                let (address, task) = listen(server, address, &access, &stop).await?;
                (Some((address, access)), Some(task))
            }
            (None, _) | (_, None) => (None, None),
        };
        let node = match cluster.server() {
            None => None,
            Some(server) => {
                let root: &Path = match (&options.data_dir, &temporary) {
                    (Some(dir), _) => dir,
                    (None, Some(temporary)) => temporary.path(),
                    (None, None) => Path::new("."),
                };
                let limits = argosy_executor::Limits::from_env()?;
                let store = Arc::new(argosy_artifacts::LocalStore::open_at(root.join("artifacts"))?);
                let executor: Arc<dyn Builtin> = Arc::new(Embedded::new(store).with_limits(limits));
                let builtins = std::iter::once(executor).chain(options.builtins);
                let node = Node::new(node::Options {
                    client: client.clone(),
                    data_dir: root.join("node"),
                    name: "argosy".to_owned(),
                    executable: options.executable,
                    images: options.images,
                    runtime: options.runtime,
                    builtins: builtins.collect(),
                    records_events: options.records_events,
                    keep_on_exit: options.data_dir.is_some(),
                })
                .await?;
                server.set_log_source(Arc::new(NodeLogs(node.logs())));
                Some(node)
            }
        };
        let sandbox = node.as_ref().map(|node| node.describe());
        let (mut services, config, ending) = (options.services, options.config, stop.clone());
        if options.nats.is_none() {
            // Nobody can subscribe from outside, and the bus lives in memory.
            services.status.events_keep_hours = services.status.events_keep_hours.min(EVENTS_KEEP_HOURS);
        }
        let task = tokio::spawn(async move {
            let services_end = async {
                if options.without_services {
                    ending.cancelled().await;
                    return Ok(());
                }
                let recorder = options.records_events.then(|| Role::Recorder(argosy_recorder::Options::default()));
                let cron = options.runs_crons.then(|| Role::CronRunner(argosy_cron_runner::Options::default()));
                let gc = options.runs_crons.then(|| Role::Gc(argosy_gc::Options::default()));
                let roles = [Role::All(Box::new(services))].into_iter().chain(recorder).chain(cron).chain(gc);
                let source = options.config_map.then(|| Source::new(&client, CONFIG_MAP, true));
                run_configured(roles.collect(), &host, &client, config, source, ending.clone()).await
            };
            let node_ends = async {
                if let Some(node) = &node {
                    node.run(ending.clone()).await;
                }
                ending.cancel();
            };
            let serving_ends = async {
                if let Some(task) = serving {
                    _ = task.await;
                }
            };
            let (result, (), ()) = tokio::join!(services_end, node_ends, serving_ends);
            drop(temporary);
            result
        });
        Ok(Handle { cluster, bus, listening, sandbox, stop, task })
    }
}

/// The logs of the node's pods, as the API gives them.
struct NodeLogs(node::Logs);

#[async_trait]
impl LogSource for NodeLogs {
    async fn logs(
        &self,
        namespace: &str,
        pod: &str,
        params: LogParams,
    ) -> std::io::Result<Option<BoxStream<'static, Bytes>>> {
        self.0.open(namespace, pod, params).await
    }
}

async fn open_bus(options: &Options) -> Result<Arc<dyn Bus>, Error> {
    Ok(match (&options.nats, &options.data_dir) {
        (Some(address), _) => argosy_bus::open(address, options.nats_options.bus(options.shards)).await?,
        (None, Some(dir)) => Arc::new(memory::Memory::open(dir.join("bus"), bus_options(options)).await?),
        (None, None) => Arc::new(memory::Memory::with_options(bus_options(options))),
    })
}

/// A bus without a past may meet workflows that have one, unless the API is as new as the bus. Messages have the limits that
/// they have on NATS.
fn bus_options(options: &Options) -> memory::Options {
    let is_all_new = options.client.is_none() && options.data_dir.is_none();
    let origin = if is_all_new { 0 } else { origin_of_now() };
    memory::Options { origin, ..memory::Options::default() }
}

async fn listen(
    server: &Server,
    address: SocketAddr,
    access: &Arc<Access>,
    stop: &CancellationToken,
) -> Result<(SocketAddr, JoinHandle<()>), Error> {
    let failed = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let (server, access, stop) = (server.clone(), Arc::clone(access), stop.clone());
    let task = tokio::spawn(async move {
        let ending = stop.clone();
        if let Err(error) = server.serve(listener, access, async move { ending.cancelled().await }).await {
            tracing::error!(error = &error as &dyn std::error::Error, "the API no longer listens");
            stop.cancel();
        }
    });
    Ok((bound, task))
}

impl Handle {
    /// A client of the API whose default namespace is `namespace`. For an existing cluster, its client as it was given.
    pub fn client(&self, namespace: &str) -> kube::Client {
        self.cluster.client(namespace)
    }

    /// The API of this process, if it has one.
    pub fn server(&self) -> Option<&Server> {
        self.cluster.server()
    }

    /// The bus.
    pub fn bus(&self) -> Arc<dyn Bus> {
        Arc::clone(&self.bus)
    }

    /// Where the API listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listening.as_ref().map(|(address, _)| *address)
    }

    /// Configuration for `kubectl`, with the token: not for other users; `None` when the API does not listen.
    pub fn kubeconfig(&self) -> Option<String> {
        let (address, access) = self.listening.as_ref()?;
        Some(access.kubeconfig(*address))
    }

    /// As [`kubeconfig`](Self::kubeconfig), of another namespace than `argo`.
    pub fn kubeconfig_of(&self, namespace: &str) -> Option<String> {
        let (address, access) = self.listening.as_ref()?;
        Some(access.kubeconfig_of(*address, namespace))
    }

    /// Serves Argo's REST API at `address`, as callers of the API of this process, until the system ends. Answers where.
    ///
    /// Errors: see [`FrontError`].
    pub async fn serve_argo(&self, address: SocketAddr) -> Result<SocketAddr, FrontError> {
        let (api, access) = self.listening.as_ref().ok_or(FrontError::NoApi)?;
        front::beside(address, &access.kubeconfig(*api), access, &self.stop).await
    }

    /// How the node keeps containers apart, in words.
    pub fn sandbox(&self) -> Option<&str> {
        self.sandbox.as_deref()
    }

    /// Cancelled when the system ends, by `shutdown` or by itself.
    pub fn ended(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Ends everything and waits for it. Processes of pods outlive it when there is a data directory.
    ///
    /// Errors: a service that had ended by itself.
    pub async fn shutdown(mut self) -> Result<(), Error> {
        self.stop.cancel();
        self.join().await
    }

    /// Waits until the system ends by itself or through [`Handle::ended`].
    ///
    /// Errors: a service that ended by itself.
    pub async fn wait(mut self) -> Result<(), Error> {
        self.join().await
    }

    async fn join(&mut self) -> Result<(), Error> {
        (&mut self.task).await?.map_err(Error::Service)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
