//! Owning shards by lease.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use argosy_bus::{Class, Lease};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Backoff, Failure, Host};

/// How leases are kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a lease outlives its holder. At least 1 s.
    pub ttl: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(10) }
    }
}

/// A shard that this process owns.
#[derive(Clone, Debug)]
pub struct Owned {
    /// Which.
    pub shard: u16,
    /// The lease as it was taken; its epoch stays, it is renewed elsewhere.
    pub lease: Lease,
    /// Cancelled when the lease is lost or the process stops: whatever acts for the shard must end at once. The work
    /// itself may cancel it when it learns of another owner.
    pub stop: CancellationToken,
}

/// What is done for a shard while it is owned; ends soon after `stop` was cancelled.
pub type Work = Arc<dyn Fn(Owned) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>> + Send + Sync>;

/// Owns as many shards for `role` as it can get, and runs `work` for each, until `shutdown`.
///
/// Errors: a panic within `work`; all else is logged and tried again.
pub async fn own_shards(
    host: &Host,
    role: &str,
    settings: &Settings,
    shutdown: CancellationToken,
    work: Work,
) -> Result<(), Failure> {
    let mut tasks = JoinSet::new();
    for shard in 0..host.shards.max(1) {
        let own = Own {
            host: host.clone(),
            name: format!("{role}-{shard}"),
            shard,
            ttl: settings.ttl.max(Duration::from_secs(1)),
            shutdown: shutdown.clone(),
            work: Arc::clone(&work),
        };
        tasks.spawn(own.run());
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            shutdown.cancel();
            tasks.shutdown().await;
            return Err(error.into());
        }
    }
    Ok(())
}

struct Own {
    host: Host,
    name: String,
    shard: u16,
    ttl: Duration,
    shutdown: CancellationToken,
    work: Work,
}

impl Own {
    async fn run(self) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        while !self.shutdown.is_cancelled() {
            let pause = match self.host.bus.acquire(&self.name, &self.host.holder, self.ttl).await {
                Ok(Some(lease)) => {
                    if self.hold(lease).await {
                        backoff.reset();
                    }
                    backoff.delay()
                }
                Ok(None) => self.ttl / 4,
                Err(error) => {
                    tracing::warn!(lease = self.name, error = &error as &dyn std::error::Error, "lease not acquired");
                    backoff.delay()
                }
            };
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Works while the lease holds; true when it held for a while.
    async fn hold(&self, lease: Lease) -> bool {
        tracing::info!(lease = self.name, epoch = lease.epoch, "shard owned");
        let since = Instant::now();
        let stop = self.shutdown.child_token();
        let work = (self.work)(Owned { shard: self.shard, lease: lease.clone(), stop: stop.clone() });
        let worked = async {
            let result = work.await;
            stop.cancel();
            result
        };
        let kept = async {
            let last = self.keep(lease, &stop).await;
            stop.cancel();
            last
        };
        let (result, last) = tokio::join!(worked, kept);
        if let Err(error) = result {
            tracing::warn!(lease = self.name, error, "work of the shard ended, it starts again");
        }
        if let Err(error) = self.host.bus.release(last).await {
            tracing::debug!(lease = self.name, error = &error as &dyn std::error::Error, "lease not released");
        }
        since.elapsed() > Duration::from_secs(30)
    }

    /// Renews until it is lost or `stop`; gives back the last that was had.
    async fn keep(&self, mut lease: Lease, stop: &CancellationToken) -> Lease {
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
                    tracing::warn!(lease = self.name, "lease lapsed");
                    return lease;
                }
                renewed = self.host.bus.renew(&lease) => renewed,
            };
            match renewed {
                Ok(renewed) => lease = renewed,
                Err(error) if error.class() == Class::Transient => tokio::time::sleep(self.ttl / 20).await,
                Err(error) => {
                    tracing::warn!(lease = self.name, error = &error as &dyn std::error::Error, "lease lost");
                    return lease;
                }
            }
        }
    }
}
