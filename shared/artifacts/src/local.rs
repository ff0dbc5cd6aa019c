//! Artifacts in a directory of this machine.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use tokio::io::AsyncRead;

use crate::{Error, Source, Store};

/// Directory of objects that are being written.
const PARTS: &str = ".parts";

/// Keeps each object in a file below a directory.
#[derive(Debug)]
pub struct LocalStore {
    root: PathBuf,
    parts: AtomicU64,
}

impl LocalStore {
    /// A store in `root`, which is made when it is missing.
    /// Errors: `Io`.
    pub fn open_at(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        fs::create_dir_all(root.join(PARTS)).map_err(Error::io("create", &root))?;
        Ok(Self { root, parts: AtomicU64::new(0) })
    }

    fn path(&self, key: &str) -> Result<PathBuf, Error> {
        let relative = Path::new(key.trim_matches('/'));
        let local = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if !local || relative.as_os_str().is_empty() || relative.starts_with(PARTS) || key.contains('\0') {
            return Err(Error::Key { key: key.to_owned() });
        }
        Ok(self.root.join(relative))
    }

    fn part(&self) -> PathBuf {
        let n = self.parts.fetch_add(1, Ordering::Relaxed);
        self.root.join(PARTS).join(format!("{}-{n}", std::process::id()))
    }
}

#[async_trait]
impl Store for LocalStore {
    async fn put(&self, key: &str, source: Source<'_>) -> Result<(), Error> {
        let (path, part) = (self.path(key)?, self.part());
        let parent = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        match source {
            Source::Bytes(bytes) => fs::write(&part, bytes).map_err(Error::io("write", &part))?,
            Source::Move(from) if fs::rename(from, &part).is_ok() => {}
            Source::Move(from) | Source::Copy(from) => {
                let (from, to) = (from.to_owned(), part.clone());
                blocking("copy", move || copy(&from, &to)).await?;
            }
        }
        if fs::symlink_metadata(&path).is_ok_and(|old| old.is_dir()) {
            fs::remove_dir_all(&path).map_err(Error::io("replace", &path))?;
        }
        fs::rename(&part, &path).map_err(Error::io("store", &path))
    }

    async fn get(&self, key: &str, to: &Path) -> Result<(), Error> {
        let from = self.path(key)?;
        if !from.exists() {
            return Err(Error::NotFound { key: key.to_owned() });
        }
        let to = to.to_owned();
        blocking("copy", move || copy(&from, &to)).await
    }

    async fn open(&self, key: &str) -> Result<Box<dyn AsyncRead + Send + Unpin>, Error> {
        let path = self.path(key)?;
        match tokio::fs::File::open(&path).await {
            Ok(file) => Ok(Box::new(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::NotFound { key: key.to_owned() }),
            Err(error) => Err(Error::io("open", &path)(error)),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let path = if prefix.is_empty() { self.root.clone() } else { self.path(prefix)? };
        let mut keys = Vec::new();
        let mut open = vec![path];
        while let Some(next) = open.pop() {
            if !next.is_dir() {
                if next.exists() {
                    let key = next.strip_prefix(&self.root).unwrap_or(&next);
                    keys.push(key.display().to_string());
                }
                continue;
            }
            for entry in fs::read_dir(&next).map_err(Error::io("list", &next))? {
                let path = entry.map_err(Error::io("list", &next))?.path();
                if path != self.root.join(PARTS) {
                    open.push(path);
                }
            }
        }
        keys.sort();
        Ok(keys)
    }

    async fn delete(&self, key: &str) -> Result<(), Error> {
        let path = self.path(key)?;
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("delete", &path)(error)),
            _ => Ok(()),
        }
    }
}

async fn blocking(doing: &'static str, work: impl FnOnce() -> Result<(), Error> + Send + 'static) -> Result<(), Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::io(doing, Path::new("artifact"))(io::Error::other(error))))
}

/// Copies a file or a directory; symbolic links stay links, anything else is left out.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let meta = fs::symlink_metadata(from).map_err(Error::io("read", from))?;
    if meta.is_symlink() {
        let target = fs::read_link(from).map_err(Error::io("read", from))?;
        return std::os::unix::fs::symlink(target, to).map_err(Error::io("create", to));
    }
    if meta.is_file() {
        return fs::copy(from, to).map(drop).map_err(Error::io("copy", from));
    }
    if !meta.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(to).map_err(Error::io("create", to))?;
    for entry in fs::read_dir(from).map_err(Error::io("list", from))? {
        let entry = entry.map_err(Error::io("list", from))?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}
