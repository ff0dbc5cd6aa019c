//! Removes what pods leave on disk.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

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
            containers.iter().flat_map(|container| directories(container)).for_each(|run| kill_run(&run));
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

fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) => {
            // overlays leave directories without permissions; so may the user's programs
            open_up(path);
            fs::remove_dir_all(path)
        }
    }
}

fn open_up(path: &Path) {
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}
