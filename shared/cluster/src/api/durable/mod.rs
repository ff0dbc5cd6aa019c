//! Durability: a log of changes, cut back by snapshots.
//!
//! A data directory holds `snapshot-<revision>` and `log-<revision>` files. The state is the newest
//! complete snapshot and every log that starts at or after it. A writer appends under the store's
//! lock and waits outside of it; one thread writes and syncs all that has come together meanwhile.

mod delta;
mod files;
mod frame;
mod unreadable;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::signals::Signals;
use super::state::{Objects, State};
use crate::private;

pub(super) use frame::{record_put, record_remove};
pub(crate) use writer::Log;

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

/// Reads a data directory and starts its writer.
pub(super) fn open(dir: &Path, signals: &Arc<Signals>, log_bytes_max: u64) -> Result<(State, Log), OpenError> {
    let lock = files::lock(dir)?;
    let (revision, mut objects) = files::read(dir)?;
    unreadable::set_aside(dir, &mut objects)?;
    let state = State::restored(revision, objects.into_values());
    let log = Log::start(dir, lock, revision, state.objects.clone(), Arc::clone(signals), log_bytes_max)?;
    Ok((state, log))
}

/// Objects of all kinds at one revision.
type AllObjects = Vec<Objects>;
