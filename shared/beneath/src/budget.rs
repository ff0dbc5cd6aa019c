//! How much of other people's files is read or written at a time.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Refusal;

/// Bytes that are copied before the budget is looked at again.
const CHUNK: u64 = 8 * 1024 * 1024;

/// What one tree of files may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all its files.
    pub bytes_max: u64,
    /// Files, directories and links.
    pub entries_max: u64,
    /// Directories inside each other.
    pub depth_max: u64,
    /// What it is called in messages, such as `the artifact`.
    pub what: &'static str,
    /// How the limit of bytes is raised, a part of a sentence that begins with its own punctuation; may be empty.
    pub raise: &'static str,
}

/// What is left of [`Limits`] while a tree is read or written.
#[derive(Clone, Debug)]
pub struct Budget {
    limits: Limits,
    bytes: u64,
    entries: u64,
    cancel: Cancel,
}

impl Budget {
    /// A whole budget, which is also used up when `cancel` says so.
    pub fn new(limits: Limits, cancel: Cancel) -> Self {
        Self { limits, bytes: 0, entries: 0, cancel }
    }

    /// Bytes taken so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes bytes.
    /// Errors: `OverBudget`, `Cancelled`.
    pub fn take(&mut self, bytes: u64) -> io::Result<()> {
        if self.cancel.is_cancelled() {
            return Err(Refusal::Cancelled.into());
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.check(self.bytes, self.limits.bytes_max, "bytes", self.limits.raise)
    }

    /// Takes a file, directory or link that lies in `depth` directories.
    /// Errors: `OverBudget`, `Cancelled`.
    pub fn take_entry(&mut self, depth: u64) -> io::Result<()> {
        self.take(0)?;
        self.entries += 1;
        self.check(self.entries, self.limits.entries_max, "files and directories", "")?;
        self.check(depth, self.limits.depth_max, "directories inside each other", "")
    }

    fn check(&self, taken: u64, max: u64, unit: &'static str, raise: &'static str) -> io::Result<()> {
        if taken > max {
            return Err(Refusal::OverBudget { what: self.limits.what, max, unit, raise }.into());
        }
        Ok(())
    }

    /// Copies a file to its end; of one that is too large nothing.
    /// Errors: `OverBudget`, `Cancelled`; those of the file system.
    pub fn copy(&mut self, from: &mut File, to: &mut File) -> io::Result<()> {
        let known = from.metadata()?.len();
        self.clone().take(known)?;
        loop {
            let copied = io::copy(&mut Read::take(&mut *from, CHUNK), to)?;
            self.take(copied)?;
            if copied < CHUNK {
                return Ok(());
            }
        }
    }

    /// Copies what `from` gives to its end.
    /// Errors: see [`Self::copy`].
    pub fn pour(&mut self, from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(bytes) => {
                    self.take(bytes as u64)?;
                    to.write_all(&buffer[..bytes])?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Tells work on another thread that nobody waits for it any more.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Whether nobody waits any more.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Cancels when the returned value is dropped.
    pub fn on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(self.clone())
    }
}

/// See [`Cancel::on_drop`].
#[derive(Debug)]
pub struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}
