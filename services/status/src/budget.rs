//! How many writes per second all workflows together may make.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Spaces writes out, after a burst of a second's worth.
#[derive(Debug)]
pub(crate) struct Budget {
    spacing: Duration,
    /// When the next write would be due, were they spaced evenly.
    next: Mutex<Instant>,
}

impl Budget {
    pub fn new(per_sec: u32) -> Self {
        Self { spacing: Duration::from_secs(1) / per_sec.max(1), next: Mutex::new(Instant::now()) }
    }

    /// Waits for a turn.
    pub async fn turn(&self) {
        let at = {
            let now = Instant::now();
            let mut next = self.next.lock();
            let at = *next;
            // Unused turns of the last second may be taken at once.
            *next = at.max(now.checked_sub(Duration::from_secs(1)).unwrap_or(at)) + self.spacing;
            at
        };
        tokio::time::sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_of_writes_is_free_then_they_are_spaced() {
        let budget = Budget::new(10);
        tokio::time::advance(Duration::from_secs(60)).await;
        let start = Instant::now();
        for _ in 0..30 {
            budget.turn().await;
        }
        let took = start.elapsed();
        assert!((Duration::from_millis(1800)..Duration::from_millis(2100)).contains(&took), "{took:?}");
    }
}
