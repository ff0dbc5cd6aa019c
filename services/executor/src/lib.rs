//! The executor: what surrounds the user's containers of a pod. `init` stages inputs, `main` wraps the user's command,
//! `wait` gathers outputs and reports them.
//!
//! They run inside the local node ([`Embedded`]), without processes of their own. The three meet in the volume
//! `var-run-argo`, see [`layout::Layout`].
//! Source: Argo Workflows v4.1.2 `workflow/executor`, `cmd/argoexec/commands/emissary.go`.

pub mod data;
mod embedded;
mod init;
pub mod layout;
mod outputs;
mod report;
pub mod resource;
mod wrapper;

pub use embedded::Embedded;
pub use init::{Inputs, stage};
pub use outputs::{Gathered, Gatherer};
pub use wrapper::{Wrapped, wrap};

/// Exit code of a container whose executor failed, as opposed to the user's command.
pub const FAILED: i32 = 64;

/// Why the executor failed. The text becomes the container's termination message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A variable of the environment is missing or cannot be read.
    #[error("environment variable {name} is missing or malformed")]
    Environment {
        /// Its name.
        name: &'static str,
    },
    /// The template cannot be read.
    #[error("read the template: {source}")]
    Template {
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A file cannot be read or written; the text is Go's, as users of Argo know it.
    #[error("{}", go_text(path, source))]
    File {
        /// Its path, as the containers see it.
        path: String,
        /// What the host says.
        source: std::io::Error,
    },
    /// An artifact cannot be loaded or saved.
    #[error("artifact {name} failed to {action}: {source}")]
    Artifact {
        /// Its name.
        name: String,
        /// `load` or `save`.
        action: &'static str,
        /// Why.
        source: argosy_artifacts::Error,
    },
    /// Another container, which this one waits for, failed.
    #[error("dependency \"{name}\" exited with non-zero code: {code}")]
    Dependency {
        /// Its name.
        name: String,
        /// Its exit code.
        code: i32,
    },
    /// The user's command cannot be run.
    #[error("failed to find name in PATH: {text}")]
    Command {
        /// Why, as Go's `os/exec` says it.
        text: String,
    },
    /// The process of the user's command cannot be made.
    #[error("failed to start the command: {text}")]
    Start {
        /// Why.
        text: String,
    },
    /// The outputs are too large for a message, and a WorkflowTaskResult cannot be made.
    #[error("report the outputs: {source}")]
    Report {
        /// What the API server says.
        source: Box<kube::Error>,
    },
    /// A `resource` template fails.
    #[error(transparent)]
    Resource(#[from] resource::Error),
    /// A `data` template fails.
    #[error(transparent)]
    Data(#[from] data::Error),
    /// A word of the command line that this build does not know.
    #[error("{word} templates are not supported yet in this build")]
    Unsupported {
        /// The word.
        word: String,
    },
}

fn go_text(path: &str, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("open {path}: no such file or directory"),
        std::io::ErrorKind::PermissionDenied => format!("open {path}: permission denied"),
        _ => format!("open {path}: {error}"),
    }
}
