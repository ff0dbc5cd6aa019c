//! A NATS server of the benchmark's own, on the loopback interface.

use std::{
    env,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::net::TcpStream;

/// How long the server may take until it answers.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// Path of the server's binary, looked for where the tests look for it.
pub fn find() -> Option<PathBuf> {
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let path = env::var_os("PATH").unwrap_or_default();
    let named = env::var_os("ARGOSY_NATS_SERVER").map(PathBuf::from);
    let in_home = ["go/bin", ".cache/argosy/bin", ".cache/argosy-cluster/bin"].map(|dir| home.join(dir));
    let dirs = env::split_paths(&path).chain(in_home);
    named.into_iter().chain(dirs.map(|dir| dir.join("nats-server"))).find(|file| file.is_file())
}

/// A running server; it ends with this value.
pub struct Server {
    address: String,
    child: Child,
    _store: TempDir,
}

impl Server {
    /// Starts one with an empty store, and waits until it answers.
    pub async fn start(binary: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0").context("find a port")?.local_addr()?.port();
        let store = tempfile::tempdir().context("make a store")?;
        let mut command = Command::new(binary);
        command.args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"]).arg(store.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().with_context(|| format!("start {}", binary.display()))?;
        let server = Self { address: format!("127.0.0.1:{port}"), child, _store: store };
        let answers = async {
            while TcpStream::connect(&server.address).await.is_err() {
                tokio::time::sleep(POLL).await;
            }
        };
        if tokio::time::timeout(ANSWERS_WITHIN, answers).await.is_err() {
            bail!("{} does not answer at {}", binary.display(), server.address);
        }
        Ok(server)
    }

    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A child that ended by itself is no reason to fail.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
