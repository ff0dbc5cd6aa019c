//! The reserve of a stream that has a limit of bytes: messages that are not urgent are refused before they reach into it.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Nats, failed};
use crate::{Error, RESERVE_PART, Stream};

/// How long an answer about the size of a stream is used.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is known of a stream's size.
#[derive(Default)]
pub(super) struct Room {
    known: Mutex<Option<Known>>,
}

#[derive(Clone, Copy)]
struct Known {
    at: Instant,
    is_tight: bool,
}

impl Nats {
    /// Errors: `Full` when only the reserve is left and the message is not urgent. When the size cannot be asked for, the
    /// server will say what is to be said.
    pub(super) async fn make_sure_of_room(&self, stream: Stream, urgent: bool) -> Result<(), Error> {
        if urgent {
            return Ok(());
        }
        let index = Stream::ALL.iter().position(|other| *other == stream).unwrap_or(0);
        // One asks, those who come meanwhile use what it finds.
        let mut known = self.shared.rooms[index].known.lock().await;
        let is_tight = match *known {
            Some(known) if known.at.elapsed() < LOOK_EVERY => known.is_tight,
            _ => {
                let is_tight = match self.is_tight(stream).await {
                    Ok(is_tight) => is_tight,
                    Err(error) => {
                        tracing::debug!(%stream, error = &error as &dyn std::error::Error, "its size is not known");
                        false
                    }
                };
                *known = Some(Known { at: Instant::now(), is_tight });
                is_tight
            }
        };
        if is_tight { Err(Error::Full { stream }) } else { Ok(()) }
    }

    /// After a purge: there may be room now.
    pub(super) async fn look_again(&self, stream: Stream) {
        let index = Stream::ALL.iter().position(|other| *other == stream).unwrap_or(0);
        *self.shared.rooms[index].known.lock().await = None;
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
