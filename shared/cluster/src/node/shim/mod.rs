//! The small process around each run of a container's command.
//!
//! The outer half (`argosy __shim DIR/spec.json`) leaves the node's session, makes the namespaces, keeps the log and
//! writes how the run ended. The inner half (`__shim --inner`) is process 1 of the container: it puts the file system
//! together, runs the command in a process group of its own, passes signals on and reaps. Both are single-purpose
//! programs without an async runtime; the node may die and come back while they run.
//! Signals to the outer half: SIGUSR1 means kill now, any other is passed to the command's group.

mod enter;
mod inner;
mod log;
mod mounts;
mod outer;

use std::path::PathBuf;
use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal};

/// The subcommand of the executable that leads here.
pub const COMMAND: &str = "__shim";

/// Runs the shim named by the arguments of this process: `EXECUTABLE __shim [--inner|--enter] FILE`.
/// Call it before any thread exists, as namespaces cannot be left otherwise.
pub fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(2).collect();
    let flag = args.first().and_then(|a| a.to_str()).unwrap_or_default();
    let path = |n: usize| args.get(n).map(PathBuf::from);
    match (flag, path(1)) {
        ("--inner", Some(file)) => inner::main(&file),
        ("--enter", Some(file)) => enter::main(&file),
        ("", _) => {
            eprintln!("{COMMAND} is started by argosy itself");
            ExitCode::from(2)
        }
        _ => match path(0) {
            Some(file) => outer::main(&file),
            None => ExitCode::from(2),
        },
    }
}

pub use enter::EnterSpec;

/// The signals that a shim waits for instead of dying of them. The node starts it with these blocked, so that it does not
/// die of one that comes early.
pub(super) fn awaited() -> SigSet {
    let mut set = SigSet::empty();
    for signal in [
        Signal::SIGCHLD,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
    ] {
        set.add(signal);
    }
    set
}

/// An exit code for `std::process::exit`, of an error that has been told elsewhere.
const BROKEN: u8 = 125;
