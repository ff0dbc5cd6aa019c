//! A NATS server of the test's own, on the loopback interface.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// Path of the server's binary; `None` when there is none and none is required.
pub fn find() -> Option<PathBuf> {
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    let named = std::env::var_os("ARGOSY_NATS_SERVER").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|dir| dir.join("nats-server"));
    let in_home = ["go/bin", ".cache/argosy/bin", ".cache/argosy-cluster/bin"]
        .map(|dir| home.join(dir).join("nats-server"));
    let found = named
        .into_iter()
        .chain(on_path)
        .chain(in_home)
        .find(|candidate| candidate.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("ARGOSY_REQUIRE_NATS").is_none_or(|value| value != "1"),
            "no nats-server found, but one is required"
        );
        println!("nats: skipped (no nats-server)");
    }
    found
}

/// A running server; it ends with this value.
pub struct Server {
    binary: PathBuf,
    store: TempDir,
    port: u16,
    child: Child,
}

impl Server {
    pub fn start(binary: &Path) -> Result<Self> {
        let store = tempfile::tempdir().context("make a store")?;
        let port = TcpListener::bind("127.0.0.1:0")
            .context("find a port")?
            .local_addr()?
            .port();
        let child = spawn(binary, store.path(), port)?;
        Ok(Self {
            binary: binary.to_owned(),
            store,
            port,
            child,
        })
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Kills the server as a crash would, and starts it again with its store and port.
    pub fn crash_and_restart(&mut self) -> Result<()> {
        self.stop();
        self.child = spawn(&self.binary, self.store.path(), self.port)?;
        Ok(())
    }

    fn stop(&mut self) {
        // A child that ended by itself is no reason to fail.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(binary: &Path, store: &Path, port: u16) -> Result<Child> {
    let mut command = Command::new(binary);
    command
        .args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"])
        .arg(store);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
        .spawn()
        .with_context(|| format!("start {}", binary.display()))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
