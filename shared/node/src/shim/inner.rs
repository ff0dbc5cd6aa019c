//! The inner half of the shim: process 1 of the container.

use std::ffi::OsStr;
use std::io::{self, PipeWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use jiff::Timestamp;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, dup2_stderr, dup2_stdout};

use super::super::spec::{Exit, Isolation, ShimSpec, StartError};
use super::awaited::{BROKEN, awaited};
use super::mounts;

/// Runs the container to its end, as process 1 of it or, for a plain process, as the parent of all it leaves. What it has
/// to say goes to `control`: a newline once the command runs, then how it ended.
pub fn main(spec: &ShimSpec, control: PipeWriter, stdout: PipeWriter, stderr: PipeWriter) -> ExitCode {
    match run(spec, control, stdout, stderr) {
        Ok(exit) => ExitCode::from(exit.code.clamp(0, 255) as u8),
        Err(_) => ExitCode::from(BROKEN),
    }
}

fn run(spec: &ShimSpec, mut control: PipeWriter, stdout: PipeWriter, stderr: PipeWriter) -> io::Result<Exit> {
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    dup2_stdout(stdout)?;
    dup2_stderr(stderr)?;
    let exit = match prepare(spec) {
        Err(error) => {
            Exit { code: 128, start_error: Some(StartError::Sandbox(error.to_string())), at: Timestamp::now() }
        }
        Ok(()) => match command(spec) {
            Err(text) => Exit { code: 128, start_error: Some(StartError::Command(text)), at: Timestamp::now() },
            Ok(child) => {
                // from here on signals reach the command
                control.write_all(b"\n")?;
                Exit { code: reap(spec, child)?, start_error: None, at: Timestamp::now() }
            }
        },
    };
    serde_json::to_writer(&control, &exit).map_err(io::Error::other)?;
    Ok(exit)
}

fn prepare(spec: &ShimSpec) -> io::Result<()> {
    match &spec.root {
        Some(root) if spec.isolation != Isolation::Plain => {
            // here and not in the outer half, so that the mounts are gone when this process is
            unshare(CloneFlags::CLONE_NEWNS)?;
            // without a node that comes back nobody reads the layers after a crash
            mounts::build(root, spec.isolation, !spec.outlive_node)?;
            mounts::pivot(&root.mount_point)?;
            nix::unistd::sethostname(&spec.hostname)?;
        }
        _ => prctl::set_child_subreaper(true)?,
    }
    Ok(())
}

/// Starts the command. Errors: a text as Go's `os/exec` gives it.
fn command(spec: &ShimSpec) -> Result<Pid, String> {
    let name = spec.argv.first().map(String::as_str).unwrap_or_default();
    let path = spec.env.iter().rev().find(|(key, _)| key == "PATH").map(|(_, value)| value.as_str());
    let program = look_up(name, path.unwrap_or_default())?;
    let dir = if spec.working_dir.is_empty() { "/" } else { &spec.working_dir };
    // a working directory that the image lacks is made, as container runtimes do
    let _ = std::fs::create_dir_all(dir);
    let mut command = Command::new(&program);
    command
        .arg0(name)
        .args(&spec.argv[1..])
        .env_clear()
        .envs(spec.env.iter().map(|(key, value)| (key, value)))
        .current_dir(dir)
        .stdin(Stdio::null())
        .process_group(0);
    if let Some((uid, gid)) = spec.user {
        command.uid(uid).gid(gid);
    }
    spawn(&mut command).map_err(|error| format!("fork/exec {}: {}", program.display(), plain(&error)))
}

/// Starts the command with no signal blocked: it inherits the mask. Meanwhile the outer half sends none, but to kill.
fn spawn(command: &mut Command) -> io::Result<Pid> {
    SigSet::empty().thread_set_mask()?;
    let child = command.spawn();
    awaited().thread_block()?;
    Ok(Pid::from_raw(child?.id() as i32))
}

/// The program's path, searched for like Go's `exec.LookPath`.
fn look_up(name: &str, path: &str) -> Result<PathBuf, String> {
    if name.is_empty() {
        return Err("exec: no command".into());
    }
    if name.contains('/') {
        return match runnable(Path::new(name)) {
            Ok(()) => Ok(PathBuf::from(name)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(format!("exec: \"{name}\": stat {name}: no such file or directory"))
            }
            Err(error) => Err(format!("exec: \"{name}\": {}", plain(&error))),
        };
    }
    std::env::split_paths(OsStr::new(path))
        .map(|dir| if dir.as_os_str().is_empty() { PathBuf::from(".") } else { dir }.join(name))
        .find(|candidate| runnable(candidate).is_ok())
        .ok_or_else(|| format!("exec: \"{name}\": executable file not found in $PATH"))
}

fn runnable(path: &Path) -> io::Result<()> {
    let meta = std::fs::metadata(path)?;
    if meta.is_dir() || meta.permissions().mode() & 0o111 == 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(())
}

/// An error's text as C and Go have it: lower case, without Rust's `(os error N)`.
fn plain(error: &io::Error) -> String {
    let text = match error.raw_os_error() {
        Some(code) => nix::errno::Errno::from_raw(code).desc().to_owned(),
        None => error.to_string(),
    };
    text.to_lowercase()
}

/// Passes signals to the command's group and reaps orphans until the command ends.
fn reap(spec: &ShimSpec, child: Pid) -> io::Result<i32> {
    let code = loop {
        // first of all: a quick command may have ended while signals were let through
        if let Some(code) = collect(child) {
            break code;
        }
        match awaited().wait()? {
            Signal::SIGCHLD => {}
            Signal::SIGUSR1 if spec.isolation == Isolation::Plain => {
                let _ = killpg(child, Signal::SIGKILL);
            }
            other => {
                let _ = killpg(child, other);
            }
        }
    };
    // what the command left behind goes with it
    match spec.isolation {
        Isolation::Plain => {
            let _ = killpg(child, Signal::SIGKILL);
        }
        Isolation::Namespaces | Isolation::UserNamespaces => {
            let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        }
    }
    Ok(code)
}

fn collect(child: Pid) -> Option<i32> {
    let mut code = None;
    loop {
        match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) if pid == child => code = Some(status),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => code = Some(128 + signal as i32),
            Ok(WaitStatus::StillAlive) | Err(_) => return code,
            Ok(_) => {}
        }
    }
}
