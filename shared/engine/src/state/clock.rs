//! The moment of the event in hand.

use jiff::Timestamp;

/// What time it is for the workflow. It never goes back, although events are stamped by several clocks: a node must not end
/// before it began. Whoever asks for the time asks here, so that equal events give equal decisions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// The moment of the event in hand. What is decided depends on no other.
    now: Timestamp,
    /// The time of day, as far as known: past `now` while the workflow is taken up.
    time_of_day: Timestamp,
}

impl Default for Clock {
    fn default() -> Self {
        Self { now: Timestamp::UNIX_EPOCH, time_of_day: Timestamp::UNIX_EPOCH }
    }
}

impl Clock {
    /// The moment of the event in hand.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// For what a pod is told of the time that it has left; nothing is decided by it.
    pub fn time_of_day(&self) -> Timestamp {
        self.time_of_day
    }

    /// An event of this moment is taken in hand. One that is earlier than the one before does not turn the clock back.
    pub fn advance(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
        self.time_of_day = self.time_of_day.max(self.now);
    }

    /// Somebody takes the workflow up at this time of day.
    pub fn set_time_of_day(&mut self, at: Timestamp) {
        self.time_of_day = at;
    }
}
