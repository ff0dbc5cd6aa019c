//! The life of one container.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use tokio_util::sync::CancellationToken;

use super::builtin::{Builtin, Claim, Context, Outcome};
use super::env::{self, expand};
use super::logs;
use super::pod::PodRun;
use super::probes;
use super::process::Process;
use super::spec::{self, Bind, Exit, Isolation, ShimSpec, StartError};
use super::state::{Ended, State};
use super::view::View;
use super::volumes;

/// How often a container asks again for configuration that is missing.
const RETRY: Duration = Duration::from_secs(2);
/// A termination message is cut to this size. Bytes; the kubelet's figure.
const MESSAGE_MAX: usize = 4096;
/// So much of the log becomes the termination message with `FallbackToLogsOnError`. Bytes and lines; the kubelet's.
const FALLBACK_MAX: (usize, usize) = (2048, 80);

/// How a container is made to stop.
#[derive(Clone, Debug, Default)]
pub struct Stops {
    /// Asked to stop.
    pub term: CancellationToken,
    /// Told to be dead now.
    pub kill: CancellationToken,
}

/// Runs a container to its end and records it. `None` when it was told to stop before it started.
pub async fn run(pod: Arc<PodRun>, container: Container) -> Option<Ended> {
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
        ended = live(&pod, &container, &stops) => ended,
        () = guard => None,
    }
}

async fn live(pod: &Arc<PodRun>, container: &Container, stops: &Stops) -> Option<Ended> {
    let name = &container.name;
    let claimed = pod.node.builtins.iter().find_map(|b| Some((b.clone(), b.claims(&pod.pod, container)?)));
    let inside = matches!(claimed, Some((_, Claim::Inside)));
    let builtin = claimed.map(|(builtin, _)| builtin);
    let env = prepare(pod, container, inside, stops).await?;
    let dir = pod.container_dir(name);
    let ended_file = dir.join("ended.json");
    if pod.node.outlive
        && let Ok(Some(ended)) = spec::read_json::<Ended>(&ended_file)
    {
        pod.set(name, State::Ended(ended.clone()));
        return Some(ended);
    }
    let begun_file = dir.join("begun.json");
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

/// Environment and files; waits for configuration that is missing. `None` when told to stop meanwhile.
async fn prepare(pod: &PodRun, container: &Container, inside: bool, stops: &Stops) -> Option<BTreeMap<String, String>> {
    loop {
        let problem = match env::environment(&pod.node.client, &pod.pod, &pod.node.name, container).await {
            Ok(env) => match files(pod, container, inside, &env) {
                Ok(view) => {
                    pod.set_view(&container.name, view);
                    return Some(env);
                }
                Err(text) => ("CreateContainerError", text),
            },
            Err(error) => ("CreateContainerConfigError", error.to_string()),
        };
        pod.set(&container.name, State::Waiting { reason: problem.0, message: problem.1 });
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = stops.term.cancelled() => return None,
            () = stops.kill.cancelled() => return None,
        }
    }
}

fn files(pod: &PodRun, container: &Container, inside: bool, env: &BTreeMap<String, String>) -> Result<View, String> {
    let dir = pod.container_dir(&container.name);
    // inside the node there may be nothing to keep
    if !inside || pod.node.outlive {
        fs::create_dir_all(&dir).map_err(|e| e.to_string())?;
    }
    let mut binds = volumes::mounts(container, &pod.volumes(), env).map_err(|e| e.to_string())?;
    let plain = |binds: &[Bind]| View::Plain(binds.iter().map(|b| (b.at.clone(), b.source.clone())).collect());
    if inside {
        return Ok(plain(&binds));
    }
    let message = dir.join("termination-log");
    if !message.exists() {
        fs::write(&message, "").map_err(|e| e.to_string())?;
    }
    let at = container.termination_message_path.as_deref().unwrap_or("/dev/termination-log");
    binds.push(Bind { at: at.into(), source: message, read_only: false });
    let image = container.image.as_deref().unwrap_or_default();
    let tools = pod.node.images.get(image).map(|i| i.tools.clone()).unwrap_or_default();
    binds.extend(pod.node.tools.binds(&tools));
    match pod.node.sandbox.root(&dir, &pod.node.mount_point(), binds.clone()).map_err(|e| e.to_string())? {
        Some(root) => Ok(View::of(root)),
        None => Ok(plain(&binds)),
    }
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
    if let Some(reason) = outcome.reason {
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
    let image = container.image.as_deref().unwrap_or_default();
    let failed = |message: String| Ended {
        exit_code: 128,
        reason: "StartError".into(),
        message,
        started_at,
        finished_at: Timestamp::now(),
    };
    let argv = match pod.node.images.command_line(image, &command, &args) {
        Ok(argv) => argv,
        Err(text) => return failed(text),
    };
    let probe = probes::readiness(pod, container, env.clone());
    let exit = tokio::select! {
        exit = pod.exec(container, &env, "run", argv, stops) => exit,
        () = probe => Err(io::Error::other("the readiness probe ended")),
    };
    match exit {
        Err(error) => failed(format!("start the container: {error}")),
        Ok(Exit { start_error: Some(StartError::Command(text) | StartError::Sandbox(text)), .. }) => failed(text),
        Ok(exit) => {
            let message = termination_message(pod, container, exit.code);
            Ended::with_code(exit.code, message, started_at, exit.at)
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

fn cut(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let end = (0..=bytes_max).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(0);
        text.truncate(end);
    }
}

impl PodRun {
    /// Runs a command in a container's sandbox, see [`Context::exec`].
    pub(super) async fn exec(
        &self,
        container: &Container,
        env: &BTreeMap<String, String>,
        run: &str,
        mut argv: Vec<String>,
        stops: &Stops,
    ) -> io::Result<Exit> {
        let node = &self.node;
        let dir = self.container_dir(&container.name);
        let view = self.view(&container.name).ok_or(io::ErrorKind::NotFound)?;
        let mut env = node.environment(&self.name(), container, env);
        let mut working_dir = container.working_dir.clone().unwrap_or_default();
        let image = container.image.as_deref().unwrap_or_default();
        let root = match view {
            View::Root { root, .. } => Some(root),
            View::Plain(_) if node.sandbox.isolation != Isolation::Plain => {
                return Err(io::Error::new(io::ErrorKind::Unsupported, "a container inside the node has no sandbox"));
            }
            View::Plain(volumes) => {
                let replace = |text: &mut String| *text = on_the_host(text, &volumes);
                argv.iter_mut().for_each(replace);
                env.iter_mut().filter(|(key, _)| key != "PATH").for_each(|(_, value)| replace(value));
                replace(&mut working_dir);
                None
            }
        };
        if let Some(image) = node.images.get(image) {
            let tools = node.tools.path(&image.tools);
            env.iter_mut().filter(|(key, _)| key == "PATH").for_each(|(_, path)| path.push_str(&tools));
        }
        if working_dir.is_empty() && node.sandbox.isolation == Isolation::Plain {
            // a plain process must not start in the host's root by accident
            let work = dir.join("work");
            fs::create_dir_all(&work)?;
            working_dir = work.display().to_string();
        }
        let spec = ShimSpec {
            dir: (node.outlive || container.readiness_probe.is_some()).then(|| dir.join(run)),
            argv,
            env,
            working_dir,
            hostname: self.pod.spec.as_ref().and_then(|s| s.hostname.clone()).unwrap_or_else(|| self.hostname()),
            log: self.log_file(&container.name),
            outlive_node: node.outlive,
            isolation: node.sandbox.isolation,
            root,
            user: user(&self.pod, container),
        };
        let mut process = Process::start(&node.nursery, &spec).await?;
        let (mut asked, mut killed) = (false, false);
        loop {
            tokio::select! {
                exit = process.wait() => return exit,
                () = stops.kill.cancelled(), if !killed => {
                    killed = true;
                    process.kill();
                }
                () = stops.term.cancelled(), if !asked => {
                    asked = true;
                    process.terminate();
                }
            }
        }
    }
}

/// Replaces paths of volumes by the host's, where a path begins. Best effort, for plain processes.
fn on_the_host(text: &str, volumes: &[(std::path::PathBuf, std::path::PathBuf)]) -> String {
    let mut out = text.to_owned();
    // the innermost first, so that an outer path does not eat its beginning
    for (at, source) in volumes.iter().rev() {
        let at = at.display().to_string();
        let mut from = 0;
        while let Some(n) = out[from..].find(&at) {
            let (start, end) = (from + n, from + n + at.len());
            let before = out[..start].chars().next_back();
            let after = out[end..].chars().next();
            let inside = |c: char| c.is_alphanumeric() || "-_.".contains(c);
            let new = source.display().to_string();
            if before.is_none_or(|c| !inside(c) && c != '/') && after.is_none_or(|c| !inside(c)) {
                out.replace_range(start..end, &new);
                from = start + new.len();
            } else {
                from = end;
            }
        }
    }
    out
}

/// The user to run as: only root may become another.
fn user(pod: &Pod, container: &Container) -> Option<(u32, u32)> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let own = container.security_context.as_ref();
    let all = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref());
    let uid = own.and_then(|c| c.run_as_user).or(all.and_then(|c| c.run_as_user))?;
    let gid = own.and_then(|c| c.run_as_group).or(all.and_then(|c| c.run_as_group)).unwrap_or(0);
    Some((u32::try_from(uid).ok()?, u32::try_from(gid).ok()?))
}
