//! A shard that a process owns, and for how long.

use std::pin::Pin;
use std::sync::Arc;

use argosy_bus::Lease;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Clock, Failure};

/// A shard that this process owns.
#[derive(Clone, Debug)]
pub struct Owned {
    /// Which.
    pub shard: u16,
    /// The lease as it was taken; its epoch stays, it is renewed elsewhere.
    pub lease: Lease,
    /// Until when the lease holds, as it is renewed.
    pub(crate) until: Arc<Mutex<Until>>,
    clock: Clock,
    /// Cancelled when the shard is to be given away: take nothing new, finish what is in hand, and end.
    pub leave: CancellationToken,
    /// Cancelled when the lease is lost, or when leaving takes too long: whatever acts for the shard must end at once. The
    /// work itself may cancel it when it learns of another owner.
    pub stop: CancellationToken,
}

impl Owned {
    /// The shard as it is when `lease` was just taken.
    pub fn new(shard: u16, lease: Lease, clock: Clock) -> Self {
        let until = Arc::new(Mutex::new(Until::of(&lease, &clock)));
        Self { shard, lease, until, clock, leave: CancellationToken::new(), stop: CancellationToken::new() }
    }

    /// Whether the lease still holds by our own clock. To be asked right before an effect that the bus cannot fence, such as
    /// a request to the API: a process that was paused finds out here.
    pub fn holds(&self) -> bool {
        !self.stop.is_cancelled() && self.until.lock().holds(&self.clock)
    }
}

/// When a lease ends, by both clocks: that of the runtime stands still while a machine sleeps, and that of the day may be
/// set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until {
    instant: Instant,
    time: Timestamp,
}

impl Until {
    pub fn of(lease: &Lease, clock: &Clock) -> Self {
        let left = lease.expires.saturating_duration_since(Instant::now());
        Self { instant: lease.expires, time: clock.now().checked_add(left).unwrap_or(Timestamp::MAX) }
    }

    pub fn holds(&self, clock: &Clock) -> bool {
        Instant::now() < self.instant && clock.now() < self.time
    }
}

/// What is done for a shard while it is owned; ends soon after `leave` or `stop` was cancelled.
pub type Work = Arc<dyn Fn(Owned) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>> + Send + Sync>;
