//! Signals that end the program from outside.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Ended, Failure};

/// SIGTERM, and SIGHUP, which comes when the terminal closes. From [`listen`](Self::listen) on they do not end the program
/// by themselves, so that it can take its processes and folders along.
pub struct Ending {
    terminate: Signal,
    hangup: Signal,
}

impl Ending {
    /// Listens for them.
    pub fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).context("listen for signals");
        Ok(Self { terminate: listen(SignalKind::terminate())?, hangup: listen(SignalKind::hangup())? })
    }

    /// Waits for one.
    pub async fn come(&mut self) -> Ended {
        tokio::select! {
            _ = self.terminate.recv() => Ended::Terminated,
            _ = self.hangup.recv() => Ended::HungUp,
        }
    }

    /// What `work` comes to; the signal where one comes first. It is looked for whenever the work waits, and
    /// before it goes on.
    pub async fn or<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Ended> {
        tokio::select! {
            biased;
            ended = self.come() => Err(ended),
            done = work => Ok(done),
        }
    }
}
