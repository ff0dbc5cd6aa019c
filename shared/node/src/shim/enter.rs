//! Runs one more command inside a running container: probes of kind `exec`.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use nix::sched::{CloneFlags, setns};
use serde::{Deserialize, Serialize};

use super::super::spec::{self, Isolation};
use super::awaited::BROKEN;

/// A command to run in the container of a running shim.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnterSpec {
    /// Process id of the outer shim.
    pub shim_pid: i32,
    /// How that container is kept apart.
    pub isolation: Isolation,
    /// The command and its arguments.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// Working directory inside the container; empty means `/`.
    pub working_dir: String,
}

pub fn main(file: &Path) -> ExitCode {
    match run(file) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(BROKEN)
        }
    }
}

fn run(file: &Path) -> io::Result<u8> {
    let spec: EnterSpec = spec::read_json(file)?.ok_or(io::ErrorKind::NotFound)?;
    let open = |name: &str| File::open(format!("/proc/{}/ns/{name}", spec.shim_pid));
    // the outer half is not in the container's mount namespace, its child is
    let first = format!("/proc/{0}/task/{0}/children", spec.shim_pid);
    let inner = || {
        let children = std::fs::read_to_string(first)?;
        let pid = children.split(' ').next().unwrap_or_default();
        File::open(format!("/proc/{pid}/ns/mnt"))
    };
    if spec.isolation != Isolation::Plain {
        let mut spaces = vec![
            (open("uts")?, CloneFlags::CLONE_NEWUTS),
            (open("ipc")?, CloneFlags::CLONE_NEWIPC),
            (open("pid_for_children")?, CloneFlags::CLONE_NEWPID),
            (inner()?, CloneFlags::CLONE_NEWNS),
        ];
        if spec.isolation == Isolation::UserNamespaces {
            spaces.insert(0, (open("user")?, CloneFlags::CLONE_NEWUSER));
        }
        for (space, kind) in spaces {
            setns(space, kind)?;
        }
    }
    let Some((name, args)) = spec.argv.split_first() else {
        return Ok(BROKEN);
    };
    let dir = if spec.working_dir.is_empty() { "/" } else { &spec.working_dir };
    let status = Command::new(name)
        .args(args)
        .env_clear()
        .envs(spec.env.iter().map(|(key, value)| (key, value)))
        .current_dir(dir)
        .stdin(Stdio::null())
        .status()?;
    Ok(status.code().unwrap_or(137).clamp(0, 255) as u8)
}
