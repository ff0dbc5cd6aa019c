//! This process as a container of the executor.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use argosy_api::executor::{environment, paths};
use argosy_beneath::{At, Dir};
use async_trait::async_trait;
use kube::Client;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::layout::Layout;
use crate::pod::alive;
use crate::surroundings::Surroundings;

/// The program of this process.
pub(super) const SELF: &str = "/proc/self/exe";

/// A process in a pod.
pub(super) struct Process {
    name: String,
    /// Cancelled by SIGTERM and SIGINT.
    pub stopping: CancellationToken,
    client: OnceCell<(Client, String)>,
    logged: Mutex<Vec<u8>>,
}

impl Process {
    /// Errors: `Environment`, where the manifest is not one of ours; `Start`.
    pub fn new() -> Result<Self, Error> {
        let name = environment::CONTAINER_NAME;
        let container = std::env::var(name).map_err(|_| Error::Environment { name })?;
        let stopping = CancellationToken::new();
        for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
            let mut asked = signal(kind).map_err(|error| Error::Start { text: error.to_string() })?;
            let stopping = stopping.clone();
            // ends with the process
            tokio::spawn(async move {
                asked.recv().await;
                stopping.cancel();
            });
        }
        Ok(Self { name: container, stopping, client: OnceCell::new(), logged: Mutex::default() })
    }

    /// Where the containers meet.
    /// Errors: `File`.
    pub fn shared_layout(&self) -> Result<Layout, Error> {
        let volume = Dir::open(Path::new(paths::VAR_RUN_ARGO));
        volume.map(Layout::shared).map_err(|source| Error::File { path: paths::VAR_RUN_ARGO.into(), source })
    }

    /// For `wait`.
    /// Errors: `File`.
    pub fn leave_exit_code(&self, code: i32) -> Result<(), Error> {
        let layout = self.shared_layout()?;
        layout.write(&layout.exit_code(&self.name), code.to_string().as_bytes())
    }
}

#[async_trait]
impl Surroundings for Process {
    fn name(&self) -> &str {
        &self.name
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn layout(&self) -> Result<Layout, Error> {
        self.shared_layout()
    }

    fn place(&self, path: &str) -> io::Result<At> {
        At::host(Path::new(path))
    }

    async fn client(&self) -> Result<(Client, String), Error> {
        let connect = async || {
            _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
            let config = kube::Config::incluster().map_err(|error| Error::Client { source: error.into() })?;
            let namespace = config.default_namespace.clone();
            let client = Client::try_from(config).map_err(|error| Error::Client { source: error.into() })?;
            Ok((client, namespace))
        };
        self.client.get_or_try_init(connect).await.cloned()
    }

    async fn ended(&self, container: &str) -> Result<Option<i32>, Error> {
        alive::ended(&self.shared_layout()?, container, &self.stopping).await
    }

    fn stop(&self, container: &str) {
        let stopped = self
            .shared_layout()
            .and_then(|layout| layout.write(&layout.signal(container), Signal::TERM.as_raw().to_string().as_bytes()));
        if let Err(error) = stopped {
            self.log(&error.to_string());
        }
    }

    fn log(&self, line: &str) {
        _ = writeln!(io::stderr(), "{line}");
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        // as a whole line: writing to memory does not fail
        _ = writeln!(logged, "{line}");
    }

    fn executable(&self) -> &Path {
        Path::new(SELF)
    }

    fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    async fn keep_logs(&self, layout: &Layout) -> Result<(), Error> {
        if layout.wants_logs()? {
            let logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner).clone();
            layout.write(&layout.combined(&self.name), &logged)?;
        }
        Ok(())
    }
}
