//! Archives that others have made, unpacked within limits.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use argosy_beneath::{At, Budget, Dir, Refusal, refusal};
use flate2::read::GzDecoder;
use tar::EntryType;

use crate::Error;

/// An archive may grow to so many times its size…
const RATIO_MAX: u64 = 100;
/// …and in any case to so many bytes: gzip makes nothing out of long runs of one byte, which honest files have, too.
const FREE_BYTES: u64 = 512 * 1024 * 1024;
/// Bytes of what comes before the content of an entry: headers, long names, attributes.
const ABOUT_MAX: u64 = 1024 * 1024;
/// Bytes of the name of an entry, or of a link's target; Linux takes no longer path.
const NAME_MAX: usize = 4096;

/// Whether a file is a gzip'ed tar: by its content, not its name.
/// Errors: `Io`.
pub(crate) fn is_tarball(at: &At) -> Result<bool, Error> {
    let failed = || Error::io("read", &at.path);
    let mut magic = [0; 2];
    let begins = at.file().map_err(failed())?.read_exact(&mut magic).is_ok();
    if !begins || magic != [0x1f, 0x8b] {
        return Ok(false);
    }
    // the first entry is enough to know; what begins with a name of many gigabytes is no tarball
    let head = GzDecoder::new(BufReader::new(at.file().map_err(failed())?)).take(ABOUT_MAX);
    let mut tar = tar::Archive::new(head);
    Ok(matches!(tar.entries().map(|mut entries| entries.next()), Ok(Some(Ok(_)))))
}

/// Unpacks the gzip'ed tar `from` into an empty directory. Links are made and never followed; devices and the like are
/// left out; of modes only the permissions count.
/// Errors: `Escape`, `Limit`, `Io`.
pub(crate) fn unpack(from: &At, to: &Dir, budget: &mut Budget) -> Result<(), Error> {
    let failed = |doing| Error::io(doing, &from.path);
    let file = from.file().map_err(failed("open"))?;
    let size = file.metadata().map_err(failed("read"))?.len();
    let grown = size.saturating_mul(RATIO_MAX).max(FREE_BYTES);
    // what the tar reader takes for itself, such as long names, counts as well
    let about = Rc::new(Cell::new(None));
    let inner = GzDecoder::new(BufReader::new(file));
    let gzip = Limited { inner, budget: budget.clone(), read: 0, grown, about: about.clone() };
    let mut tar = tar::Archive::new(gzip);
    let mut entries = tar.entries().map_err(failed("read"))?;
    loop {
        // what comes before the content of an entry is held in memory
        about.set(Some(ABOUT_MAX));
        let next = entries.next();
        about.set(None);
        let Some(entry) = next else { return Ok(()) };
        let mut entry = entry.map_err(failed("read"))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = inside(&name)?;
        budget.take_entry(path.components().count() as u64).map_err(failed("unpack"))?;
        if path.as_os_str().is_empty() {
            continue;
        }
        one(&mut entry, to, &path, budget).map_err(|error| match refusal(&error) {
            Some(Refusal::Link | Refusal::Outside) => Error::Escape { entry: name },
            _ => failed("unpack")(error),
        })?;
        // what is left of it would else be taken for a part of the next one
        budget.pour(&mut entry, &mut io::sink()).map_err(failed("unpack"))?;
    }
}

/// The path of an entry below the directory that it is unpacked into; absolute ones begin there.
pub(crate) fn inside(name: &str) -> Result<PathBuf, Error> {
    let mut path = PathBuf::new();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            Component::ParentDir => return Err(Error::Escape { entry: name.to_owned() }),
        }
    }
    if name.len() > NAME_MAX {
        return Err(Error::Escape { entry: format!("{}…", name.chars().take(100).collect::<String>()) });
    }
    Ok(path)
}

fn one<R: Read>(entry: &mut tar::Entry<'_, R>, to: &Dir, path: &Path, budget: &mut Budget) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        to.make_dir(parent, 0o755)?;
    }
    let target = entry.link_name()?.map(|target| target.into_owned()).unwrap_or_default();
    let header = entry.header();
    let (kind, mode, time) = (header.entry_type(), header.mode().unwrap_or(0o644), header.mtime().unwrap_or(0));
    match kind {
        // as Argo makes them, whatever they were
        EntryType::Directory => to.make_dir(path, 0o755).map(drop),
        EntryType::Symlink => to.link(path, &target),
        EntryType::Link => {
            let target = inside(&target.to_string_lossy()).map_err(|_| Refusal::Outside)?;
            to.hard_link(&target, path)
        }
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            budget.clone().take(entry.size())?;
            let mut file: File = to.create(path, mode)?;
            budget.pour(entry, &mut file)?;
            let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(time)).unwrap_or(SystemTime::UNIX_EPOCH);
            // the time is no reason to fail
            let _ = file.set_modified(time);
            Ok(())
        }
        _ => {
            tracing::debug!(path = %path.display(), ?kind, "left out of an archive");
            Ok(())
        }
    }
}

/// Stops reading where an archive grows beyond what its size explains.
struct Limited<R> {
    inner: R,
    /// A copy, so that headers and names count without being counted as content.
    budget: Budget,
    read: u64,
    grown: u64,
    /// While names and attributes of an entry are read: how many bytes of them may still come.
    about: Rc<Cell<Option<u64>>>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        self.read += bytes as u64;
        // names and padding come on top of the content
        self.budget.take(0)?;
        if let Some(left) = self.about.get() {
            let Some(left) = left.checked_sub(bytes as u64) else {
                let (what, max, raise) = ("the archive", ABOUT_MAX, "");
                return Err(Refusal::OverBudget {
                    what,
                    max,
                    unit: "bytes of names and attributes for an entry",
                    raise,
                }
                .into());
            };
            self.about.set(Some(left));
        }
        if self.read > self.grown {
            return Err(Refusal::OverBudget {
                what: "the archive",
                max: self.grown,
                unit: "bytes unpacked, far more than its own size explains",
                raise: "; pass it as it is, with archive: {none: {}}, or in smaller parts",
            }
            .into());
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use argosy_beneath::Cancel;

    use super::*;

    #[test]
    fn a_bomb_stops_where_its_size_no_longer_explains_it() {
        let budget = Budget::new(crate::limits(u64::MAX, ""), Cancel::default());
        let mut bomb =
            Limited { inner: io::repeat(0), budget: budget.clone(), read: 0, grown: 1_000, about: Rc::default() };
        let error = io::copy(&mut bomb, &mut io::sink()).expect_err("it has no end");
        assert!(error.to_string().starts_with("the archive has more than 1000 bytes unpacked"), "{error}");
        let mut honest =
            Limited { inner: io::repeat(0).take(1_000), budget, read: 0, grown: 1_000, about: Rc::default() };
        assert_eq!(io::copy(&mut honest, &mut io::sink()).expect("within"), 1_000);
    }
}
