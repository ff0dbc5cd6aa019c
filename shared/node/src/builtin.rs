//! Containers that the node runs itself, as futures instead of processes.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use argosy_beneath::{At, Dir, Limits};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::Client;
use tokio_util::sync::CancellationToken;

use super::backend::Job;
use super::container::Stops;
use super::logs;
use super::pod::PodRun;
use super::spec::Exit;
use super::state::Ended;

/// How a built-in container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Its exit code.
    pub exit_code: i32,
    /// Its termination message.
    pub message: String,
    /// Its reason, where it does not follow from the code.
    pub reason: Option<String>,
}

/// The kinds of built-in containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// All of it runs in the node; it has volumes but no sandbox.
    Inside,
    /// The node decides when and what runs, by [`Context::exec`], in the container's sandbox.
    Wrapped,
}

/// Runs some containers inside the node. A run may be repeated after the node was restarted, and must then do no harm.
#[async_trait]
pub trait Builtin: Send + Sync {
    /// Whether this container is one of its own, and of which kind.
    fn claims(&self, pod: &Pod, container: &Container) -> Option<Claim>;

    /// Runs it. When the container is to stop, [`Context::stopping`] is cancelled; after the grace period the future is
    /// dropped and the container counts as killed.
    async fn run(&self, context: Context) -> Outcome;
}

/// What a built-in container sees of its pod.
#[derive(Clone)]
pub struct Context {
    pub(super) run: Arc<PodRun>,
    pub(super) container: Container,
    pub(super) env: BTreeMap<String, String>,
    pub(super) argv: Vec<String>,
    pub(super) stops: Stops,
}

impl Context {
    /// The pod, as the node took it.
    pub fn pod(&self) -> &Pod {
        &self.run.pod
    }

    /// This container.
    pub fn container(&self) -> &Container {
        &self.container
    }

    /// The environment that the container asks for.
    pub fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// Its command and arguments, variables expanded.
    pub fn argv(&self) -> &[String] {
        &self.argv
    }

    /// A client of the API server.
    pub fn client(&self) -> &Client {
        &self.run.node.client
    }

    /// Cancelled when the container is asked to stop (SIGTERM).
    pub fn stopping(&self) -> &CancellationToken {
        &self.stops.term
    }

    /// The command line that this container's image gives for the given arguments.
    /// Errors: a sentence for the user, when the image is not known.
    pub async fn image_command(&self, args: &[String]) -> Result<Vec<String>, String> {
        self.run.node.backend.command_line(&self.run, &self.container, &[], args).await
    }

    /// Where an existing file or directory of a container of this pod can be read now. Where that needs a copy, it is one
    /// within `limits`.
    /// Errors: `NotFound`; the container is not prepared yet; those of the file system.
    pub async fn host_path(&self, container: &str, path: &str, limits: Limits) -> io::Result<At> {
        self.run.node.backend.file(&self.run, container, Path::new(path), limits).await
    }

    /// A directory of this pod that no container sees: for what its built-in containers leave for each other.
    /// Errors: those of the file system.
    pub fn own_dir(&self) -> io::Result<Dir> {
        Dir::open_private(&self.run.own_dir())
    }

    /// The program whose `main` begins with [`dispatch`](super::dispatch).
    pub fn executable(&self) -> &Path {
        &self.run.node.executable
    }

    /// Where this container may create `path`: in one of its volumes.
    /// Errors: `NotFound` when no volume is mounted there.
    pub fn place_for(&self, path: &str) -> io::Result<At> {
        let view = self.run.view(&self.container.name).ok_or(io::ErrorKind::NotFound)?;
        view.place_for(Path::new(path))?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Runs a command in this container and waits for it; stopping the container stops it. `run` is the name of this
    /// run: the same name again, after a restart of the node, finds the same run; another name runs the command again in
    /// the same files.
    /// Errors: the process cannot be made.
    pub async fn exec(&self, run: &str, argv: Vec<String>) -> io::Result<Exit> {
        let job = Job { pod: &self.run, container: &self.container, env: &self.env, run, argv, stops: &self.stops };
        self.run.node.backend.run(job).await
    }

    /// Waits for the end of another container of the pod. `None` when the pod has no such container, or the node gave it up.
    pub async fn ended(&self, container: &str) -> Option<Ended> {
        let mut states = self.run.states.subscribe();
        if !states.borrow().containers.contains_key(container) {
            return None;
        }
        let seen = states.wait_for(|now| now.ended(container).is_some() || now.is_given_up(container)).await.ok()?;
        seen.ended(container).cloned()
    }

    /// Asks another container of the pod to stop; after the grace period it is killed.
    pub fn stop(&self, container: &str) {
        self.run.stop(container);
    }

    /// What a container of the pod wrote to stdout: the last `limit` bytes.
    /// Errors: those of the file system.
    pub async fn stdout(&self, container: &str, limit: usize) -> io::Result<Vec<u8>> {
        let log = self.run.log_file(container);
        tokio::task::spawn_blocking(move || logs::stdout(&log, limit)).await.map_err(io::Error::other)?
    }

    /// Writes what a container logged, as far as it is kept, both streams in order.
    /// Errors: those of the file system.
    pub async fn combined(&self, container: &str, mut to: impl Write + Send + 'static) -> io::Result<()> {
        let log = self.run.log_file(container);
        tokio::task::spawn_blocking(move || logs::combined(&log, &mut to)).await.map_err(io::Error::other)?
    }

    /// Appends a line to the log of this container.
    pub fn log(&self, line: &str) {
        logs::append(&self.run.log_file(&self.container.name), line);
    }
}
