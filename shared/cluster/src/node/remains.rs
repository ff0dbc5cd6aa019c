//! Removes what pods leave on disk.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::spec::{self, EXIT, LOCK, STARTED, Started};

/// Removes a directory tree, off the runtime's threads.
pub async fn remove(path: PathBuf) {
    let removed = tokio::task::spawn_blocking(move || (remove_tree(&path), path)).await;
    if let Ok((Err(error), path)) = removed {
        tracing::warn!(%error, path = %path.display(), "cannot remove a pod's directory");
    }
}

/// Kills and removes the pods that an earlier life of the node left and the API server no longer knows.
pub async fn sweep(pods: PathBuf, known: HashSet<String>) {
    let swept = tokio::task::spawn_blocking(move || {
        for pod in fs::read_dir(pods)?.flatten() {
            if known.contains(pod.file_name().to_string_lossy().as_ref()) {
                continue;
            }
            for container in fs::read_dir(pod.path().join("containers"))
                .into_iter()
                .flatten()
                .flatten()
            {
                for run in fs::read_dir(container.path())
                    .into_iter()
                    .flatten()
                    .flatten()
                {
                    kill_run(&run.path());
                }
            }
            remove_tree(&pod.path())?;
        }
        io::Result::Ok(())
    });
    if let Ok(Err(error)) = swept.await {
        tracing::warn!(%error, "cannot remove left-over pods");
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
