//! The time of day.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// The time of day, counted from one reading by the runtime's own clock, so that paused and advanced time is seen by
/// everything. Cheap to clone; clones agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    base: Timestamp,
    started: Instant,
}

impl Clock {
    /// From the system's clock, read once.
    pub fn system() -> Self {
        Self::starting_at(Timestamp::now())
    }

    /// It is `base` now.
    pub fn starting_at(base: Timestamp) -> Self {
        Self { base, started: Instant::now() }
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        self.base.checked_add(self.started.elapsed()).unwrap_or(Timestamp::MAX)
    }

    /// When it will be `at`; now, when that has passed.
    pub fn instant_of(&self, at: Timestamp) -> Instant {
        let ahead = Duration::try_from(at.duration_since(self.now())).unwrap_or(Duration::ZERO);
        // Far beyond any process's life, and still within what an Instant can hold.
        Instant::now() + ahead.min(Duration::from_secs(100 * 365 * 86_400))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn follows_the_runtime() {
        let base: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a timestamp");
        let clock = Clock::starting_at(base);
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(clock.now().to_string(), "2026-01-01T00:01:30Z");
        assert_eq!(clock.instant_of(base), Instant::now());
        let due = clock.now() + Duration::from_secs(5);
        assert_eq!(clock.instant_of(due) - Instant::now(), Duration::from_secs(5));
        assert!(clock.instant_of(Timestamp::MAX) > Instant::now() + Duration::from_secs(86_400));
    }
}
