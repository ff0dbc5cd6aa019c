//! The files of a data directory, and reading them.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::delta;
use super::error::OpenError;
use super::frame::{self, Read};
use crate::json::Json;
use crate::kinds;
use crate::object::Object;
use argosy_private as private;

/// Objects by kind and key.
pub(super) type Restored = BTreeMap<(usize, Box<str>), Object>;

pub(super) fn log_path(dir: &Path, revision: u64) -> PathBuf {
    dir.join(format!("log-{revision:020}"))
}

pub(super) fn snapshot_path(dir: &Path, revision: u64) -> PathBuf {
    dir.join(format!("snapshot-{revision:020}"))
}

/// Takes the directory for this process, as long as the returned file is open.
pub(super) fn lock(dir: &Path) -> Result<File, OpenError> {
    private::dir(dir)?;
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(private::FILE_MODE)
        .open(&path)
        .map_err(|source| failed("open", &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(OpenError::InUse { dir: dir.to_owned() }),
        Err(fs::TryLockError::Error(source)) => Err(failed("lock", &path, source)),
    }
}

pub(super) fn failed(action: &'static str, path: &Path, source: std::io::Error) -> OpenError {
    OpenError::File { action, path: path.to_owned(), source }
}

/// The numbered files with a prefix, oldest first.
pub(super) fn numbered(dir: &Path, prefix: &str) -> Result<Vec<(u64, PathBuf)>, OpenError> {
    let mut found = Vec::new();
    let entries = fs::read_dir(dir).map_err(|source| failed("list", dir, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| failed("list", dir, source))?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(prefix)?.parse().ok());
        if let Some(number) = number {
            found.push((number, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// The state of a directory: the newest complete snapshot and the logs after it.
pub(super) fn read(dir: &Path) -> Result<(u64, Restored), OpenError> {
    let (mut revision, mut objects) = (0, Restored::new());
    for (number, path) in numbered(dir, "snapshot-")?.into_iter().rev() {
        let mut candidate = Restored::new();
        if replay(&path, &mut candidate, false)?.ended {
            (revision, objects) = (number, candidate);
            break;
        }
    }
    let base = revision;
    let mut logs = numbered(dir, "log-")?;
    logs.retain(|(number, _)| *number >= base);
    let count = logs.len();
    for (place, (_, path)) in logs.iter().enumerate() {
        // Only what was being written when the process died may be torn.
        let last = place + 1 == count;
        let replayed = replay(path, &mut objects, last)?;
        if let Some(offset) = replayed.torn.filter(|_| !last) {
            return Err(OpenError::Damaged {
                path: path.clone(),
                offset,
                why: "a record in a finished log does not match its checksum",
            });
        }
        revision = revision.max(replayed.revision);
    }
    Ok((revision, objects))
}

#[derive(Default)]
struct Replayed {
    revision: u64,
    ended: bool,
    torn: Option<u64>,
}

/// Applies the records of a file; with `cut` a torn tail is removed from it.
fn replay(path: &Path, objects: &mut Restored, cut: bool) -> Result<Replayed, OpenError> {
    let bytes = fs::read(path).map_err(|source| failed("read", path, source))?;
    let mut done = Replayed::default();
    let mut offset = 0;
    loop {
        match frame::read(&bytes, offset) {
            Read::End => return Ok(done),
            Read::Torn => {
                done.torn = Some(offset as u64);
                if cut {
                    let file =
                        OpenOptions::new().write(true).open(path).map_err(|source| failed("open", path, source))?;
                    file.set_len(offset as u64)
                        .and_then(|()| file.sync_all())
                        .map_err(|source| failed("cut", path, source))?;
                }
                return Ok(done);
            }
            Read::Content(content, next) => {
                let damaged = |why| OpenError::Damaged { path: path.to_owned(), offset: offset as u64, why };
                let record = Json::parse(content).map_err(|_| damaged("not JSON"))?;
                if record.get("end").is_some() {
                    done.ended = true;
                } else {
                    let revision = apply(&record, objects).map_err(damaged)?;
                    done.revision = done.revision.max(revision);
                }
                offset = next;
            }
        }
    }
}

fn apply(record: &Json, objects: &mut Restored) -> Result<u64, &'static str> {
    let text = |name| record.get(name).and_then(Json::as_str).unwrap_or("");
    let revision = record
        .get("rev")
        .and_then(Json::as_i64)
        .and_then(|r| u64::try_from(r).ok())
        .ok_or("a record has no revision")?;
    let kind = kinds::find(text("group"), text("version"), text("plural"))
        .ok_or("a record names a resource that is not served")?;
    if let Some(tree) = record.get("put") {
        let object = Object::new(kind, revision, tree.clone());
        objects.insert((kind.index, object.key.clone()), object);
        return Ok(revision);
    }
    let place = (kind.index, Box::from(text("key")));
    let old = objects.remove(&place).ok_or("a record changes an object that is not there")?;
    if let Some(change) = record.get("delta") {
        let mut tree = old.tree;
        delta::apply(&mut tree, change).ok_or("a difference does not fit its object")?;
        objects.insert(place, Object::new(kind, revision, tree));
    }
    Ok(revision)
}
