//! The local node: runs the pods of a Kubernetes API on this machine, as a kubelet would.
//!
//! It knows only an ordinary `kube::Client`. A pod's containers run inside the node when a [`Builtin`] claims them, else
//! through a `Backend`: as processes, each in a [`shim`] that survives the node, or as containers of Docker or Podman.
//! There is no network isolation; processes are no security boundary.

pub mod argosay;
mod backend;
mod builtin;
mod container;
mod engine;
mod env;
mod events;
mod fields;
mod fit;
mod images;
mod logs;
mod names;
mod nursery;
mod paths;
mod pod;
mod probes;
mod process;
mod processes;
mod remains;
mod sandbox;
mod shared;
pub mod shim;
mod spec;
mod state;
mod status;
mod tools;
mod view;
mod volumes;
mod writer;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use argosy_beneath::Dir;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use builtin::{Builtin, Claim, Context, Outcome};
pub use engine::Unusable as EngineError;
pub use images::{Image, Images, Tool};
pub use logs::Logs;
pub use sandbox::Sandbox;
pub use spec::{Exit, Isolation, StartError};
pub use state::Ended;

use backend::{Backend, LeftOver};
use engine::{Engine, Flavor};
use pod::PodRun;
use processes::Processes;
use shared::{Shared, key};

/// Pause before the pods are listed again after the API server failed.
const RELIST: std::time::Duration = std::time::Duration::from_millis(200);

/// What runs the containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Runtime {
    /// Processes of this machine, in a sandbox where the kernel allows it.
    #[default]
    Process,
    /// Processes of this machine without a sandbox.
    PlainProcess,
    /// Containers of Docker, through its command line.
    Docker,
    /// Containers of Podman, through its command line.
    Podman,
}

/// How the node works.
pub struct Options {
    /// Client of the API server.
    pub client: Client,
    /// Directory of pods, logs and claims.
    pub data_dir: PathBuf,
    /// Name of the node.
    pub name: String,
    /// The argosy executable: the program whose `main` begins with [`dispatch`].
    pub executable: PathBuf,
    /// What images run, for processes: container engines know it.
    pub images: Images,
    /// What runs the containers.
    pub runtime: Runtime,
    /// What runs some of them inside the node; the first that claims a container has it.
    pub builtins: Vec<Arc<dyn Builtin>>,
    /// Whether what happens to pods is recorded as Kubernetes Events, for `kubectl describe pod`.
    pub records_events: bool,
    /// Whether processes go on when the node ends or dies, to be taken over by the next with the same `data_dir`.
    pub keep_on_exit: bool,
}

/// Why the node cannot work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its directory cannot be used.
    #[error("prepare the node's directory {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the host says.
        #[source]
        source: std::io::Error,
    },
    /// The container engine cannot be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A node. Clones share it.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
}

/// Runs the parts of the node that are processes of their own. Call it first in `main`, before threads exist:
/// `None` means that the arguments are for the caller.
pub fn dispatch() -> Option<ExitCode> {
    let command = std::env::args_os().nth(1)?;
    match command.to_str()? {
        shim::COMMAND => Some(shim::main()),
        argosay::COMMAND => Some(argosay::main()),
        engine::limited::COMMAND => Some(engine::limited::main()),
        engine::reaper::COMMAND => Some(engine::reaper::main()),
        _ => None,
    }
}

impl Node {
    /// Prepares the directory, and finds out how containers can be kept apart or whether the engine answers.
    /// Errors: `Directory`, `Engine`.
    pub async fn new(options: Options) -> Result<Self, Error> {
        let failed = |source| Error::Directory { path: options.data_dir.clone(), source };
        // what containers may write to, and others may not even see, lies below
        for private in ["", "pods", "claims"] {
            let dir = Dir::open_private(&options.data_dir.join(private)).map_err(failed)?;
            if !private.is_empty() {
                dir.set_mode(0o700).map_err(failed)?;
            }
        }
        // links on the way would confuse overlays
        let data_dir = options.data_dir.canonicalize().map_err(failed)?;
        let (executable, outlive) = (options.executable, options.keep_on_exit);
        let engine = async |flavor| Engine::connect(flavor, &executable, outlive, &data_dir).await;
        let backend: Box<dyn Backend> = match options.runtime {
            Runtime::Docker => Box::new(engine(Flavor::Docker).await?),
            Runtime::Podman => Box::new(engine(Flavor::Podman).await?),
            Runtime::Process | Runtime::PlainProcess => {
                let plain = options.runtime == Runtime::PlainProcess;
                let made = Processes::new(executable.clone(), options.images, plain, outlive, &data_dir).await;
                Box::new(made.map_err(failed)?)
            }
        };
        let shared = Shared {
            client: options.client,
            name: options.name,
            data_dir,
            builtins: options.builtins,
            outlive,
            records_events: options.records_events,
            executable,
            panics: AtomicU64::new(0),
            backend,
            pods: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// One sentence for the user on what containers are here.
    pub fn describe(&self) -> String {
        self.shared.backend.describe()
    }

    /// How containers that are processes are kept apart.
    pub fn sandbox(&self) -> Option<&Sandbox> {
        self.shared.backend.sandbox()
    }

    /// How often the node's own code failed over a pod, which then ended with an error.
    pub fn panics(&self) -> u64 {
        self.shared.panics.load(Ordering::Relaxed)
    }

    /// The logs of the pods.
    pub fn logs(&self) -> Logs {
        Logs { node: Arc::downgrade(&self.shared) }
    }

    /// Runs pods until `shutdown`. Then processes are killed, unless they are to outlive the node.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut tasks = JoinSet::new();
        let pods: Api<Pod> = Api::all(self.shared.client.clone());
        let mut events = watcher::watcher(pods, watcher::Config::default()).boxed();
        let mut listed: Option<HashSet<(String, String)>> = None;
        // only what is there now can be left over: pods to come make directories of their own
        let dirs = remains::directories(&self.shared.data_dir.join("pods"));
        let mut left_over = Some((self.shared.backend.left_over().await, dirs));
        loop {
            let event = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(ended) = tasks.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(error = &error as &dyn std::error::Error, "a pod's task died");
                    }
                    continue;
                }
                event = events.next() => event,
            };
            match event {
                Some(Ok(Event::Apply(pod))) => self.observe(pod, &mut tasks),
                Some(Ok(Event::Delete(pod))) => self.forget(&key(&pod), &mut tasks),
                Some(Ok(Event::Init)) => listed = Some(HashSet::new()),
                Some(Ok(Event::InitApply(pod))) => {
                    if let Some(listed) = &mut listed {
                        listed.insert(key(&pod));
                    }
                    self.observe(pod, &mut tasks);
                }
                Some(Ok(Event::InitDone)) => {
                    let listed = listed.take().unwrap_or_default();
                    let unlisted: Vec<_> =
                        self.shared.pods.lock().keys().filter(|key| !listed.contains(*key)).cloned().collect();
                    for key in unlisted {
                        self.forget(&key, &mut tasks);
                    }
                    if let Some((containers, dirs)) = left_over.take() {
                        self.sweep(containers, dirs, &mut tasks);
                    }
                }
                Some(Err(error)) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot watch pods");
                    tokio::time::sleep(RELIST).await;
                }
                None => break,
            }
        }
        if self.shared.outlive {
            // what runs goes on: the next life of the node takes it over
            tasks.shutdown().await;
            return;
        }
        for run in self.shared.pods.lock().values() {
            run.drop_now();
        }
        while tasks.join_next().await.is_some() {}
        self.shared.backend.close(&self.shared.data_dir).await;
    }

    /// Ends what earlier lives of the node left and none of the pods that are there wants.
    fn sweep(&self, mut containers: Vec<LeftOver>, mut dirs: HashSet<PathBuf>, tasks: &mut JoinSet<()>) {
        for run in self.shared.pods.lock().values() {
            dirs.remove(&run.dir());
            if !run.has_finished() {
                containers.retain(|container| container.pod_uid != run.uid());
            }
        }
        let shared = self.shared.clone();
        tasks.spawn(async move { shared.backend.sweep(containers, dirs).await });
    }

    /// A pod that cannot even be taken fails alone.
    fn observe(&self, pod: Pod, tasks: &mut JoinSet<()>) {
        let seen = pod.clone();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.take(pod, tasks))) {
            self.shared.panics.fetch_add(1, Ordering::Relaxed);
            let what = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            tracing::error!(pod = seen.metadata.name, panic = %what, "a pod cannot be taken");
            let client = self.shared.client.clone();
            tasks.spawn(async move { writer::fail(&client, &seen, "a bug in the local node ended it").await });
        }
    }

    fn take(&self, pod: Pod, tasks: &mut JoinSet<()>) {
        let assigned = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        if assigned.is_some_and(|name| name != self.shared.name) {
            return;
        }
        if assigned.is_none() && !fit::fits(&pod) {
            if pod.status.as_ref().is_none_or(|status| status.conditions.is_none()) {
                tasks.spawn(report_unfit(self.shared.clone(), pod));
            }
            return;
        }
        let key = key(&pod);
        let deleting = pod.metadata.deletion_timestamp.is_some();
        let grace = pod.metadata.deletion_grace_period_seconds.and_then(|n| u64::try_from(n).ok());
        let known = self.shared.pods.lock().get(&key).cloned();
        let run = match known {
            Some(run) if Some(run.uid()) == pod.metadata.uid => run,
            other => {
                if other.is_some() {
                    self.forget(&key, tasks);
                }
                let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
                let ended = matches!(phase, Some("Succeeded" | "Failed"));
                let run = PodRun::new(self.shared.clone(), pod);
                if ended {
                    // the node may have died before it removed them
                    for dir in run.own_files().into_iter().filter(|dir| dir.exists()) {
                        tasks.spawn(remains::remove(dir));
                    }
                }
                let run = Arc::new(if ended { run.remains() } else { run });
                self.shared.pods.lock().insert(key, run.clone());
                if !ended && self.shared.records_events {
                    tasks.spawn(events::follow(run.clone()));
                }
                if !ended {
                    let (run, shared) = (run.clone(), self.shared.clone());
                    tasks.spawn(async move {
                        run.clone().run().await;
                        shared.retire(&run);
                    });
                }
                run
            }
        };
        if deleting && run.delete(grace) {
            tasks.spawn(async move { writer::confirm_deletion(&run).await });
        }
    }

    /// The pod is gone at the API server: its processes die and its directory goes.
    fn forget(&self, key: &(String, String), tasks: &mut JoinSet<()>) {
        let Some(run) = self.shared.pods.lock().remove(key) else {
            return;
        };
        run.drop_now();
        tasks.spawn(async move {
            run.over().await;
            run.node.backend.remove_dir(run.dir()).await;
        });
    }
}

async fn report_unfit(shared: Arc<Shared>, pod: Pod) {
    fit::report_unfit(&shared.client, &pod).await;
    if shared.records_events {
        events::send(&shared.client, &pod, &shared.name, events::Note::unfit(fit::UNFIT)).await;
    }
}
