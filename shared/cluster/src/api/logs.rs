//! Where the logs of pods come from.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;

/// What part of a container's log is asked for.
/// Source: Kubernetes `PodLogOptions`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Keep the stream open and send what is written later.
    pub follow: bool,
    /// The log of the previous run of the container.
    pub previous: bool,
    /// Prefix each line with its RFC 3339 time.
    pub timestamps: bool,
    /// Only the last so many lines.
    pub tail_lines: Option<u64>,
    /// Only lines of the last so many seconds.
    pub since_seconds: Option<u64>,
    /// Only lines from this time on.
    pub since_time: Option<Timestamp>,
    /// At most so many bytes.
    pub limit_bytes: Option<u64>,
}

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The container has not started yet, or the pod has no such container.
    #[error("container \"{container}\" in pod \"{pod}\" is waiting to start or unknown")]
    NotReady {
        /// Name of the pod.
        pod: String,
        /// Name of the container.
        container: String,
    },
    /// The log could not be read.
    #[error("read the log of pod \"{pod}\"")]
    Read {
        /// Name of the pod.
        pod: String,
        /// What failed.
        #[source]
        source: std::io::Error,
    },
}

/// Gives the logs of pods; implemented by whatever runs them.
#[async_trait]
pub trait LogSource: Send + Sync {
    /// The log of one container as raw bytes, lines ended by `\n`.
    /// Errors: `NotReady` while there is nothing to read and nothing to follow.
    async fn logs(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        options: LogOptions,
    ) -> Result<BoxStream<'static, Bytes>, LogError>;
}
