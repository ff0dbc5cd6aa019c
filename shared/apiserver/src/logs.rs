//! Where the logs of pods come from.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use kube::api::LogParams;

/// Gives the logs of pods, on behalf of whatever runs them.
#[async_trait]
pub trait LogSource: Send + Sync {
    /// The log of the container that `params` names, as raw bytes, lines ended by `\n`; `None` while there is nothing to
    /// read and nothing to follow.
    /// Errors: the log cannot be read.
    async fn logs(
        &self,
        namespace: &str,
        pod: &str,
        params: LogParams,
    ) -> io::Result<Option<BoxStream<'static, Bytes>>>;
}
