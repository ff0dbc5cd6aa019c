//! Artifacts in a directory of this machine.

use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use argosy_api::v1alpha1::ArtifactLocation;
use argosy_beneath::{At, Budget, Cancel, Dir, Kind, Limits, Refusal, refusal};
use async_trait::async_trait;
use tokio::io::AsyncRead;

use crate::tree::copy;
use crate::{Error, Source, Store, Stores};

/// Directory of objects that are being written.
const PARTS: &str = ".parts";

/// Keeps each object in a file below a directory. Keys are walked without following links.
#[derive(Clone, Debug)]
pub struct LocalStore {
    root: Dir,
    parts: Arc<AtomicU64>,
}

impl LocalStore {
    /// A store in `root`, which is made, for its owner alone, when it is missing.
    /// Errors: `Io`.
    pub fn open_at(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = root.into();
        let root = Dir::open_private(&path).map_err(Error::io("create", &path))?;
        root.make_dir(Path::new(PARTS), 0o700).map_err(Error::io("create", &path))?;
        Ok(Self { root, parts: Arc::default() })
    }

    /// A new place for an object that is being written.
    fn part(&self) -> At {
        let n = self.parts.fetch_add(1, Ordering::Relaxed);
        At { dir: self.root.clone(), path: Path::new(PARTS).join(format!("{}-{n}", std::process::id())) }
    }

    /// Where an object is, when it is there.
    fn find(&self, key: &str) -> Result<(At, Kind), Error> {
        let at = At { dir: self.root.clone(), path: path(key)? };
        match at.kind() {
            Ok(Some(Kind::Link)) => Err(Error::KeyLink { key: key.to_owned() }),
            Ok(Some(kind)) => Ok((at, kind)),
            Ok(None) => Err(Error::NotFound { key: key.to_owned() }),
            // a part of the key is an object
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(Error::NotFound { key: key.to_owned() }),
            Err(error) => Err(by_key(key, "read")(error)),
        }
    }

    fn store(&self, key: &str, write: impl FnOnce(&At) -> Result<(), Error>) -> Result<(), Error> {
        let (path, part) = (path(key)?, self.part());
        let parent = path.parent().unwrap_or(Path::new(""));
        self.root.make_dir(parent, 0o700).map_err(by_key(key, "create"))?;
        let stored = write(&part).and_then(|()| {
            if self.root.kind(&path).map_err(by_key(key, "read"))? == Some(Kind::Dir) {
                self.root.remove(&path).map_err(by_key(key, "replace"))?;
            }
            self.root.rename(&part.path, &self.root, &path).map_err(by_key(key, "store"))
        });
        if stored.is_err() {
            let removed = self.root.remove(&part.path);
            removed.map_err(Error::io("remove", &part.path))?;
        }
        stored
    }
}

/// The path of a key.
fn path(key: &str) -> Result<PathBuf, Error> {
    let relative = Path::new(key.trim_matches('/'));
    let local = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if !local || relative.as_os_str().is_empty() || relative.starts_with(PARTS) || key.contains('\0') {
        return Err(Error::Key { key: key.to_owned() });
    }
    Ok(relative.to_owned())
}

/// An error about the object of a key.
fn by_key(key: &str, doing: &'static str) -> impl FnOnce(io::Error) -> Error {
    let key = key.to_owned();
    move |error| match refusal(&error) {
        Some(Refusal::Link) => Error::KeyLink { key },
        _ => Error::io(doing, Path::new(&key))(error),
    }
}

impl Stores for LocalStore {
    fn of(&self, _: &ArtifactLocation) -> Result<Arc<dyn Store>, Error> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Store for LocalStore {
    async fn put(&self, key: &str, source: Source<'_>, limits: Limits) -> Result<(), Error> {
        let (store, key) = (self.clone(), key.to_owned());
        match source {
            Source::Bytes(bytes) => {
                let bytes = bytes.to_owned();
                blocking(move |_| {
                    store.store(&key, |part| {
                        let made = part.dir.create(&part.path, 0o600);
                        made.and_then(|mut file| file.write_all(&bytes)).map_err(Error::io("write", &part.path))
                    })
                })
                .await
            }
            Source::Copy(from) => {
                let from = from.clone();
                blocking(move |cancel| {
                    store.store(&key, |part| copy(&from, part, &mut Budget::new(limits, cancel.clone())))
                })
                .await
            }
        }
    }

    async fn get(&self, key: &str, to: &At, limits: Limits) -> Result<(), Error> {
        let (store, key, to) = (self.clone(), key.to_owned(), to.clone());
        blocking(move |cancel| {
            let (from, _) = store.find(&key)?;
            copy(&from, &to, &mut Budget::new(limits, cancel.clone()))
        })
        .await
    }

    async fn open(&self, key: &str) -> Result<Box<dyn AsyncRead + Send + Unpin>, Error> {
        let (store, key) = (self.clone(), key.to_owned());
        let file = blocking(move |_| {
            let (at, _) = store.find(&key)?;
            at.file().map_err(by_key(&key, "open"))
        });
        Ok(Box::new(tokio::fs::File::from_std(file.await?)))
    }

    async fn list(&self, prefix: &str, limits: Limits) -> Result<Vec<String>, Error> {
        let (store, prefix) = (self.clone(), prefix.to_owned());
        blocking(move |cancel| store.keys(&prefix, Budget::new(limits, cancel.clone()))).await
    }

    async fn delete(&self, key: &str) -> Result<(), Error> {
        let (store, key) = (self.clone(), key.to_owned());
        blocking(move |_| {
            let path = path(&key)?;
            match store.root.remove(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(()),
                removed => removed.map(drop).map_err(by_key(&key, "delete")),
            }
        })
        .await
    }
}

impl LocalStore {
    fn keys(&self, prefix: &str, mut budget: Budget) -> Result<Vec<String>, Error> {
        let mut keys = Vec::new();
        let mut open = Vec::new();
        if prefix.is_empty() {
            open.push((self.root.clone(), String::new(), 0));
        } else {
            match self.find(prefix) {
                Ok((at, Kind::Dir)) => {
                    let dir = at.dir.dir(&at.path).map_err(by_key(prefix, "open"))?;
                    open.push((dir, format!("{}/", at.path.display()), 0));
                }
                Ok((at, Kind::File)) => return Ok(vec![at.path.display().to_string()]),
                Ok(_) | Err(Error::NotFound { .. }) => return Ok(keys),
                Err(error) => return Err(error),
            }
        }
        while let Some((dir, before, depth)) = open.pop() {
            for entry in dir.entries().map_err(by_key(&before, "list"))? {
                budget.take_entry(depth).map_err(by_key(&before, "list"))?;
                let name = entry.name.to_string_lossy();
                match entry.kind {
                    Kind::Dir if before.is_empty() && name == PARTS => {}
                    Kind::Dir => {
                        let inside = dir.dir(Path::new(&entry.name)).map_err(by_key(&before, "open"))?;
                        open.push((inside, format!("{before}{name}/"), depth + 1));
                    }
                    Kind::File => keys.push(format!("{before}{name}")),
                    // no objects
                    Kind::Link | Kind::Other(_) => {}
                }
            }
        }
        keys.sort();
        Ok(keys)
    }
}

/// Runs `work` on a thread that may block; it is told when nobody waits for it any more.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce(&Cancel) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let cancel = Cancel::default();
    let _gone = cancel.on_drop();
    let done = tokio::task::spawn_blocking(move || work(&cancel)).await;
    done.unwrap_or_else(|error| Err(Error::io("work on", Path::new("artifact"))(io::Error::other(error))))
}
