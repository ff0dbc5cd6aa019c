//! The command line of a container engine: the interface that Docker and Podman share.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::flavor::Flavor;
use super::limited;

/// Of what an engine says about a failure so much is told. Bytes.
const TEXT_MAX: usize = 2048;

/// A call of the engine that did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program cannot be run.
    #[error("run {program}")]
    Run {
        /// The program.
        program: &'static str,
        /// What the host says.
        #[source]
        source: io::Error,
    },
    /// The engine refused; these are its own words.
    #[error("{text}")]
    Refused {
        /// What it said.
        text: String,
    },
}

impl Error {
    /// Whether the engine does not know the container that it was asked about.
    pub fn is_no_such_container(&self) -> bool {
        matches!(self, Self::Refused { text } if text.to_lowercase().contains("no such container"))
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Run { source, .. } => source,
            Error::Refused { text } => Self::other(text),
        }
    }
}

/// Calls an engine.
#[derive(Clone, Copy, Debug)]
pub struct Cli {
    flavor: Flavor,
}

impl Cli {
    /// Calls this engine's program, wherever `PATH` has it.
    pub fn new(flavor: Flavor) -> Self {
        Self { flavor }
    }

    /// Which engine it is.
    pub fn flavor(self) -> Flavor {
        self.flavor
    }

    /// A call with no input. It dies when it is dropped, and Ctrl-C at the terminal does not reach it: the node decides
    /// what is stopped.
    pub fn command(self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(self.flavor.program());
        command.args(args).stdin(Stdio::null()).kill_on_drop(true).process_group(0);
        command
    }

    /// A call as [`Self::command`] makes it, which writes no file of more than so many bytes. `executable` is this program.
    pub fn limited(
        self,
        executable: &Path,
        bytes_max: u64,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        let mut command = Command::new(executable);
        command.args(limited::arguments(bytes_max, self.flavor.program()));
        command.args(args).stdin(Stdio::null()).kill_on_drop(true).process_group(0);
        command
    }

    /// What a call prints.
    /// Errors: see [`Error`].
    pub async fn output(self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<String, Error> {
        self.finish(self.command(args)).await
    }

    /// What a prepared call prints.
    /// Errors: see [`Error`].
    pub async fn finish(self, mut command: Command) -> Result<String, Error> {
        let program = self.flavor.program();
        let output = command.output().await.map_err(|source| Error::Run { program, source })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let text = said(&output.stderr);
        Err(Error::Refused { text: if text.is_empty() { format!("{program}: {}", output.status) } else { text } })
    }
}

/// What an engine said about a failure, without the words that it begins with each time and its warnings.
pub fn said(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let is_error = |line: &&&str| line.starts_with("Error");
    let first = lines.iter().position(|line| is_error(&line)).unwrap_or(0);
    let mut text = lines[first..].join(" ");
    for prefix in ["Error response from daemon: ", "Error: "] {
        if let Some(rest) = text.strip_prefix(prefix) {
            text = rest.to_owned();
        }
    }
    let end = (0..=TEXT_MAX.min(text.len())).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(0);
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::said;

    #[test]
    fn only_the_error_is_told() {
        let of = |text: &str| said(text.as_bytes());
        assert_eq!(of("Error response from daemon: No such image: base:no\n"), "No such image: base:no");
        assert_eq!(
            of("time=\"x\" level=warning msg=\"y\"\nError: base:no: image not known\n"),
            "base:no: image not known"
        );
        assert_eq!(
            of("unknown flag: --x\nSee 'docker create --help'.\n"),
            "unknown flag: --x See 'docker create --help'."
        );
        assert_eq!(of(""), "");
    }
}
