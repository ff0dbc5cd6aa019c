//! The life of one container.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Container;
use tokio_util::sync::CancellationToken;

use super::backend::{Job, NotYet};
use super::builtin::{Builtin, Claim, Context, Outcome};
use super::env::{self, expand};
use super::logs;
use super::pod::PodRun;
use super::probes;
use super::remains;
use super::spec::{self, Bind, Exit, StartError};
use super::state::{Ended, START_ERROR, State};
use super::view::View;
use super::volumes;

/// How often a container asks again for configuration that is missing.
const RETRY: Duration = Duration::from_secs(2);
/// A termination message is cut to this size. Bytes; the kubelet's figure.
const MESSAGE_MAX: usize = 4096;
/// So much of the log becomes the termination message with `FallbackToLogsOnError`. Bytes and lines; the kubelet's.
const FALLBACK_MAX: (usize, usize) = (2048, 80);

/// Files of a container's directory that tell the next life of the node when it began and how it ended.
const BEGUN: &str = "begun.json";
const ENDED: &str = "ended.json";

/// Whether the container of this directory has begun, or ended.
pub fn has_begun(dir: &Path) -> bool {
    [BEGUN, ENDED].iter().any(|file| dir.join(file).exists())
}

/// How a container is made to stop.
#[derive(Clone, Debug, Default)]
pub struct Stops {
    /// Asked to stop.
    pub term: CancellationToken,
    /// Told to be dead now.
    pub kill: CancellationToken,
}

/// Runs a container to its end and records it. `None` when it was told to stop before it started, or the node gave it up.
pub async fn run(pod: Arc<PodRun>, container: Container) -> Option<Ended> {
    match AssertUnwindSafe(guarded(&pod, &container)).catch_unwind().await {
        Ok(ended) => ended,
        Err(panic) => {
            pod.give_up(Some(&container.name), &*panic);
            let dir = pod.container_dir(&container.name);
            if let Err(error) = tokio::task::spawn_blocking(move || remains::kill_container(&dir)).await {
                tracing::error!(%error, container = %container.name, "cannot end what runs of it");
            }
            None
        }
    }
}

async fn guarded(pod: &Arc<PodRun>, container: &Container) -> Option<Ended> {
    let stops = pod.stops(&container.name);
    let guard = async {
        stops.term.cancelled().await;
        tokio::select! {
            () = tokio::time::sleep(pod.grace()) => stops.kill.cancel(),
            () = stops.kill.cancelled() => {}
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        ended = live(pod, container, &stops) => ended,
        () = guard => None,
    }
}

async fn live(pod: &Arc<PodRun>, container: &Container, stops: &Stops) -> Option<Ended> {
    let name = &container.name;
    let claimed = pod.node.builtins.iter().find_map(|b| Some((b.clone(), b.claims(&pod.pod, container)?)));
    let inside = matches!(claimed, Some((_, Claim::Inside)));
    let builtin = claimed.map(|(builtin, _)| builtin);
    let dir = pod.container_dir(name);
    let ended_file = dir.join(ENDED);
    if pod.node.outlive
        && let Ok(Some(ended)) = spec::read_json::<Ended>(&ended_file)
    {
        pod.set(name, State::Ended(ended.clone()));
        return Some(ended);
    }
    let Some(env) = prepare(pod, container, inside, stops).await else {
        return never_started(pod, container);
    };
    let begun_file = dir.join(BEGUN);
    let mut started_at = Timestamp::now();
    if pod.node.outlive {
        match spec::read_json::<Timestamp>(&begun_file) {
            Ok(Some(before)) => started_at = before,
            _ => drop(spec::write_json(&begun_file, &started_at)),
        }
    }
    pod.set_running(name, started_at, container.readiness_probe.is_none());

    let ended = match builtin {
        Some(builtin) => run_builtin(pod, container, env, builtin, stops, started_at).await,
        None => run_command(pod, container, env, stops, started_at).await,
    };
    if pod.node.outlive
        && let Err(error) = spec::write_json(&ended_file, &ended)
    {
        tracing::warn!(%error, container = %name, "cannot keep how the container ended");
    }
    pod.set(name, State::Ended(ended.clone()));
    Some(ended)
}

/// A container that is stopped before it starts. Alone, it counts as ended, as the pod goes on to its own end; with the
/// whole pod it stays as it was.
fn never_started(pod: &PodRun, container: &Container) -> Option<Ended> {
    if pod.is_stopping() {
        return None;
    }
    let now = Timestamp::now();
    let ended = Ended::with_code(143, String::new(), now, now);
    pod.set(&container.name, State::Ended(ended.clone()));
    Some(ended)
}

/// Environment and files; waits for configuration that is missing. `None` when told to stop meanwhile.
/// One that an earlier life of the node has begun is there to be stopped, so only its death ends the preparation.
async fn prepare(pod: &PodRun, container: &Container, inside: bool, stops: &Stops) -> Option<BTreeMap<String, String>> {
    let has_begun = pod.has_begun(&container.name);
    loop {
        let prepared = async {
            let env = env::environment(&pod.node.client, &pod.pod, &pod.node.name, container).await;
            let env = env.map_err(|e| NotYet { reason: "CreateContainerConfigError", message: e.to_string() })?;
            let view = files(pod, container, inside, &env).await?;
            Ok((view, env))
        };
        let prepared = tokio::select! {
            biased;
            prepared = prepared => prepared,
            () = stops.term.cancelled(), if !has_begun => return None,
            () = stops.kill.cancelled() => return None,
        };
        match prepared {
            Ok((view, env)) => {
                pod.set_view(&container.name, view);
                return Some(env);
            }
            Err(NotYet { reason, message }) => pod.set(&container.name, State::Waiting { reason, message }),
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = stops.term.cancelled(), if !has_begun => return None,
            () = stops.kill.cancelled() => return None,
        }
    }
}

async fn files(
    pod: &PodRun,
    container: &Container,
    inside: bool,
    env: &BTreeMap<String, String>,
) -> Result<View, NotYet> {
    let failed = |message: String| NotYet { reason: "CreateContainerError", message };
    let dir = pod.container_dir(&container.name);
    // inside the node there may be nothing to keep
    if !inside || pod.node.outlive {
        fs::create_dir_all(&dir).map_err(|e| failed(e.to_string()))?;
    }
    let mut binds = volumes::mounts(container, &pod.volumes(), env).map_err(|e| failed(e.to_string()))?;
    if inside {
        return Ok(View::plain(&binds));
    }
    let message = dir.join("termination-log");
    make_termination_log(&message).map_err(|e| failed(e.to_string()))?;
    let at = container.termination_message_path.as_deref().unwrap_or("/dev/termination-log");
    binds.push(Bind { at: at.into(), source: message, read_only: false });
    pod.node.backend.prepare(pod, container, binds).await
}

/// Any user of the container may write to it.
fn make_termination_log(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    fs::write(path, "")?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))
}

async fn run_builtin(
    pod: &Arc<PodRun>,
    container: &Container,
    env: BTreeMap<String, String>,
    builtin: Arc<dyn Builtin>,
    stops: &Stops,
    started_at: Timestamp,
) -> Ended {
    let argv = command_and_args(container, &env).concat();
    let context = Context { run: pod.clone(), container: container.clone(), env, argv, stops: stops.clone() };
    let probe = probes::readiness(pod, container, context.env.clone());
    let outcome = tokio::select! {
        outcome = builtin.run(context) => outcome,
        () = stops.kill.cancelled() => Outcome { exit_code: 137, ..Outcome::default() },
        () = probe => Outcome { exit_code: 137, ..Outcome::default() },
    };
    let mut message = outcome.message;
    cut(&mut message, MESSAGE_MAX);
    if message.is_empty() {
        message = termination_message(pod, container, outcome.exit_code);
    }
    let mut ended = Ended::with_code(outcome.exit_code, message, started_at, Timestamp::now());
    if let Some(reason) = outcome.reason.or_else(|| pod.node.backend.end_reason(pod, &container.name)) {
        ended.reason = reason;
    }
    ended
}

async fn run_command(
    pod: &Arc<PodRun>,
    container: &Container,
    env: BTreeMap<String, String>,
    stops: &Stops,
    started_at: Timestamp,
) -> Ended {
    let [command, args] = command_and_args(container, &env);
    let failed = |message: String| Ended {
        exit_code: 128,
        reason: START_ERROR.into(),
        message,
        started_at,
        finished_at: Timestamp::now(),
    };
    let argv = match pod.node.backend.command_line(pod, container, &command, &args).await {
        Ok(argv) => argv,
        Err(text) => return failed(text),
    };
    let probe = probes::readiness(pod, container, env.clone());
    let exit = tokio::select! {
        exit = pod.node.backend.run(Job { pod, container, env: &env, run: "run", argv, stops }) => exit,
        () = probe => Err(io::Error::other("the readiness probe ended")),
    };
    match exit {
        Err(error) => failed(format!("start the container: {error}")),
        Ok(Exit { start_error: Some(StartError::Command(text) | StartError::Sandbox(text)), .. }) => failed(text),
        Ok(exit) => {
            let message = termination_message(pod, container, exit.code);
            let mut ended = Ended::with_code(exit.code, message, started_at, exit.at);
            if let Some(reason) = pod.node.backend.end_reason(pod, &container.name) {
                ended.reason = reason;
            }
            ended
        }
    }
}

fn command_and_args(container: &Container, env: &BTreeMap<String, String>) -> [Vec<String>; 2] {
    let expanded = |list: &Option<Vec<String>>| list.iter().flatten().map(|text| expand(text, env)).collect();
    [expanded(&container.command), expanded(&container.args)]
}

fn termination_message(pod: &PodRun, container: &Container, code: i32) -> String {
    let path = pod.container_dir(&container.name).join("termination-log");
    let mut bytes = Vec::new();
    if let Ok(file) = fs::File::open(path) {
        let _ = file.take(MESSAGE_MAX as u64).read_to_end(&mut bytes);
    }
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    let fallback = container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
    if text.is_empty() && code != 0 && fallback {
        text = logs::tail(&pod.log_file(&container.name), FALLBACK_MAX.0, FALLBACK_MAX.1).unwrap_or_default();
    }
    text
}

/// Cuts a text after so many bytes, between two characters.
pub fn cut(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let end = (0..=bytes_max).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(0);
        text.truncate(end);
    }
}
