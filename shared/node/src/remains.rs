//! Removes what pods leave on disk.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use argosy_beneath::Dir;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::spec::{self, EXIT, LOCK, STARTED, Started};

/// Removes a directory tree, off the runtime's threads; what stays is logged.
pub async fn remove(path: PathBuf) {
    if let Err(error) = try_remove(path.clone()).await {
        tracing::warn!(%error, path = %path.display(), "cannot remove a pod's directory");
    }
}

/// Removes a directory tree, off the runtime's threads.
/// Errors: those of the file system.
pub async fn try_remove(path: PathBuf) -> io::Result<()> {
    tokio::task::spawn_blocking(move || remove_tree(&path)).await.map_err(io::Error::other)?
}

/// The directories in `dir`.
pub fn directories(dir: &Path) -> HashSet<PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Kills and removes pods that an earlier life of the node left and the API server no longer knows.
pub async fn sweep(pods: HashSet<PathBuf>) {
    for pod in pods {
        let dir = pod.clone();
        let killed = tokio::task::spawn_blocking(move || {
            let containers = directories(&dir.join("containers"));
            containers.iter().for_each(|container| kill_container(container));
        });
        if let Err(error) = killed.await {
            tracing::warn!(%error, path = %pod.display(), "cannot end a left-over pod");
        }
        remove(pod).await;
    }
}

fn kill_run(dir: &Path) {
    let Ok(lock) = fs::File::open(dir.join(LOCK)) else {
        return;
    };
    if dir.join(EXIT).exists() || lock.try_lock().is_ok() {
        return;
    }
    // the lock is held, so the process id is still the shim's
    if let Ok(Some(started)) = spec::read_json::<Started>(&dir.join(STARTED)) {
        let _ = kill(Pid::from_raw(started.pid), Signal::SIGUSR1);
        let _ = lock.lock();
    }
}

/// Kills what runs of a container.
pub fn kill_container(dir: &Path) {
    directories(dir).iter().for_each(|run| kill_run(run));
}

fn remove_tree(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    match Dir::open(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(dir) => dir.remove(Path::new(name)).map(drop),
    }
}
