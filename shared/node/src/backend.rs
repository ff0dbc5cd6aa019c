//! What the node asks of whatever runs its containers: processes of this machine, or a container engine.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use argosy_beneath::{At, Limits};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::Container;
use tokio::sync::OwnedSemaphorePermit;

use super::container::Stops;
use super::pod::PodRun;
use super::remains;
use super::sandbox::Sandbox;
use super::spec::{Bind, Exit};
use super::view::View;

/// Why a container does not start yet, as the kubelet words it. It is asked for again.
pub struct NotYet {
    /// One word: `CreateContainerError`, `ErrImagePull`, …
    pub reason: &'static str,
    /// For the user.
    pub message: String,
}

/// One run of a command in a container.
pub struct Job<'a> {
    pub pod: &'a PodRun,
    pub container: &'a Container,
    /// The environment that the container asks for.
    pub env: &'a BTreeMap<String, String>,
    /// Name of the run. The same name again, after a restart of the node, finds the same run; another name is another
    /// run in the same file system.
    pub run: &'a str,
    /// The command and its arguments.
    pub argv: Vec<String>,
    pub stops: &'a Stops,
}

/// A container that an earlier life of the node left.
pub struct LeftOver {
    /// Uid of its pod.
    pub pod_uid: String,
    /// How the backend calls it.
    pub id: String,
}

/// Runs containers.
#[async_trait]
pub trait Backend: Send + Sync {
    /// One sentence for the user on what containers are here.
    fn describe(&self) -> String;

    /// The sandbox of containers that are processes.
    fn sandbox(&self) -> Option<&Sandbox> {
        None
    }

    /// `containerID` in the pod's status.
    fn container_id(&self, pod_uid: &str, pod: &str, container: &str) -> String;

    /// Waits until one more pod may run, and counts it until the permit is dropped. `None` where there is no limit.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        None
    }

    /// Makes what a container needs before it can start, and says where its files will be.
    /// Errors: what to tell the user until it is tried again.
    async fn prepare(&self, pod: &PodRun, container: &Container, binds: Vec<Bind>) -> Result<View, NotYet>;

    /// The whole command line of a container: command and arguments, else what its image says.
    /// Errors: a sentence for the user.
    async fn command_line(
        &self,
        pod: &PodRun,
        container: &Container,
        command: &[String],
        args: &[String],
    ) -> Result<Vec<String>, String>;

    /// Runs a command to its end, or finds the run of this name again.
    /// Errors: it cannot be started, and the command is not the reason.
    async fn run(&self, job: Job<'_>) -> io::Result<Exit>;

    /// Runs one more command in a running container; true when it exits with 0.
    /// Errors: it cannot be run.
    async fn probe(
        &self,
        pod: &PodRun,
        container: &Container,
        argv: Vec<String>,
        env: &BTreeMap<String, String>,
    ) -> io::Result<bool>;

    /// Where on the host a file or directory of a container can be read now; it may be a copy, within `limits`.
    /// Errors: `NotFound`, and those of the file system.
    async fn file(&self, pod: &PodRun, container: &str, path: &Path, limits: Limits) -> io::Result<At>;

    /// The reason of a container's end, where it does not follow from the exit code.
    fn end_reason(&self, _pod: &PodRun, _container: &str) -> Option<String> {
        None
    }

    /// Removes the containers of a pod of which nothing runs any more. Its directory stays.
    async fn remove_containers(&self, _pod: &PodRun) {}

    /// Removes a directory that containers may have written to.
    async fn remove_dir(&self, dir: PathBuf) {
        remains::remove(dir).await;
    }

    /// What earlier lives of the node left, before any pod runs in this one.
    async fn left_over(&self) -> Vec<LeftOver> {
        Vec::new()
    }

    /// Ends and removes left-over containers, and pods' directories with what runs in them.
    async fn sweep(&self, containers: Vec<LeftOver>, dirs: HashSet<PathBuf>);

    /// The node ends, and nothing of it is to stay: everything below `data_dir` goes.
    async fn close(&self, _data_dir: &Path) {}
}
