//! Containers as processes of this machine, each in a shim and, where the kernel allows it, a sandbox.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};

use argosy_beneath::{At, Budget, Cancel, Dir, Limits};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Container, Pod};
use tokio::process::Command;

use super::backend::{Backend, Job, LeftOver, NotYet};
use super::images::Images;
use super::nursery::Nursery;
use super::pod::PodRun;
use super::process::Process;
use super::remains;
use super::sandbox::Sandbox;
use super::shim::{self, EnterSpec};
use super::spec::{self, Bind, Exit, Isolation, STARTED, ShimSpec, Started};
use super::tools::Tools;
use super::view::View;

/// Where each container puts its root together, in a mount namespace of its own.
const MOUNT_POINT: &str = "mnt";

/// Runs containers as processes.
pub struct Processes {
    executable: PathBuf,
    nursery: Nursery,
    mount_point: PathBuf,
    images: Images,
    sandbox: Sandbox,
    tools: Tools,
    outlive_node: bool,
}

impl Processes {
    /// With the node's own files in `data_dir`. Finds out how containers can be kept apart, by trying, unless `plain`.
    /// Errors: those of the file system; not even a plain process can be started.
    pub async fn new(
        executable: PathBuf,
        images: Images,
        plain: bool,
        outlive_node: bool,
        data_dir: &Path,
    ) -> io::Result<Self> {
        let nursery = Nursery::new(executable.clone());
        let sandbox = if plain {
            Sandbox::plain()
        } else {
            let scratch = data_dir.join(format!("probe-{}", std::process::id()));
            let found = Sandbox::probe(&nursery, &scratch).await;
            remains::remove(scratch).await;
            found?
        };
        let tools = Tools::install(data_dir.join("tools"), executable.clone(), sandbox.isolation)?;
        tracing::debug!(isolation = ?sandbox.isolation, refused = ?sandbox.refused, "node ready");
        let mount_point = data_dir.join(MOUNT_POINT);
        fs::create_dir_all(&mount_point)?;
        Ok(Self { executable, nursery, mount_point, images, sandbox, tools, outlive_node })
    }

    fn is_plain(&self) -> bool {
        self.sandbox.isolation == Isolation::Plain
    }

    fn root(&self, pod: &PodRun, container: &Container, mut binds: Vec<Bind>) -> io::Result<View> {
        let dir = pod.container_dir(&container.name);
        let image = container.image.as_deref().unwrap_or_default();
        let tools = self.images.get(image).map(|i| i.tools.clone()).unwrap_or_default();
        binds.extend(self.tools.binds(&tools));
        Ok(match self.sandbox.root(&dir, &self.mount_point, binds.clone())? {
            Some(root) => View::of(root),
            None => View::plain(&binds),
        })
    }

    /// The whole environment of a container: what the host must give, then what the container asks for.
    fn environment(&self, pod: &str, container: &Container, own: &BTreeMap<String, String>) -> Vec<(String, String)> {
        const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let host = |key: &str| std::env::var(key).ok();
        let mut env = BTreeMap::new();
        env.insert("PATH".to_owned(), host("PATH").map_or(PATH.into(), |path| format!("{path}:{PATH}")));
        env.insert("HOME".to_owned(), host("HOME").unwrap_or_else(|| "/root".into()));
        env.insert("HOSTNAME".to_owned(), pod.to_owned());
        for key in ["LANG", "LC_ALL", "TZ"] {
            if let Some(value) = host(key) {
                env.insert(key.to_owned(), value);
            }
        }
        if container.tty == Some(true) {
            env.insert("TERM".to_owned(), "xterm".into());
        }
        env.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
        env.into_iter().collect()
    }

    fn spec(&self, job: &Job<'_>) -> io::Result<ShimSpec> {
        let Job { pod, container, .. } = job;
        let dir = pod.container_dir(&container.name);
        let mut argv = job.argv.clone();
        let mut env = self.environment(&pod.name(), container, job.env);
        let mut working_dir = container.working_dir.clone().unwrap_or_default();
        let root = match pod.view(&container.name).ok_or(io::ErrorKind::NotFound)? {
            View::Root { root, .. } => Some(root),
            View::Plain(_) if !self.is_plain() => {
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
        if let Some(image) = self.images.get(container.image.as_deref().unwrap_or_default()) {
            let tools = self.tools.path(&image.tools);
            env.iter_mut().filter(|(key, _)| key == "PATH").for_each(|(_, path)| path.push_str(&tools));
        }
        if working_dir.is_empty() && self.is_plain() {
            // a plain process must not start in the host's root by accident
            let work = dir.join("work");
            fs::create_dir_all(&work)?;
            working_dir = work.display().to_string();
        }
        Ok(ShimSpec {
            dir: (self.outlive_node || container.readiness_probe.is_some()).then(|| dir.join(job.run)),
            argv,
            env,
            working_dir,
            hostname: pod.hostname(),
            log: pod.log_file(&container.name),
            outlive_node: self.outlive_node,
            isolation: self.sandbox.isolation,
            root,
            user: user(&pod.pod, container),
        })
    }
}

#[async_trait]
impl Backend for Processes {
    fn describe(&self) -> String {
        self.sandbox.describe()
    }

    fn sandbox(&self) -> Option<&Sandbox> {
        Some(&self.sandbox)
    }

    fn container_id(&self, pod_uid: &str, _pod: &str, container: &str) -> String {
        format!("process://{pod_uid}/{container}")
    }

    async fn prepare(&self, pod: &PodRun, container: &Container, binds: Vec<Bind>) -> Result<View, NotYet> {
        let failed = |error: io::Error| NotYet { reason: "CreateContainerError", message: error.to_string() };
        self.root(pod, container, binds).map_err(failed)
    }

    async fn command_line(
        &self,
        _: &PodRun,
        container: &Container,
        command: &[String],
        args: &[String],
    ) -> Result<Vec<String>, String> {
        self.images.command_line(container.image.as_deref().unwrap_or_default(), command, args)
    }

    async fn run(&self, job: Job<'_>) -> io::Result<Exit> {
        let mut process = Process::start(&self.nursery, &self.spec(&job)?).await?;
        let (mut asked, mut killed) = (false, false);
        loop {
            tokio::select! {
                exit = process.wait() => return exit,
                () = job.stops.kill.cancelled(), if !killed => {
                    killed = true;
                    process.kill();
                }
                () = job.stops.term.cancelled(), if !asked => {
                    asked = true;
                    process.terminate();
                }
            }
        }
    }

    async fn probe(
        &self,
        pod: &PodRun,
        container: &Container,
        argv: Vec<String>,
        env: &BTreeMap<String, String>,
    ) -> io::Result<bool> {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let dir = pod.container_dir(&container.name);
        let Some(started) = spec::read_json::<Started>(&dir.join("run").join(STARTED))? else {
            return Ok(false);
        };
        let enter = EnterSpec {
            shim_pid: started.pid,
            isolation: self.sandbox.isolation,
            argv,
            env: self.environment(&pod.name(), container, env),
            working_dir: container.working_dir.clone().unwrap_or_default(),
        };
        let file = dir.join(format!("probe-{}.json", RUNS.fetch_add(1, Ordering::Relaxed)));
        spec::write_json(&file, &enter)?;
        let status = Command::new(&self.executable)
            .args([shim::COMMAND.as_ref(), "--enter".as_ref(), file.as_os_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .status()
            .await;
        fs::remove_file(&file)?;
        Ok(status?.success())
    }

    async fn file(&self, pod: &PodRun, container: &str, path: &Path, limits: Limits) -> io::Result<At> {
        let scratch = pod.container_dir(container).join("scratch");
        let view = pod.view(container).ok_or(io::ErrorKind::NotFound)?;
        let path = path.to_owned();
        let cancel = Cancel::default();
        let _gone = cancel.on_drop();
        let found = tokio::task::spawn_blocking(move || {
            Dir::open_private(&scratch)?;
            view.host_path(&path, &scratch, &mut Budget::new(limits, cancel))
        });
        found.await.map_err(io::Error::other)?
    }

    async fn sweep(&self, _: Vec<LeftOver>, dirs: HashSet<PathBuf>) {
        remains::sweep(dirs).await;
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
