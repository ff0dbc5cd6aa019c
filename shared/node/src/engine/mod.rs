//! Containers of Docker or Podman, through the command line that the two share.
//!
//! The engine is the truth: containers are found by their names and labels, also after the node was restarted, and what
//! the node keeps about a run only says whether it began. Containers use the network of the machine, as processes do.

mod args;
mod cli;
mod connect;
mod files;
mod flavor;
mod images;
pub mod limited;
mod log;
mod quantity;
pub mod reaper;
mod run;
mod state;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use argosy_beneath::{At, Limits};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::Container;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::backend::{Backend, Job, LeftOver, NotYet};
use super::pod::PodRun;
use super::spec::{Bind, Exit};
use super::state::State;
use super::view::View;
use args::node_filter;
use cli::Cli;
pub use connect::Unusable;
pub use flavor::Flavor;
use images::{Image, Images, Policy};
use reaper::Reaper;

/// So many pods run at a time, the others wait as Pending: each container costs a process of the engine's program. The
/// kubelet's default.
const PODS_MAX: usize = 110;
/// So many containers are made at a time, per processor.
const TURNS_PER_CPU: usize = 2;

/// Runs containers through an engine.
pub struct Engine {
    cli: Cli,
    executable: PathBuf,
    version: String,
    /// Whether containers outlive the node.
    outlive: bool,
    /// The node's directory, by which its containers are found.
    node: String,
    images: Images,
    /// What is known of containers that are about to run, by name.
    containers: Mutex<HashMap<String, Prepared>>,
    /// The image that was used last.
    last_image: Mutex<Option<String>>,
    places: Arc<Semaphore>,
    turns: Semaphore,
    reaper: Mutex<Option<Reaper>>,
}

/// What a container is made of.
#[derive(Clone)]
struct Prepared {
    image: Image,
    binds: Vec<Bind>,
    oom_killed: bool,
}

impl Engine {
    /// Finds out whether the engine answers.
    /// Errors: see [`Unusable`].
    pub async fn connect(flavor: Flavor, executable: &Path, outlive: bool, data_dir: &Path) -> Result<Self, Unusable> {
        let cli = Cli::new(flavor);
        let version = connect::version(cli).await?;
        let node = data_dir.display().to_string();
        let reaper = match outlive {
            true => None,
            false => Some(Reaper::start(executable, flavor, &node).map_err(Unusable::Reaper)?),
        };
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        tracing::debug!(program = flavor.program(), %version, "node ready");
        Ok(Self {
            cli,
            executable: executable.to_owned(),
            version,
            outlive,
            node,
            images: Images::new(cli),
            containers: Mutex::default(),
            last_image: Mutex::default(),
            places: Arc::new(Semaphore::new(PODS_MAX)),
            turns: Semaphore::new(cpus * TURNS_PER_CPU),
            reaper: Mutex::new(reaper),
        })
    }

    fn name(&self, pod: &PodRun, container: &str) -> String {
        args::name(&pod.uid(), &pod.name(), container)
    }

    /// Removes a container, running or not, if there is one.
    async fn remove(&self, id: &str) {
        let _turn = self.turns.acquire().await;
        match self.cli.output(["rm", "--force", "--volumes", id]).await {
            Ok(_) => {}
            // it was never made, or somebody else has removed it
            Err(error) if error.is_no_such_container() => {}
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, container = id, "cannot remove a container");
            }
        }
    }

    async fn list_left_over(&self) -> Result<Vec<LeftOver>, cli::Error> {
        let listed =
            self.cli.output(["ps", "--all", "--quiet", "--no-trunc", "--filter", &node_filter(&self.node)]).await?;
        let mut found = Vec::new();
        for id in listed.split_whitespace() {
            let text = self.cli.output(["container", "inspect", "--format", "{{json .Config}}", id]).await?;
            let labels = serde_json::from_str::<Labelled>(&text).unwrap_or_default().labels;
            if let Some(uid) = labels.get(args::POD_UID) {
                found.push(LeftOver { pod_uid: uid.clone(), id: id.to_owned() });
            }
        }
        Ok(found)
    }
}

/// The labels of a container.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Labelled {
    labels: BTreeMap<String, String>,
}

#[async_trait]
impl Backend for Engine {
    fn describe(&self) -> String {
        format!("containers run in {} {}, on the network of this machine", self.cli.flavor().title(), self.version)
    }

    fn container_id(&self, pod_uid: &str, pod: &str, container: &str) -> String {
        format!("{}://{}", self.cli.flavor().program(), args::name(pod_uid, pod, container))
    }

    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        // never closed
        self.places.clone().acquire_owned().await.ok()
    }

    async fn prepare(&self, pod: &PodRun, container: &Container, binds: Vec<Bind>) -> Result<View, NotYet> {
        let image = container.image.as_deref().unwrap_or_default();
        let policy = Policy::of(container.image_pull_policy.as_deref());
        let pulling = || {
            let message = format!("Pulling image \"{image}\"");
            pod.set(&container.name, State::Waiting { reason: "ContainerCreating", message });
        };
        let image = match run::may_exist(&pod.container_dir(&container.name)) {
            // made before the node was restarted, whatever has become of its image
            true => self.images.find(image).await.unwrap_or_default(),
            false => self.images.ensure(image, policy, pulling).await?,
        };
        let view = View::plain(&binds);
        *self.last_image.lock() = Some(image.name.clone());
        let prepared = Prepared { image, binds, oom_killed: false };
        self.containers.lock().insert(self.name(pod, &container.name), prepared);
        Ok(view)
    }

    async fn command_line(
        &self,
        pod: &PodRun,
        container: &Container,
        command: &[String],
        args: &[String],
    ) -> Result<Vec<String>, String> {
        if !command.is_empty() {
            return Ok([command, args].concat());
        }
        let prepared = self.containers.lock().get(&self.name(pod, &container.name)).cloned();
        prepared.ok_or("the container is not prepared")?.image.command_line(args)
    }

    async fn run(&self, job: Job<'_>) -> io::Result<Exit> {
        let name = self.name(job.pod, &job.container.name);
        let prepared = self.containers.lock().get(&name).cloned().ok_or(io::ErrorKind::NotFound)?;
        let finished = self.run_job(&job, &prepared).await?;
        if let Some(prepared) = self.containers.lock().get_mut(&name) {
            prepared.oom_killed = finished.oom_killed;
        }
        Ok(finished.exit)
    }

    async fn probe(
        &self,
        pod: &PodRun,
        container: &Container,
        argv: Vec<String>,
        _: &BTreeMap<String, String>,
    ) -> io::Result<bool> {
        let name = self.name(pod, &container.name);
        let args = ["exec", &name].into_iter().chain(argv.iter().map(String::as_str));
        Ok(self.cli.output(args).await.is_ok())
    }

    async fn file(&self, pod: &PodRun, container: &str, path: &Path, limits: Limits) -> io::Result<At> {
        let scratch = pod.container_dir(container).join("scratch");
        let copied =
            files::copy_out(self.cli, &self.executable, &self.name(pod, container), path, &scratch, limits).await;
        if let Err(error) = &copied
            && error.kind() != io::ErrorKind::NotFound
            && argosy_beneath::refusal(error).is_none()
        {
            // who asks takes any error for a missing file
            tracing::warn!(%error, container, path = %path.display(), "cannot copy a file out of a container");
        }
        copied
    }

    fn end_reason(&self, pod: &PodRun, container: &str) -> Option<String> {
        let containers = self.containers.lock();
        containers.get(&self.name(pod, container)).filter(|known| known.oom_killed).map(|_| "OOMKilled".to_owned())
    }

    async fn remove_containers(&self, pod: &PodRun) {
        let spec = pod.pod.spec.iter();
        let all = spec.flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
        let names: Vec<&str> = all.map(|container| container.name.as_str()).collect();
        for container in names {
            let name = self.name(pod, container);
            self.containers.lock().remove(&name);
            if run::may_exist(&pod.container_dir(container)) {
                // one call each: Podman removes none when one is missing
                self.remove(&name).await;
            }
        }
    }

    async fn remove_dir(&self, dir: PathBuf) {
        let image = self.last_image.lock().clone();
        files::remove_dir(self.cli, dir, image).await;
    }

    async fn left_over(&self) -> Vec<LeftOver> {
        if !self.outlive {
            // its directory is new
            return Vec::new();
        }
        self.list_left_over().await.unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot list containers of an earlier life");
            Vec::new()
        })
    }

    async fn sweep(&self, containers: Vec<LeftOver>, dirs: HashSet<PathBuf>) {
        for container in containers {
            self.remove(&container.id).await;
        }
        for dir in dirs {
            self.remove_dir(dir).await;
        }
    }

    async fn close(&self, data_dir: &Path) {
        for dir in ["pods", "claims"] {
            self.remove_dir(data_dir.join(dir)).await;
        }
        let reaper = self.reaper.lock().take();
        if let Some(reaper) = reaper {
            reaper.dismiss().await;
        }
    }
}
