//! Why a data directory cannot be used.

use std::io;
use std::path::PathBuf;

use argosy_private as private;

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the data directory `{dir}` is in use by another process")]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// It is not this user's alone.
    #[error("use the data directory")]
    NotPrivate(#[from] private::Error),
    /// A file in it cannot be read or written.
    #[error("{action} `{path}`")]
    File {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What failed.
        #[source]
        source: io::Error,
    },
    /// A record in the middle of a file is not readable.
    #[error("`{path}` is damaged at byte {offset}: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the unreadable record begins.
        offset: u64,
        /// What is wrong with it.
        why: &'static str,
    },
}
