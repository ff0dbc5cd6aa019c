//! Temporary directories of systems in memory, and what is left of those that were killed.

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use argosy_private as private;
use tempfile::TempDir;

const PREFIX: &str = "argosy-";
/// A file in the directory that its owner has locked as long as it lives.
const ALIVE: &str = "alive";

/// A directory for this user alone, which goes with the value.
pub(crate) struct Temporary {
    dir: TempDir,
    _alive: File,
}

impl Temporary {
    /// Makes one in `parent`.
    pub fn new(parent: &Path) -> io::Result<Self> {
        let mode = Permissions::from_mode(private::DIR_MODE);
        let dir = tempfile::Builder::new().prefix(PREFIX).permissions(mode).tempdir_in(parent)?;
        // It is locked before it has the name by which others look for it.
        let draft = dir.path().join(".alive");
        let alive = private::create_new(&draft)?;
        match alive.try_lock() {
            Ok(()) => fs::rename(&draft, dir.path().join(ALIVE))?,
            // Without locks it is never taken for one that nobody has.
            Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "lock a temporary directory"),
        }
        Ok(Self { dir, _alive: alive })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Removes what systems of this user have left in `parent` that were killed. What cannot be removed stays.
pub(crate) fn clean(parent: &Path) {
    let Ok(user) = fs::metadata("/proc/self").map(|own| own.uid()) else { return };
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == user);
        if !is_ours || !is_left(&entry.path()) {
            continue;
        }
        match fs::remove_dir_all(entry.path()) {
            Ok(()) => tracing::info!(path = %entry.path().display(), "what a killed system has left is removed"),
            Err(error) => {
                tracing::debug!(%error, path = %entry.path().display(), "remove what a killed system has left")
            }
        }
    }
}

/// True for a directory whose owner is gone.
fn is_left(dir: &Path) -> bool {
    let file = dir.join(ALIVE);
    if !fs::symlink_metadata(&file).is_ok_and(|found| found.is_file()) {
        return false;
    }
    let Ok(file) = File::open(&file) else { return false };
    match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_any_more_is_removed_and_nothing_else() {
        let parent = tempfile::tempdir().expect("a directory");
        let alive = Temporary::new(parent.path()).expect("made");
        let made = |name: &str, file: Option<&str>| {
            let path = parent.path().join(name);
            fs::create_dir_all(path.join("deep")).expect("made");
            if let Some(file) = file {
                fs::write(path.join(file), "").expect("written");
            }
            path
        };
        let left = made("argosy-left", Some(ALIVE));
        let stay = [made("argosy-draft", Some(".alive")), made("argosy-other", None), made("other", Some(ALIVE))];
        clean(parent.path());
        assert!(!left.exists() && alive.path().exists());
        assert!(stay.iter().all(|path| path.exists()), "{stay:?}");
    }
}
