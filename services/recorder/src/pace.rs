//! How fast Events are sent: the API has more urgent things to do.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// So many may be sent at once after a while in which none was.
const BURST: u32 = 10;

/// Hands out turns, so many a second.
pub(crate) struct Pace {
    gap: Duration,
    /// When the next turn is.
    next: Mutex<Instant>,
}

impl Pace {
    /// `per_sec`: turns a second, at least one.
    pub fn new(per_sec: u32) -> Self {
        Self { gap: Duration::from_secs(1) / per_sec.max(1), next: Mutex::new(Instant::now()) }
    }

    /// Waits for a turn.
    pub async fn turn(&self) {
        let at = {
            let mut next = self.next.lock().await;
            let earliest = Instant::now().checked_sub(self.gap * BURST).unwrap_or_else(Instant::now);
            let at = (*next).max(earliest);
            *next = at + self.gap;
            at
        };
        tokio::time::sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_come_at_the_rate_and_a_pause_makes_up_for_few() {
        let pace = Pace::new(10);
        let begun = Instant::now();
        for _ in 0..=20 {
            pace.turn().await;
        }
        assert_eq!(begun.elapsed(), Duration::from_secs(2));
        tokio::time::sleep(Duration::from_secs(100)).await;
        let begun = Instant::now();
        for _ in 0..=BURST + 10 {
            pace.turn().await;
        }
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
    }
}
