//! A NATS server of the test's own, on the loopback interface.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// Path of the server's binary; `None` when there is none and none is required.
pub fn find() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let named = std::env::var_os("ARGOSY_NATS_SERVER").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|dir| dir.join("nats-server"));
    let in_home =
        ["go/bin", ".cache/argosy/bin", ".cache/argosy-cluster/bin"].map(|dir| home.join(dir).join("nats-server"));
    let found = named.into_iter().chain(on_path).chain(in_home).find(|candidate| candidate.is_file());
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
    cluster: Vec<String>,
    child: Child,
}

impl Server {
    pub fn start(binary: &Path) -> Result<Self> {
        Self::start_in(binary, free_port()?, Vec::new())
    }

    /// Servers that form one cluster.
    pub fn start_cluster(binary: &Path, size: usize) -> Result<Vec<Self>> {
        let routes: Vec<u16> = (0..size).map(|_| free_port()).collect::<Result<_>>()?;
        let all: Vec<String> = routes.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let start = |(number, own): (usize, &String)| {
            let (name, routes) = (format!("server-{number}"), all.join(","));
            let options = ["-n", &name, "--cluster_name", "test", "--cluster", own, "--routes", &routes];
            Self::start_in(binary, free_port()?, options.map(str::to_owned).into())
        };
        all.iter().enumerate().map(start).collect()
    }

    fn start_in(binary: &Path, port: u16, cluster: Vec<String>) -> Result<Self> {
        let store = tempfile::tempdir().context("make a store")?;
        let child = spawn(binary, store.path(), port, &cluster)?;
        Ok(Self { binary: binary.to_owned(), store, port, cluster, child })
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Kills the server as a crash would, and starts it again with its store and port.
    pub fn crash_and_restart(&mut self) -> Result<()> {
        self.stop();
        self.child = spawn(&self.binary, self.store.path(), self.port, &self.cluster)?;
        Ok(())
    }

    /// The same, with an empty store.
    pub fn crash_and_lose_all(&mut self) -> Result<()> {
        self.stop();
        self.store = tempfile::tempdir().context("make a store")?;
        self.child = spawn(&self.binary, self.store.path(), self.port, &self.cluster)?;
        Ok(())
    }

    /// Starts it again with its store and port, after a stop.
    pub fn restart(&mut self) -> Result<()> {
        self.child = spawn(&self.binary, self.store.path(), self.port, &self.cluster)?;
        Ok(())
    }

    /// Kills it as a crash would.
    pub fn stop(&mut self) {
        // A child that ended by itself is no reason to fail.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("find a port")?;
    Ok(listener.local_addr()?.port())
}

fn spawn(binary: &Path, store: &Path, port: u16, cluster: &[String]) -> Result<Child> {
    let mut command = Command::new(binary);
    command.args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"]).arg(store).args(cluster);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().with_context(|| format!("start {}", binary.display()))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
