//! How many requests per second are made.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Spaces requests out, after a burst of a second's worth. Urgent ones take their turn at once, and the others wait longer.
#[derive(Debug)]
pub struct TokenBucket {
    spacing: Duration,
    /// When the next request would be due, were they spaced evenly.
    next: Mutex<Instant>,
}

impl TokenBucket {
    /// `per_sec` requests, at least one.
    pub fn new(per_sec: u32) -> Self {
        Self { spacing: Duration::from_secs(1) / per_sec.max(1), next: Mutex::new(Instant::now()) }
    }

    /// Waits for a turn.
    pub async fn take(&self) {
        let at = self.reserve();
        if at > Instant::now() {
            tokio::time::sleep_until(at).await;
        }
    }

    /// Takes the next turn without waiting for it.
    pub fn take_at_once(&self) {
        self.reserve();
    }

    fn reserve(&self) -> Instant {
        let now = Instant::now();
        let mut next = self.next.lock();
        // Unused turns of the last second may be taken at once.
        let at = (*next).max(now.checked_sub(Duration::from_secs(1)).unwrap_or(*next));
        *next = at + self.spacing;
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_of_requests_is_free_then_they_are_spaced_and_urgent_ones_never_wait() {
        let bucket = TokenBucket::new(10);
        tokio::time::advance(Duration::from_secs(60)).await;
        let start = Instant::now();
        for _ in 0..20 {
            bucket.take_at_once();
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..10 {
            bucket.take().await;
        }
        let took = start.elapsed();
        assert!((Duration::from_millis(1800)..Duration::from_millis(2100)).contains(&took), "{took:?}");
    }
}
