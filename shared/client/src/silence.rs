//! An API server that does not answer any more, and how long it is waited for.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;

/// How long it is waited for: a server that was updated or killed is back by then.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between looks whether it is back.
const PAUSE: Duration = Duration::from_secs(1);

/// The silence of a server, which is asked once a second.
#[derive(Debug)]
pub(crate) struct Silence {
    since: Instant,
    next_try: Instant,
}

impl Silence {
    /// It begins now.
    pub fn begin() -> Self {
        let now = Instant::now();
        Self { since: now, next_try: now }
    }

    /// When the server is to be asked again.
    pub fn next_try(&self) -> Instant {
        self.next_try
    }

    /// The server was asked, with this result.
    ///
    /// Errors: it answers, and refuses us: another one has its place; it has not answered for a minute.
    pub fn goes_on(&mut self, error: Error) -> Result<(), Error> {
        if let Error::Api(kube::Error::Api(status)) = &error
            && matches!(status.code, 401 | 403)
        {
            return Err(Error::Stranger);
        }
        if self.since.elapsed() >= PATIENCE {
            return Err(Error::StillSilent { seconds: PATIENCE.as_secs(), source: Box::new(error) });
        }
        self.next_try = Instant::now() + PAUSE;
        Ok(())
    }
}
