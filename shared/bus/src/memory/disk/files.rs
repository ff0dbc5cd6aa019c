//! The directory of a durable bus: its lock, its segments, and reading them back.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::record::Record;
use super::segment::{self, Start};
use crate::Error;

/// A segment that has reached this size is followed by a new one.
const SEGMENT_BYTES: u64 = 64 << 20;

/// An open directory. The lock goes with this value.
pub(in crate::memory) struct Files {
    dir: PathBuf,
    _lock: File,
    current: File,
    number: u64,
    /// Bytes of the current segment.
    length: u64,
    /// Bytes of all segments.
    bytes: u64,
    /// Whether something was written and not yet synced.
    dirty: bool,
}

impl Files {
    /// Opens or makes the directory, and hands each record to `apply`; `reset` means that those before do not count.
    ///
    /// Errors: `Locked`, `Storage`, `Corrupt`.
    pub(in crate::memory) fn open(
        dir: &Path,
        apply: &mut dyn FnMut(Replay) -> Result<(), &'static str>,
    ) -> Result<Self, Error> {
        let storage = |doing| move |source| Error::Storage { doing, path: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(storage("make the directory"))?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(dir.join("lock"));
        let lock = lock.map_err(storage("open the lock of"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked { dir: dir.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(storage("lock")(source)),
        }
        let numbers = segment::list(dir).map_err(storage("list"))?;
        let (mut bytes, mut length, mut expected) = (0, 0, None);
        for number in &numbers {
            let path = segment::path(dir, *number);
            let content = segment::read(&path)?;
            let corrupt = |offset, reason| Error::Corrupt { path: path.clone(), offset, reason };
            if content.start == Start::Whole {
                apply(Replay::Reset).map_err(|reason| corrupt(0, reason))?;
                bytes = 0;
            } else if expected.is_some_and(|expected| expected != *number) {
                return Err(corrupt(0, "the segment before it is missing"));
            }
            expected = Some(number + 1);
            if content.torn > 0 {
                if numbers.last() != Some(number) {
                    return Err(corrupt(content.whole, "a record is damaged"));
                }
                tracing::warn!(segment = %path.display(), bytes = content.torn, "cut an unfinished write from the end of the bus's log");
            }
            for body in content.bodies {
                let record =
                    Record::read(body).ok_or_else(|| corrupt(content.whole, "a record is not of this version"))?;
                apply(Replay::Record(record)).map_err(|reason| corrupt(content.whole, reason))?;
            }
            length = content.whole;
            bytes += length;
        }
        let (number, current) = match numbers.last() {
            Some(number) => (*number, segment::append_to(&segment::path(dir, *number), length)),
            None => (1, segment::create(dir, 1, Start::Continues, &[])),
        };
        let current = current.map_err(storage("open the log in"))?;
        Ok(Self { dir: dir.to_owned(), _lock: lock, current, number, length, bytes, dirty: false })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes the frames gathered, behind a snapshot if there is one.
    pub(super) fn write(&mut self, snapshot: Option<Vec<u8>>, buffer: &[u8], sync: bool) -> io::Result<()> {
        if let Some(mut content) = snapshot {
            content.extend_from_slice(buffer);
            self.current = segment::create(&self.dir, self.number + 1, Start::Whole, &content)?;
            self.number += 1;
            self.length = content.len() as u64;
            self.dirty = false;
            for older in segment::list(&self.dir)?.into_iter().filter(|number| *number < self.number) {
                fs::remove_file(segment::path(&self.dir, older))?;
            }
            return Ok(());
        }
        if !buffer.is_empty() {
            self.current.write_all(buffer)?;
            self.length += buffer.len() as u64;
            self.dirty = true;
        }
        let is_full = self.length > SEGMENT_BYTES;
        if self.dirty && (sync || is_full) {
            self.current.sync_data()?;
            self.dirty = false;
        }
        if is_full {
            self.current = segment::create(&self.dir, self.number + 1, Start::Continues, &[])?;
            self.number += 1;
            self.length = 0;
        }
        Ok(())
    }
}

/// What reading the log back tells.
pub(in crate::memory) enum Replay {
    /// Forget everything: the whole state follows.
    Reset,
    /// The next change.
    Record(Record),
}
