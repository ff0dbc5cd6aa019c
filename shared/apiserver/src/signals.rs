//! Tells watches how far they may read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use super::kinds::{KINDS, Kind};

/// The newest revision watches may see, and one wake-up per kind.
pub(crate) struct Signals {
    visible: AtomicU64,
    kinds: Vec<Arc<Signal>>,
}

/// Wakes in the order in which watches began to wait. Tokio's own `watch` channel draws lots there, and a seeded world could
/// not be repeated.
#[derive(Default)]
struct Signal {
    revision: AtomicU64,
    told: Notify,
}

/// The wake-up of one watch.
pub(crate) struct Wake {
    signal: Arc<Signal>,
    seen: u64,
}

impl Signals {
    pub fn new() -> Self {
        Signals { visible: AtomicU64::new(0), kinds: KINDS.iter().map(|_| Arc::default()).collect() }
    }

    pub fn visible(&self) -> u64 {
        self.visible.load(Ordering::Acquire)
    }

    /// Makes everything up to `revision` visible; bit `i` of `touched` wakes kind `i`.
    pub fn publish(&self, revision: u64, touched: u64) {
        self.visible.store(revision, Ordering::Release);
        for (index, signal) in self.kinds.iter().enumerate() {
            if touched & (1 << index) != 0 {
                signal.revision.store(revision, Ordering::Release);
                signal.told.notify_waiters();
            }
        }
    }

    pub fn subscribe(&self, kind: &Kind) -> Wake {
        let signal = Arc::clone(&self.kinds[kind.index]);
        let seen = signal.revision.load(Ordering::Acquire);
        Wake { signal, seen }
    }
}

impl Wake {
    /// What is there now is known.
    pub fn see(&mut self) {
        self.seen = self.signal.revision.load(Ordering::Acquire);
    }

    /// Waits for something that is not known.
    pub async fn changed(&self) {
        loop {
            // Before the look: what is told between look and wait is not missed.
            let told = self.signal.told.notified();
            if self.signal.revision.load(Ordering::Acquire) != self.seen {
                return;
            }
            told.await;
        }
    }
}
