//! Running `argosy run`s, which other commands find while they run: each leaves a kubeconfig in the state folder.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use argosy_private as private;
use kube::config::Kubeconfig;
use tokio::net::TcpStream;

use crate::state;

/// How long a server of this machine may take to take a connection.
const PATIENCE: Duration = Duration::from_millis(500);
const ENDING: &str = ".kubeconfig";

/// A run that others can find. It is taken off the list with the value.
pub struct Listed {
    path: PathBuf,
}

impl Listed {
    /// Lists the run of `workflow`, whose API has this kubeconfig. `None` where there is no place for it: the run goes on
    /// without.
    pub fn new(workflow: &str, kubeconfig: &str) -> Option<Self> {
        let dir = dir()?;
        let path = dir.join(format!("{workflow}.{}{ENDING}", std::process::id()));
        match private::dir(&dir).and_then(|()| private::write(&path, kubeconfig)) {
            Ok(()) => Some(Self { path }),
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "others cannot find this run");
                None
            }
        }
    }

    /// The kubeconfig.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "take a run off the list");
        }
    }
}

/// A run that is listed.
#[derive(Clone, Debug)]
pub struct Running {
    /// Its workflow, the first where it has several.
    pub workflow: String,
    /// The kubeconfig of its API.
    pub path: PathBuf,
}

/// The runs whose API answers. What those left behind that did not end in order is removed.
///
/// Errors: the list belongs to somebody else, or others may write to it: a kubeconfig can run programs.
pub async fn running() -> Result<Vec<Running>, private::Error> {
    let Some(dir) = dir().filter(|dir| dir.exists()) else { return Ok(Vec::new()) };
    private::dir(&dir)?;
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(&dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut runs = Vec::new();
    for path in paths {
        let Some(workflow) = path.file_name().and_then(|name| workflow(name.to_str()?)) else { continue };
        match private::read(&path)? {
            Some(text) if is_live(&text).await => runs.push(Running { workflow, path }),
            Some(_) => _ = std::fs::remove_file(&path),
            None => {}
        }
    }
    Ok(runs)
}

/// True when the server of a kubeconfig on this machine takes connections.
pub async fn is_live(kubeconfig: &str) -> bool {
    let server = || Kubeconfig::from_yaml(kubeconfig).ok()?.clusters.into_iter().next()?.cluster?.server;
    let address = server().and_then(|server| server.split_once("://")?.1.trim_end_matches('/').parse().ok());
    let Some(address): Option<SocketAddr> = address else { return false };
    tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await.is_ok_and(|connected| connected.is_ok())
}

fn dir() -> Option<PathBuf> {
    Some(state::dir()?.join("runs"))
}

/// The workflow in the name of a file.
fn workflow(name: &str) -> Option<String> {
    let (workflow, process) = name.strip_suffix(ENDING)?.rsplit_once('.')?;
    process.parse::<u32>().ok().map(|_| workflow.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_say_whose_they_are() {
        assert_eq!(workflow("a.b.17.kubeconfig").as_deref(), Some("a.b"));
        for other in ["17.kubeconfig", "a.17", "a.x.kubeconfig", ".kubeconfig"] {
            assert_eq!(workflow(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_gone_is_not_live() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let text = format!("clusters: [{{name: a, cluster: {{server: 'https://{address}'}}}}]");
        assert!(is_live(&text).await);
        drop(listener);
        assert!(!is_live(&text).await && !is_live("").await && !is_live("clusters: []").await);
    }
}
