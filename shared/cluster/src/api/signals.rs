//! Tells watches how far they may read.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use super::kinds::{KINDS, Kind};

/// The newest revision watches may see, and one wake-up per kind.
pub(crate) struct Signals {
    visible: AtomicU64,
    kinds: Vec<watch::Sender<u64>>,
}

impl Signals {
    pub fn new() -> Self {
        Signals { visible: AtomicU64::new(0), kinds: KINDS.iter().map(|_| watch::Sender::new(0)).collect() }
    }

    pub fn visible(&self) -> u64 {
        self.visible.load(Ordering::Acquire)
    }

    /// Makes everything up to `revision` visible; bit `i` of `touched` wakes kind `i`.
    pub fn publish(&self, revision: u64, touched: u64) {
        self.visible.store(revision, Ordering::Release);
        for (index, sender) in self.kinds.iter().enumerate() {
            if touched & (1 << index) != 0 {
                sender.send_replace(revision);
            }
        }
    }

    pub fn subscribe(&self, kind: &Kind) -> watch::Receiver<u64> {
        self.kinds[kind.index].subscribe()
    }
}
