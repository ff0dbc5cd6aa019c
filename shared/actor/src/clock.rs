//! The time of day.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// The time of day. Cheap to clone; clones agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Source);

#[derive(Clone, Copy, Debug)]
enum Source {
    /// The system's clock, asked each time: it knows how long a machine slept, which the runtime's clock does not.
    System,
    /// Counted from a start by the runtime's clock, so that paused and advanced time is seen by everything.
    Runtime { base: Timestamp, started: Instant },
}

/// Whoever waits for a moment of the system's clock looks again this often: the runtime's clock, by which waiting is done,
/// stands still while a machine sleeps.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// It is `base` now, and goes on by the runtime's clock.
    pub fn starting_at(base: Timestamp) -> Self {
        Self(Source::Runtime { base, started: Instant::now() })
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        match self.0 {
            Source::System => Timestamp::now(),
            Source::Runtime { base, started } => base.checked_add(started.elapsed()).unwrap_or(Timestamp::MAX),
        }
    }

    /// When it will be `at`, as far as the runtime's clock knows; now, when that has passed.
    pub fn instant_of(&self, at: Timestamp) -> Instant {
        let ahead = Duration::try_from(at.duration_since(self.now())).unwrap_or(Duration::ZERO);
        // Far beyond any process's life, and still within what an Instant can hold.
        Instant::now() + ahead.min(Duration::from_secs(100 * 365 * 86_400))
    }

    /// Waits until it is `at`, also when the machine sleeps meanwhile.
    pub async fn sleep_until(&self, at: Timestamp) {
        loop {
            let until = self.instant_of(at);
            let again = match self.0 {
                Source::System => Instant::now() + LOOK_AGAIN,
                Source::Runtime { .. } => until,
            };
            tokio::time::sleep_until(until.min(again)).await;
            if self.now() >= at || (until <= again && matches!(self.0, Source::Runtime { .. })) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_is_asked_each_time() {
        // Whatever the runtime's clock does in between: it stands still while a machine sleeps.
        let (clock, before) = (Clock::system(), Timestamp::now());
        assert!(clock.now() >= before);
        assert!(matches!(clock.0, Source::System), "it holds no reading of its own that could grow old");
    }

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
