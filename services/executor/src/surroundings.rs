//! What surrounds a container of the executor: a pod that a kubelet runs, or the local node.

use std::io;
use std::path::Path;

use argosy_beneath::At;
use async_trait::async_trait;
use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::layout::Layout;

/// A container of the executor, and what it reaches.
#[async_trait]
pub trait Surroundings: Send + Sync {
    /// The name of this container.
    fn name(&self) -> &str;
    /// A variable of its environment.
    fn variable(&self, name: &str) -> Option<String>;
    /// Where the executor's containers meet.
    /// Errors: `File`.
    fn layout(&self) -> Result<Layout, Error>;
    /// Where a path in one of this container's volumes is.
    /// Errors: those of the file system.
    fn place(&self, path: &str) -> io::Result<At>;
    /// A client of the API server, and the pod's namespace. Asked for only when it is needed: many pods may not use the API.
    /// Errors: `Client`.
    async fn client(&self) -> Result<(Client, String), Error>;
    /// Waits for the end of another container and gives its exit code; `None` where that will not be known.
    /// Errors: `File`, where it cannot be looked for: it may go on.
    async fn ended(&self, container: &str) -> Result<Option<i32>, Error>;
    /// Asks another container to stop.
    fn stop(&self, container: &str);
    /// Appends a line to the log of this container.
    fn log(&self, line: &str);
    /// The program whose `main` begins with [`dispatch`](crate::dispatch).
    fn executable(&self) -> &Path;
    /// Cancelled when this container is asked to stop.
    fn stopping(&self) -> &CancellationToken;
    /// Leaves this container's log for `wait`, when the template asks for it as an artifact.
    /// Errors: `File`, `Template`.
    async fn keep_logs(&self, layout: &Layout) -> Result<(), Error>;
}
