//! The small process around each run of a container's command.
//!
//! The outer half is forked from the `nursery` (`argosy __shim --nursery`). It leaves the node's session, makes the
//! namespaces, keeps the log and tells how the run ended. The inner half, forked from the outer, is process 1 of the
//! container: it puts the file system together, runs the command in a process group of its own, passes signals on and reaps.
//! All are single-purpose programs with one thread; the node may die and come back while they run.
//! The node speaks to the outer half through a channel, see `outer`. Who has none sends signals: SIGUSR1 means kill now,
//! any other is passed to the command's group.

mod awaited;
mod enter;
mod inner;
pub(super) mod log;
mod mounts;
mod nursery;
mod outer;

use std::path::Path;
use std::process::ExitCode;

/// The subcommand of the executable that leads here.
pub const COMMAND: &str = "__shim";

/// Runs the part named by the arguments of this process: `EXECUTABLE __shim --nursery` or `EXECUTABLE __shim --enter FILE`.
/// Call it before any thread exists, as a process with several can neither be forked whole nor leave its namespaces.
pub fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(2).collect();
    match (args.first().and_then(|flag| flag.to_str()), args.get(1)) {
        (Some("--nursery"), None) => nursery::main(),
        (Some("--enter"), Some(file)) => enter::main(Path::new(file)),
        _ => {
            eprintln!("{COMMAND} is started by argosy itself");
            ExitCode::from(2)
        }
    }
}

pub(super) use awaited::awaited;
pub use enter::EnterSpec;
pub use outer::{KILL, TERMINATE};
