//! How a command ends other than well, and the exit code that says so.

use std::process::ExitCode;

use argosy_client::{Warning, chain, edit};

use crate::{
    channel::say,
    diagnostic::{self, Diagnostic},
    terminal,
};

/// The exit code of what SIGINT ended.
const INTERRUPTED: u8 = 130;

/// A signal that ends a command from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// SIGTERM.
    Terminated,
    /// SIGHUP.
    HungUp,
}

impl Ended {
    /// The signal's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Terminated => "SIGTERM",
            Self::HungUp => "SIGHUP",
        }
    }

    /// The exit code by which a shell knows it: 128 and the signal's number.
    pub fn code(self) -> u8 {
        match self {
            Self::Terminated => 143,
            Self::HungUp => 129,
        }
    }
}

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The user's files or flags are wrong. Exit code 2.
    #[error("bad input")]
    Input(Vec<Diagnostic>),
    /// A flag or name is wrong; the text says which and what to do. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The user's files are wrong; it was said already. Exit code 2.
    #[error("bad input")]
    Reported,
    /// The workflow failed; it was reported already. Exit code 1.
    #[error("a workflow did not succeed")]
    Workflow,
    /// Something of what was asked for failed; it was told already. Exit code 1.
    #[error("not all was done")]
    Told,
    /// The user left before the end; the text says what becomes of the workflows. Exit code 130, as of all that an
    /// interrupt ends.
    #[error("{0}")]
    Left(String),
    /// A signal ended the command before its work; the text says what becomes of the workflows. Exit code 128 and the
    /// signal's number.
    #[error("ended by {} before the workflow; {told}", ended.name())]
    Ended { ended: Ended, told: String },
    /// Anything else. Exit code 1.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// What a command returns.
pub type Outcome = Result<(), Failure>;

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                let help = match status.reason.as_str() {
                    "AlreadyExists" if status.message.starts_with("workflows.") => TAKEN,
                    _ if is_too_large(&status) => TOO_LARGE,
                    _ => "",
                };
                Self::Other(anyhow::anyhow!("{}{help}", status.message))
            }
            kube::Error::Service(source) => {
                let mut cause: &dyn std::error::Error = source.as_ref();
                while let Some(below) = cause.source() {
                    cause = below;
                }
                Self::Other(anyhow::anyhow!(
                    "the API server does not answer: {cause}. Is `argosy dev` running? Name another server with --kubeconfig or $KUBECONFIG"
                ))
            }
            other => Self::Other(other.into()),
        }
    }
}

/// The object is larger than the server's store takes.
fn is_too_large(status: &kube::core::Status) -> bool {
    status.code == 413 || status.message.contains("request is too large")
}

const TAKEN: &str = "; choose another name with --name, let the server choose one with metadata.generateName, or delete that workflow first";
const TOO_LARGE: &str = ": an object may have 1.5 MiB; pass large data as an artifact, a volume or a ConfigMap of its own, not as a parameter";

impl From<argosy_client::Error> for Failure {
    fn from(error: argosy_client::Error) -> Self {
        match error {
            argosy_client::Error::Api(error) => error.into(),
            error @ argosy_client::Error::BadName(_) => Self::Usage(error.to_string()),
            other => Self::Other(other.into()),
        }
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<edit::Error<E>> for Failure {
    fn from(error: edit::Error<E>) -> Self {
        match error {
            edit::Error::Client(error) => error.into(),
            refused => Self::Other(refused.into()),
        }
    }
}

/// Says on standard error what is worth saying beside an answer.
pub fn warn(warning: Warning<'_>) {
    let (name, why) = (terminal::line(warning.workflow), chain(warning.without_nodes));
    say!("warning: workflow {name}: shown without its nodes: {}", terminal::line(&why));
}

impl Failure {
    /// All of it in one line.
    pub fn line(&self) -> String {
        match self {
            Self::Other(error) => terminal::line(&chain(&**error)).into_owned(),
            other => terminal::line(&other.to_string()).into_owned(),
        }
    }

    /// Says it on standard error and gives the exit code.
    pub fn report(self) -> ExitCode {
        match self {
            Self::Input(diagnostics) => {
                diagnostic::report(&diagnostics);
                ExitCode::from(2)
            }
            Self::Usage(text) => {
                say!("error: {}", terminal::lines(&text));
                ExitCode::from(2)
            }
            Self::Left(text) => {
                say!("{}", terminal::lines(&text));
                ExitCode::from(INTERRUPTED)
            }
            Self::Ended { ended, .. } => {
                say!("{}", self.line());
                ExitCode::from(ended.code())
            }
            Self::Reported => ExitCode::from(2),
            Self::Workflow | Self::Told => ExitCode::FAILURE,
            Self::Other(error) => {
                say!("error: {}", terminal::lines(&chain(&*error)));
                ExitCode::FAILURE
            }
        }
    }
}

/// `Err` with all of them where one is an error; otherwise warnings are reported and forgotten.
pub fn settle(diagnostics: Vec<Diagnostic>) -> Result<(), Failure> {
    if diagnostics.iter().all(|diagnostic| diagnostic.warning) {
        diagnostic::report(&diagnostics);
        return Ok(());
    }
    Err(Failure::Input(diagnostics))
}
