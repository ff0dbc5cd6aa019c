//! One shard while it is owned: its work, and the lease that has to be renewed meanwhile.

use std::sync::Arc;
use std::time::Duration;

use argosy_bus::{Bus, Class, Lease};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Clock;
use crate::owned::{Owned, Until, Work};

/// A shard that was held for so long did not fail at once.
const LATE: Duration = Duration::from_secs(30);

pub(crate) struct Hold {
    pub bus: Arc<dyn Bus>,
    pub clock: Clock,
    pub ttl: Duration,
    pub shard: u16,
    pub leave: CancellationToken,
    pub work: Work,
}

/// How a shard came to be held no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was given away.
    Left,
    /// Its lease was lost or its work failed, soon after it was taken.
    Early,
    /// The same, after a while.
    Late,
}

impl Hold {
    /// Works while the lease holds, and gives it back.
    pub async fn run(self, lease: Lease) -> Ended {
        let since = Instant::now();
        let (stop, name) = (CancellationToken::new(), lease.name.clone());
        let mut owned = Owned::new(self.shard, lease.clone(), self.clock);
        (owned.leave, owned.stop) = (self.leave.clone(), stop.clone());
        let until = Arc::clone(&owned.until);
        let work = (self.work)(owned);
        let worked = async {
            let result = work.await;
            stop.cancel();
            result
        };
        let kept = async {
            let last = self.keep(lease, &until, &stop).await;
            stop.cancel();
            last
        };
        let (result, last, ()) = tokio::join!(worked, kept, self.limit(&stop));
        if let Err(error) = result {
            tracing::warn!(lease = name, error, "work of the shard ended, it starts again");
        }
        if let Err(error) = self.bus.release(last).await {
            tracing::debug!(lease = name, error = &error as &dyn std::error::Error, "lease not released");
        }
        match () {
            () if self.leave.is_cancelled() => Ended::Left,
            () if since.elapsed() > LATE => Ended::Late,
            () => Ended::Early,
        }
    }

    /// Leaving may take a quarter of a lease: what is not finished by then comes to the next owner a second time.
    async fn limit(&self, stop: &CancellationToken) {
        let too_long = async {
            self.leave.cancelled().await;
            tokio::time::sleep(self.ttl / 4).await;
            tracing::warn!(shard = self.shard, "shard left with work in hand");
            stop.cancel();
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = too_long => {}
        }
    }

    /// Renews until it is lost or `stop`; gives back the last that was had.
    async fn keep(&self, mut lease: Lease, until: &Mutex<Until>, stop: &CancellationToken) -> Lease {
        loop {
            let pause = if lease.is_valid() { self.ttl / 3 } else { Duration::ZERO };
            tokio::select! {
                biased;
                () = stop.cancelled() => return lease,
                () = tokio::time::sleep(pause) => {}
            }
            let renewed = tokio::select! {
                biased;
                () = stop.cancelled() => return lease,
                () = tokio::time::sleep_until(lease.expires) => {
                    tracing::warn!(lease = lease.name, "lease lapsed");
                    return lease;
                }
                renewed = self.bus.renew(&lease) => renewed,
            };
            match renewed {
                Ok(_) if !until.lock().holds(&self.clock) => {
                    tracing::warn!(lease = lease.name, "lease lapsed while the machine slept");
                    return lease;
                }
                Ok(renewed) => {
                    *until.lock() = Until::of(&renewed, &self.clock);
                    lease = renewed;
                }
                Err(error) if error.class() == Class::Transient => tokio::time::sleep(self.ttl / 20).await,
                Err(error) => {
                    tracing::warn!(lease = lease.name, error = &error as &dyn std::error::Error, "lease lost");
                    return lease;
                }
            }
        }
    }
}
