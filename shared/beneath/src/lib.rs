//! Files below a directory that somebody else may write to: containers, archives, other users.
//!
//! Every path is walked part by part from an open directory, and a symbolic link on the way is refused, never followed:
//! what is opened lies below that directory, whatever happens there meanwhile. `openat2` would do the same in one call where
//! the kernel has it; walking works on every kernel, and there is one way only. Only regular files are opened, never a
//! FIFO, device or socket, which could block for ever or have no end.

mod budget;
mod dir;
mod remove;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

pub use budget::{Budget, Cancel, CancelOnDrop, Limits};
pub use dir::{Dir, Entry, Kind};

/// Why something below a directory is not touched. It lies in an [`io::Error`], see [`refusal`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The path leads out of the directory, or is empty.
    #[error("the path leaves its directory")]
    Outside,
    /// A part of the path is a symbolic link.
    #[error("a symbolic link is in the way")]
    Link,
    /// Not a regular file.
    #[error("not a regular file but a {kind}")]
    NotRegular {
        /// What it is: `directory`, `fifo`, `character device`, …
        kind: &'static str,
    },
    /// More than may be read.
    #[error("{bytes} bytes, the limit is {bytes_max}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// A [`Budget`] is used up.
    #[error("{what} has more than {max} {unit}{raise}")]
    OverBudget {
        /// What is limited.
        what: &'static str,
        /// The limit.
        max: u64,
        /// Of what there is too much.
        unit: &'static str,
        /// How the limit is raised: a part of a sentence.
        raise: &'static str,
    },
    /// Whoever asked is gone.
    #[error("it was given up")]
    Cancelled,
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        io::Error::other(refusal)
    }
}

/// The refusal in an error, when it is one.
pub fn refusal(error: &io::Error) -> Option<&Refusal> {
    error.get_ref()?.downcast_ref()
}

/// A path below an open directory.
#[derive(Clone, Debug)]
pub struct At {
    /// The directory.
    pub dir: Dir,
    /// Relative to it; empty for the directory itself.
    pub path: PathBuf,
}

impl At {
    /// A path below a directory whose own path nobody else can change.
    /// Errors: it cannot be opened.
    pub fn new(root: &Path, path: impl Into<PathBuf>) -> io::Result<Self> {
        Ok(Self { dir: Dir::open(root)?, path: path.into() })
    }

    /// An absolute path of the host that was found to be free of links: no part of it may have become one since.
    /// Errors: the root cannot be opened.
    pub fn host(path: &Path) -> io::Result<Self> {
        Self::new(Path::new("/"), path.strip_prefix("/").map_err(|_| Refusal::Outside)?)
    }

    /// What is there.
    /// Errors: see [`Dir::kind`].
    pub fn kind(&self) -> io::Result<Option<Kind>> {
        self.dir.kind(&self.path)
    }

    /// Opens a regular file.
    /// Errors: see [`Dir::file`].
    pub fn file(&self) -> io::Result<File> {
        self.dir.file(&self.path)
    }

    /// Reads a regular file of at most so many bytes.
    /// Errors: see [`Dir::read`].
    pub fn read(&self, bytes_max: u64) -> io::Result<Vec<u8>> {
        self.dir.read(&self.path, bytes_max)
    }
}
