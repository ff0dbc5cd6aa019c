//! The reserve of a stream that has a limit of bytes: messages that are not urgent are refused before they reach into it.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Nats, failed};
use crate::{Error, RESERVE_PART, Stream};

/// How long an answer about the size of a stream is used.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is known of a stream's size.
#[derive(Default)]
pub(super) struct Room(Mutex<Known>);

#[derive(Default, Clone, Copy)]
struct Known {
    /// When it was asked for last.
    at: Option<Instant>,
    is_tight: bool,
}

impl Room {
    /// What is known, and whether the caller is to ask: one does, the others go by what was known before.
    fn look(&self) -> (bool, bool) {
        let mut known = self.0.lock();
        let is_old = known.at.is_none_or(|at| at.elapsed() >= LOOK_EVERY);
        if is_old {
            known.at = Some(Instant::now());
        }
        (known.is_tight, is_old)
    }
}

impl Nats {
    /// Errors: `Full` when only the reserve is left and the message is not urgent. When the size cannot be asked for, the
    /// server will say what is to be said.
    pub(super) async fn make_sure_of_room(&self, stream: Stream, urgent: bool) -> Result<(), Error> {
        if urgent {
            return Ok(());
        }
        let room = &self.shared.rooms[stream.index()];
        let (mut is_tight, is_old) = room.look();
        if is_old {
            is_tight = match self.is_tight(stream).await {
                Ok(is_tight) => is_tight,
                Err(error) => {
                    tracing::debug!(%stream, error = &error as &dyn std::error::Error, "its size is not known");
                    false
                }
            };
            room.0.lock().is_tight = is_tight;
        }
        if is_tight { Err(Error::Full { stream }) } else { Ok(()) }
    }

    /// After a purge: there may be room now.
    pub(super) fn look_again(&self, stream: Stream) {
        *self.shared.rooms[stream.index()].0.lock() = Known::default();
    }

    async fn is_tight(&self, stream: Stream) -> Result<bool, Error> {
        let info = self.stream(stream).await?.get_info().await;
        let info = info.map_err(|error| failed("ask for the size of a stream", error))?;
        let Some(limit) = u64::try_from(info.config.max_bytes).ok().filter(|limit| *limit > 0) else {
            return Ok(false);
        };
        Ok(info.state.bytes > limit - limit / RESERVE_PART)
    }
}
