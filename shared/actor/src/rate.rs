//! How many requests per second are made.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Spaces requests out, after a burst, by default of a second's worth. Urgent ones take their turn at once, and the others wait longer.
#[derive(Debug)]
pub struct TokenBucket {
    spacing: Duration,
    /// Unused turns of so long ago may be taken at once.
    slack: Duration,
    /// When the next request would be due, were they spaced evenly.
    next: Mutex<Instant>,
}

impl TokenBucket {
    /// `per_sec` requests, at least one.
    pub fn new(per_sec: u32) -> Self {
        let slack = Duration::from_secs(1);
        Self { spacing: slack / per_sec.max(1), slack, next: Mutex::new(Instant::now()) }
    }

    /// `per_sec` requests, at least one a day, after a burst of up to `burst` of them, at least one.
    pub fn with_burst(per_sec: f64, burst: u32) -> Self {
        const DAY: f64 = 86_400.0;
        let wanted = 1.0 / per_sec;
        // What is no rate is the slowest.
        let spacing = Duration::from_secs_f64(if wanted >= 0.0 { wanted.clamp(1e-6, DAY) } else { DAY });
        let slack = spacing.saturating_mul(burst.saturating_sub(1));
        Self { spacing, slack, next: Mutex::new(Instant::now().checked_sub(slack).unwrap_or_else(Instant::now)) }
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
        let at = (*next).max(now.checked_sub(self.slack).unwrap_or(*next));
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

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_as_large_as_was_said() {
        tokio::time::advance(Duration::from_secs(3600)).await;
        let bucket = TokenBucket::with_burst(0.5, 3);
        let start = Instant::now();
        for _ in 0..3 {
            bucket.take().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        bucket.take().await;
        assert_eq!(start.elapsed(), Duration::from_secs(2));
        // What makes no sense holds back, and does not stop anybody for ever.
        for per_sec in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(TokenBucket::with_burst(per_sec, 0).spacing <= Duration::from_secs(86_400), "{per_sec}");
        }
    }
}
