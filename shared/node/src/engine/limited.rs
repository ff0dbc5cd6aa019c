//! Runs another program with a limit on the size of the files it writes.
//!
//! What an engine copies out of a container is as large as the container made it, and may be sparse there: it would fill
//! the disk before anybody could look at it.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::sys::resource::{Resource, setrlimit};

/// The subcommand of the executable that leads here.
pub const COMMAND: &str = "__limited";

/// Becomes the program named by the arguments of this process: `EXECUTABLE __limited BYTES PROGRAM ARGUMENT…`.
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(2).collect();
    let [bytes, program, rest @ ..] = args.as_slice() else {
        eprintln!("{COMMAND} is started by argosy itself");
        return ExitCode::from(2);
    };
    let limited = match bytes.to_str().and_then(|bytes| bytes.parse().ok()) {
        Some(bytes) => setrlimit(Resource::RLIMIT_FSIZE, bytes, bytes).map_err(std::io::Error::from),
        None => Err(std::io::ErrorKind::InvalidInput.into()),
    };
    let error = limited.err().unwrap_or_else(|| Command::new(program).args(rest).exec());
    eprintln!("Error: run {}: {error}", program.display());
    ExitCode::FAILURE
}

/// The arguments that lead to [`main`].
pub fn arguments(bytes_max: u64, program: &str) -> [OsString; 3] {
    [COMMAND.into(), bytes_max.to_string().into(), OsStr::new(program).to_owned()]
}

/// Whether a program failed as it reached the limit, from what it said.
pub fn is_reached(text: &str) -> bool {
    ["SIGXFSZ", "file size limit exceeded", "file too large"].iter().any(|part| text.contains(part))
}
