//! Whether an engine can be used.

use std::io;
use std::time::Duration;

use super::cli::{Cli, Error};
use super::flavor::Flavor;

/// How long an engine may take to say its version.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Why a container engine cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Its program is not there.
    #[error("{program} is not installed, or not on PATH")]
    Missing {
        /// The program.
        program: &'static str,
    },
    /// Docker's program has no daemon to talk to.
    #[error("cannot reach the Docker daemon: {text}")]
    Unreachable {
        /// What it says.
        text: String,
    },
    /// Podman's program does not work.
    #[error("cannot use Podman: {text}")]
    Broken {
        /// What it says.
        text: String,
    },
    /// The process that cleans up after the node cannot be started.
    #[error("start the process that removes containers after a crash")]
    Reaper(#[source] io::Error),
}

/// The version of the engine, once it answers.
/// Errors: see [`Unusable`].
pub async fn version(cli: Cli) -> Result<String, Unusable> {
    let flavor = cli.flavor();
    let refused = |text: String| {
        let text = text.trim_end_matches("Is the docker daemon running?").trim_end_matches([' ', '.']).to_owned();
        match flavor {
            Flavor::Docker => Unusable::Unreachable { text },
            Flavor::Podman => Unusable::Broken { text },
        }
    };
    match tokio::time::timeout(ANSWER_MAX, cli.output(flavor.version())).await {
        Ok(Ok(version)) => Ok(version.trim().to_owned()),
        Ok(Err(Error::Run { source, .. })) if source.kind() == io::ErrorKind::NotFound => {
            Err(Unusable::Missing { program: flavor.program() })
        }
        Ok(Err(error)) => Err(refused(error.to_string())),
        Err(_) => Err(refused(format!("no answer within {} s", ANSWER_MAX.as_secs()))),
    }
}
