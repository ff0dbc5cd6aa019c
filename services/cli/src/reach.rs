//! Systems that run on this machine, `argosy dev` and `argosy run`, which other commands find while they run: each leaves a
//! kubeconfig in the state folder.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use argosy_private as private;
use kube::config::Kubeconfig;
use tokio::net::TcpStream;

use crate::state;

/// How long a server of this machine may take to take a connection.
const PATIENCE: Duration = Duration::from_millis(500);
const ENDING: &str = ".kubeconfig";

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `argosy dev`; named by the port of its API.
    Dev,
    /// `argosy run`; named by its workflow, the first where it has several.
    Run,
}

impl Kind {
    fn dir(self) -> Option<PathBuf> {
        Some(state::dir()?.join(match self {
            Self::Dev => "devs",
            Self::Run => "runs",
        }))
    }
}

/// A system that others can find. It is taken off the list with the value.
pub struct Listed {
    path: PathBuf,
}

impl Listed {
    /// Lists the system of this process, whose API has this kubeconfig. `None` where there is no place for it: it goes on
    /// without.
    pub fn new(kind: Kind, name: &str, kubeconfig: &str) -> Option<Self> {
        let dir = kind.dir()?;
        let path = dir.join(format!("{name}.{}{ENDING}", std::process::id()));
        match private::dir(&dir).and_then(|()| private::write(&path, kubeconfig)) {
            Ok(()) => Some(Self { path }),
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "others cannot find this system");
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
            tracing::debug!(%error, "take a system off the list");
        }
    }
}

/// A system that is listed.
#[derive(Clone, Debug)]
pub struct System {
    pub kind: Kind,
    /// By which it is known; see [`Kind`].
    pub name: String,
    /// The kubeconfig of its API.
    pub path: PathBuf,
    /// What the kubeconfig says.
    pub kubeconfig: String,
    /// When it was listed.
    since: SystemTime,
}

impl System {
    /// In a table: `dev :26443`, `run hello`.
    pub fn label(&self) -> String {
        match self.kind {
            Kind::Dev => format!("dev :{}", self.name),
            Kind::Run => format!("run {}", self.name),
        }
    }

    /// In a sentence.
    pub fn description(&self) -> String {
        match self.kind {
            Kind::Dev => format!("`argosy dev` on port {}", self.name),
            Kind::Run => format!("`argosy run` of {}", self.name),
        }
    }
}

/// All systems whose API answers: each `argosy dev`, the last started first, then each `argosy run`.
///
/// Errors: as [`of_kind`].
pub async fn systems() -> Result<Vec<System>, private::Error> {
    let mut systems = of_kind(Kind::Dev).await?;
    systems.extend(of_kind(Kind::Run).await?);
    Ok(systems)
}

/// Those of a kind, the last started first. What those left behind that did not end in order is removed.
///
/// Errors: the list belongs to somebody else, or others may write to it: a kubeconfig can run programs.
pub async fn of_kind(kind: Kind) -> Result<Vec<System>, private::Error> {
    let Some(dir) = kind.dir().filter(|dir| dir.exists()) else { return Ok(Vec::new()) };
    private::dir(&dir)?;
    let paths = std::fs::read_dir(&dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut systems = Vec::new();
    for path in paths.collect::<Vec<_>>() {
        let Some((name, process)) = path.file_name().and_then(|name| parts(name.to_str()?)) else { continue };
        let Some(kubeconfig) = private::read(&path)? else { continue };
        if !is_running(process) || !is_live(&kubeconfig).await {
            _ = std::fs::remove_file(&path);
            continue;
        }
        let since = std::fs::metadata(&path).and_then(|found| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        systems.push(System { kind, name, path, kubeconfig, since });
    }
    systems.sort_by(|a, b| b.since.cmp(&a.since).then_with(|| a.path.cmp(&b.path)));
    Ok(systems)
}

/// False for a process that is surely gone: its port may be somebody else's by now.
fn is_running(process: u32) -> bool {
    let processes = Path::new("/proc");
    !processes.join("self").exists() || processes.join(process.to_string()).exists()
}

/// True when the server of a kubeconfig on this machine takes connections.
pub async fn is_live(kubeconfig: &str) -> bool {
    let server = || Kubeconfig::from_yaml(kubeconfig).ok()?.clusters.into_iter().next()?.cluster?.server;
    let address = server().and_then(|server| server.split_once("://")?.1.trim_end_matches('/').parse().ok());
    let Some(address): Option<SocketAddr> = address else { return false };
    tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await.is_ok_and(|connected| connected.is_ok())
}

/// The system's name and process in the name of a file.
fn parts(name: &str) -> Option<(String, u32)> {
    let (name, process) = name.strip_suffix(ENDING)?.rsplit_once('.')?;
    process.parse().ok().map(|process| (name.to_owned(), process))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_say_whose_they_are() {
        assert_eq!(parts("a.b.17.kubeconfig"), Some(("a.b".to_owned(), 17)));
        for other in ["17.kubeconfig", "a.17", "a.x.kubeconfig", ".kubeconfig"] {
            assert_eq!(parts(other), None, "{other}");
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
