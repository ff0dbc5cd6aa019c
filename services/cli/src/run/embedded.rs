//! The system in this process, as flags describe it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context;
use argosy_api::v1alpha1::ArtifactRepository;
use argosy_node::{self as node, Image};
use argosy_private as private;
use argosy_standalone::{EngineOptions, Error, Handle, Options, Standalone};
use clap::Args;
use serde_json::{Value, json};

use super::Runtime;
use crate::{
    channel::say,
    failure::Failure,
    reach::{self, Kind, System},
    state, terminal,
};

/// Where help shows the flags below.
const HEADING: &str = "The system that runs workflows";

/// Flags of `run` and `dev`.
#[derive(Args, Clone, Debug, Default)]
pub struct RuntimeFlags {
    /// What runs containers: processes of this machine, or the images themselves in Docker or Podman
    /// [default: process]
    #[arg(long, value_enum, value_name = "RUNTIME", help_heading = HEADING)]
    runtime: Option<Runtime>,
    /// Entrypoint of an image, for containers without a command, with --runtime process: busybox=sh (repeatable)
    #[arg(long, value_name = "IMAGE=ENTRYPOINT", help_heading = HEADING)]
    image: Vec<String>,
    /// Keep everything in this folder; a later start goes on where this one ended
    #[arg(long, value_name = "DIR", help_heading = HEADING)]
    pub data_dir: Option<PathBuf>,
    /// Use this NATS server as the bus instead of the one in this process
    #[arg(long, value_name = "URL", help_heading = HEADING)]
    nats: Option<String>,
    /// Name of this installation on that server
    #[arg(long, value_name = "NAME", requires = "nats", help_heading = HEADING)]
    prefix: Option<argosy_bus::nats::Prefix>,
    #[command(flatten)]
    engine: EngineOptions,
}

/// How a message says that a container's program is not there. Source: Go's `exec.LookPath`, as Argo's executor says it.
const NO_PROGRAM: &str = "executable file not found";
/// How the node says that a container has no command, and that its image is not known.
const NO_ENTRYPOINT: &str = "has no known entrypoint";

impl RuntimeFlags {
    /// What to do about steps whose programs this machine does not have, or does not know.
    pub fn hint(&self, finals: &[Value]) -> Option<String> {
        let nodes = finals.iter().filter_map(|workflow| workflow.pointer("/status/nodes")?.as_object());
        let messages = nodes.flat_map(serde_json::Map::values).filter_map(|node| node.get("message")?.as_str());
        let messages: Vec<&str> = messages.collect();
        let says = |words: &str| messages.iter().any(|message| message.contains(words));
        if self.runtime.unwrap_or_default() != Runtime::Process {
            return None;
        }
        if says(NO_PROGRAM) {
            return Some("hint: steps run as processes of this machine, with its programs and not those of their images; install the program, or use --runtime docker or --runtime podman".to_owned());
        }
        let image =
            messages.iter().find_map(|message| message.split_once(NO_ENTRYPOINT)?.0.split_whitespace().last())?;
        Some(format!(
            "hint: images are not looked into when steps run as processes of this machine; say what runs with --image {}=PROGRAM, or use --runtime docker or --runtime podman",
            terminal::word(image)
        ))
    }

    /// What becomes of workflows that have not ended when the program ends.
    pub fn fate(&self) -> String {
        match &self.data_dir {
            Some(dir) => format!(
                "what had not ended goes on when {} is used again, by `run` of the same file or by `argosy dev --data-dir`",
                dir.display()
            ),
            None => "what ran is ended with this program".to_owned(),
        }
    }
}

/// How much of the system there is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extent {
    /// Where its API is reached from outside, nowhere by default.
    pub listen: Option<SocketAddr>,
    /// Whether what happens is recorded as Kubernetes Events.
    pub records_events: bool,
    /// Whether CronWorkflows are run.
    pub runs_crons: bool,
    /// Only the API and the node.
    pub without_services: bool,
}

/// Starts the system. Where any port will do and there is none, nobody reaches it from outside.
pub async fn start(flags: &RuntimeFlags, extent: Extent) -> Result<Handle, Failure> {
    let options_of = |extent| options(flags, extent);
    let first = options_of(extent)?;
    if flags.runtime.unwrap_or_default() == Runtime::Process {
        warn_once();
    }
    let mut started = Standalone::start(first).await;
    if matches!(&started, Err(Error::Listen { address, .. }) if address.port() == 0) {
        started = Standalone::start(options_of(Extent { listen: None, ..extent })?).await;
    }
    match started {
        Err(Error::Listen { address, source }) => Err(taken(address, &source)),
        Err(error) if error.is_in_use() => Err(in_use(flags).await),
        Err(Error::Node(node::Error::Engine(error))) => Err(unusable(error)),
        started => Ok(started.context("start the system")?),
    }
}

fn options(flags: &RuntimeFlags, extent: Extent) -> Result<Options, Failure> {
    let runtime = flags.runtime.unwrap_or_default();
    if runtime != Runtime::Process
        && let Some(image) = flags.image.first()
    {
        return Err(Failure::Usage(format!(
            "--image {image}: for --runtime process only, as a container engine knows its images' entrypoints"
        )));
    }
    let executable = std::env::current_exe().context("find this program's own file")?;
    let mut options = Options::new(executable);
    options.data_dir = flags.data_dir.clone();
    options.nats = flags.nats.clone();
    options.nats_options.prefix = flags.prefix.clone().unwrap_or_default();
    options.listen = extent.listen;
    options.records_events = extent.records_events;
    options.runs_crons = extent.runs_crons;
    options.config_map = extent.runs_crons;
    options.without_services = extent.without_services;
    options.runtime = match runtime {
        Runtime::Process => node::Runtime::Process,
        Runtime::Docker => node::Runtime::Docker,
        Runtime::Podman => node::Runtime::Podman,
    };
    for text in &flags.image {
        let Some((image, entrypoint)) = text.split_once('=') else {
            return Err(Failure::Usage(format!("--image {text}: expected IMAGE=ENTRYPOINT")));
        };
        let entrypoint = entrypoint.split_whitespace().map(str::to_owned).collect();
        options.images.insert(image, Image { entrypoint, ..Image::default() });
    }
    options.config.artifact_repository = Some(repository());
    flags.engine.apply(&mut options.config);
    Ok(options)
}

/// The port that the user asked for cannot be had.
fn taken(address: SocketAddr, error: &std::io::Error) -> Failure {
    let advice = match error.kind() {
        std::io::ErrorKind::AddrInUse => "another program has it, perhaps another `argosy dev`",
        _ => "this user may not have it",
    };
    Failure::Usage(format!(
        "listen on {address}: {error}: {advice}; choose another with --port, 0 takes any that is free"
    ))
}

/// The data directory is somebody else's for now.
async fn in_use(flags: &RuntimeFlags) -> Failure {
    let kept = flags.data_dir.as_ref().and_then(|dir| private::read(&dir.join("kubeconfig")).ok().flatten());
    let devs = reach::of_kind(Kind::Dev).await.unwrap_or_default();
    let holder = devs.iter().find(|dev| kept.as_ref() == Some(&dev.kubeconfig)).map(System::description);
    let holder =
        holder.unwrap_or_else(|| "perhaps an `argosy dev` or `argosy run` with the same --data-dir".to_owned());
    let dir = flags.data_dir.as_deref().unwrap_or(Path::new("")).display();
    Failure::Usage(format!(
        "the data directory {dir} is in use by another process: {holder}; end it, or choose another --data-dir"
    ))
}

/// The runtime that the user asked for is not there.
fn unusable(error: node::EngineError) -> Failure {
    let advice = match error {
        node::EngineError::Missing { .. } => "install it",
        node::EngineError::Unreachable { .. } => "start it",
        node::EngineError::Broken { .. } => "see `podman info`",
        node::EngineError::Reaper(_) => return Failure::Other(error.into()),
    };
    Failure::Usage(format!("{error}; {advice} or use --runtime process"))
}

/// The repository of artifacts that name none: the local store, addressed as S3 so that keys look like Argo's.
fn repository() -> ArtifactRepository {
    ArtifactRepository {
        s3: Some(json!({ "bucket": "argosy", "endpoint": "local", "insecure": true })),
        ..ArtifactRepository::default()
    }
}

/// Says on the first run of this user that processes are no isolation.
fn warn_once() {
    let marker = state::dir().map(|dir| dir.join("process-runtime-warned"));
    if marker.as_ref().is_some_and(|marker| marker.exists()) {
        return;
    }
    say!(
        "note: steps run as processes of this machine with your rights; that is no isolation.\n      \
         Run only workflows that you would run as scripts. (Said once.)"
    );
    let (Some(dir), Some(marker)) = (state::dir(), marker) else { return };
    if let Err(error) = private::dir(&dir).and_then(|()| private::write(&marker, "")) {
        tracing::debug!(%error, "cannot remember that the note was shown");
    }
}
