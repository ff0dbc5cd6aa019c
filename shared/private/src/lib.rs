//! Directories and files of this user alone, whatever the umask says.
//!
//! What a system on a machine keeps holds Secrets, logs and the key to its API: directories are made with mode 0700 and
//! files with 0600 from their first moment, and what somebody else owns or may write to is refused rather than used.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

/// Mode of directories.
pub const DIR_MODE: u32 = 0o700;
/// Mode of files.
pub const FILE_MODE: u32 = 0o600;
/// Largest file that [`read`] reads, in bytes. A kubeconfig has a few kilobytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A directory or file is not this user's alone, or cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It belongs to somebody else.
    #[error(
        "{path} belongs to the user with id {owner}, not to the one with id {user}; choose another, or change its owner"
    )]
    Owner {
        /// Which.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who we are.
        user: u32,
    },
    /// Others may write to it.
    #[error(
        "others may write to {path} (its mode is {mode:04o}); take that right away with `chmod go-w`, or choose another"
    )]
    Writable {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is a link, a pipe, or anything else than what it should be.
    #[error("{path} is not a {wanted}")]
    Kind {
        /// Which.
        path: PathBuf,
        /// What it should be.
        wanted: &'static str,
    },
    /// It cannot be used.
    #[error("{action} {path}")]
    Use {
        /// What was being done.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

type Result<T> = std::result::Result<T, Error>;

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Use { action, path, source }
}

/// A directory of this user alone: made with its missing parents, all of mode 0700, or taken as it is found.
/// One that is found and that others may read is closed to them; a log says so.
///
/// Errors: it belongs to somebody else, others may write to it, it is no directory, or it cannot be made.
pub fn dir(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(path).map_err(failed("create", path))?;
    // Through the open directory, so that what is checked is what is changed.
    let open = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_DIRECTORY.bits())
        .open(path)
        .map_err(failed("open", path))?;
    let found = open.metadata().map_err(failed("look at", path))?;
    check(path, &found)?;
    if found.mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "others could read a directory of ours; now they cannot");
        open.set_permissions(fs::Permissions::from_mode(DIR_MODE)).map_err(failed("close to others", path))?;
    }
    Ok(())
}

/// A new file in place of whatever is at `path`, readable by this user alone. Who reads sees the old or the new, whole.
///
/// Errors: it cannot be written.
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!(".{name}.{}", uuid::Uuid::new_v4().simple()));
    let written =
        create_new(&draft).and_then(|mut file| file.write_all(content.as_ref()).and_then(|()| file.sync_all()));
    let renamed = written.and_then(|()| fs::rename(&draft, path));
    if renamed.is_err() {
        // The draft is of no use; that it could not be made is what is told.
        _ = fs::remove_file(&draft);
    }
    renamed.map_err(failed("write", path))
}

/// A file that did not exist, of mode 0600, open for writing.
///
/// Errors: it exists, or cannot be made.
pub fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)
}

/// What a file of this user says; `None` where there is none.
///
/// Errors: it is a link or no regular file, belongs to somebody else, others may write to it, it is larger than 1 MiB,
/// or cannot be read.
pub fn read(path: &Path) -> Result<Option<String>> {
    // A pipe must not hold the reader up, nor a link lead it elsewhere.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ELOOP as i32) => {
            return Err(Error::Kind { path: path.to_owned(), wanted: "regular file" });
        }
        Err(error) => return Err(failed("read", path)(error)),
    };
    let found = file.metadata().map_err(failed("look at", path))?;
    if !found.is_file() {
        return Err(Error::Kind { path: path.to_owned(), wanted: "regular file" });
    }
    check(path, &found)?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed("read", path))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let source = io::Error::other(format!("it is larger than {FILE_BYTES_MAX} bytes"));
        return Err(failed("read", path)(source));
    }
    Ok(Some(text))
}

fn check(path: &Path, found: &fs::Metadata) -> Result<()> {
    let user = nix::unistd::geteuid().as_raw();
    judge(path, found.uid(), user, found.mode() & 0o7777)
}

fn judge(path: &Path, owner: u32, user: u32, mode: u32) -> Result<()> {
    let path = || path.to_owned();
    if owner != user {
        return Err(Error::Owner { path: path(), owner, user });
    }
    if mode & 0o022 != 0 {
        return Err(Error::Writable { path: path(), mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").mode() & 0o7777
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
    }

    #[test]
    fn what_is_made_is_closed_to_others_and_what_is_found_becomes_so() {
        let root = tempfile::tempdir().expect("a directory");
        let deep = root.path().join("a/b");
        dir(&deep).expect("made");
        assert_eq!((mode(&deep), mode(&root.path().join("a"))), (0o700, 0o700));
        set(&deep, 0o755);
        dir(&deep).expect("ours");
        assert_eq!(mode(&deep), 0o700);
        let file = deep.join("f");
        fs::write(&file, "open to all").expect("written");
        set(&file, 0o644);
        write(&file, "closed").expect("written");
        assert_eq!((mode(&file), read(&file).expect("ours").as_deref()), (0o600, Some("closed")));
        assert_eq!(fs::read_dir(&deep).expect("readable").count(), 1, "no draft is left");
    }

    #[test]
    fn what_others_own_or_may_write_to_is_refused() {
        let root = tempfile::tempdir().expect("a directory");
        set(root.path(), 0o775);
        assert!(matches!(dir(root.path()), Err(Error::Writable { mode: 0o775, .. })));
        set(root.path(), 0o700);
        let file = root.path().join("f");
        fs::write(&file, "").expect("written");
        set(&file, 0o646);
        assert!(matches!(read(&file), Err(Error::Writable { mode: 0o646, .. })));
        let link = root.path().join("l");
        std::os::unix::fs::symlink("/etc/hostname", &link).expect("linked");
        assert!(matches!(read(&link), Err(Error::Kind { .. })));
        nix::unistd::mkfifo(&root.path().join("p"), nix::sys::stat::Mode::S_IRWXU).expect("made");
        assert!(matches!(read(&root.path().join("p")), Err(Error::Kind { .. })));
        assert!(matches!(dir(&file), Err(Error::Use { .. })));
        assert!(read(&root.path().join("nothing")).expect("no mistake").is_none());
        assert!(matches!(judge(Path::new("d"), 1, 2, 0o700), Err(Error::Owner { owner: 1, user: 2, .. })));
    }
}
