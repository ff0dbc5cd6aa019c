//! Durability: a log of changes, cut back by snapshots.
//!
//! A data directory holds `snapshot-<revision>` and `log-<revision>` files. The state is the newest
//! complete snapshot and every log that starts at or after it. A writer appends under the store's
//! lock and waits outside of it; one thread writes and syncs all that has come together meanwhile.

mod delta;
mod error;
mod files;
mod frame;
mod unreadable;
mod writer;

use std::path::Path;
use std::sync::Arc;

use super::signals::Signals;
use super::state::State;

pub use error::OpenError;
pub(super) use frame::{record_put, record_remove};
pub(crate) use writer::Log;

/// Reads a data directory and starts its writer.
pub(super) fn open(dir: &Path, signals: &Arc<Signals>, log_bytes_max: u64) -> Result<(State, Log), OpenError> {
    let lock = files::lock(dir)?;
    let (revision, mut objects) = files::read(dir)?;
    unreadable::set_aside(dir, &mut objects)?;
    let state = State::restored(revision, objects.into_values());
    let log = Log::start(dir, lock, revision, state.objects.clone(), Arc::clone(signals), log_bytes_max)?;
    Ok((state, log))
}
