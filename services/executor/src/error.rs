//! Why the executor failed.

use crate::{data, limits, resource};

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
    /// An output is not where it should be, in a volume of the user's.
    #[error("{doing} no such file or directory")]
    Missing {
        /// What was tried, with the path.
        doing: String,
    },
    /// An output is there, and is not taken.
    #[error("output {kind} {name}: {path}: {what}")]
    Output {
        /// `parameter` or `artifact`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The path, as the container sees it.
        path: String,
        /// Why.
        what: String,
    },
    /// All outputs together are too large.
    #[error("the outputs have {bytes} bytes as JSON, the limit is {bytes_max}{raise}")]
    Outputs {
        /// Their size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
        /// How it is raised.
        raise: &'static str,
    },
    /// The executor's own code failed.
    #[error("a bug in the executor ended it: {text}")]
    Panic {
        /// What it said.
        text: String,
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
    /// An artifact is there, and is no archive of the kind that it is said to be.
    #[error(transparent)]
    Archive {
        /// Why.
        source: argosy_artifacts::Error,
    },
    /// An input that has to be there has no location.
    #[error("required artifact '{name}' not supplied")]
    NotSupplied {
        /// Its name.
        name: String,
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
    /// The outputs cannot be written as JSON.
    #[error("write the outputs: {source}")]
    Encode {
        /// What serde says.
        source: serde_json::Error,
    },
    /// The outputs are too large for a message, and a WorkflowTaskResult cannot be made.
    #[error("report the outputs: {source}")]
    Report {
        /// What the API server says.
        source: Box<kube::Error>,
    },
    /// The API server cannot be reached from here.
    #[error("connect to the API server: {source}")]
    Client {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
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

/// What is said of an output that is there and not taken; `None` for any other error.
pub(crate) fn refused(error: &std::io::Error) -> Option<String> {
    use argosy_beneath::Refusal;
    Some(match argosy_beneath::refusal(error)? {
        refusal @ Refusal::TooLarge { .. } => format!("{refusal}{}", limits::RAISE_OUTPUTS),
        refusal => refusal.to_string(),
    })
}
