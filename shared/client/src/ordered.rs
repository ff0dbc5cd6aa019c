//! Lines of several logs that come as they come, in the order of their times: each waits a moment for those of others.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;

/// How long a line waits for earlier ones.
const HOLD: Duration = Duration::from_millis(300);
/// Lines that may wait; beyond that the first go on at once.
const LINES_MAX: usize = 10_000;

/// Lines that wait.
#[derive(Default)]
pub struct Ordered<T> {
    waiting: BTreeMap<(Timestamp, u64), (Instant, T)>,
    count: u64,
}

impl<T> Ordered<T> {
    /// Takes a line that was written at `at` and came now.
    pub fn push(&mut self, at: Timestamp, line: T, now: Instant) {
        self.count += 1;
        self.waiting.insert((at, self.count), (now, line));
    }

    /// The lines that have waited long enough, in order.
    pub fn ready(&mut self, now: Instant) -> Vec<T> {
        let mut ready = Vec::new();
        while let Some((_, (came, _))) = self.waiting.first_key_value() {
            let has_waited = now.saturating_duration_since(*came) >= HOLD;
            if !has_waited && self.waiting.len() <= LINES_MAX {
                break;
            }
            ready.extend(self.waiting.pop_first().map(|(_, (_, line))| line));
        }
        ready
    }

    /// All lines, when no more will come.
    pub fn all(&mut self) -> Vec<T> {
        std::mem::take(&mut self.waiting).into_values().map(|(_, line)| line).collect()
    }
}

/// A line's time and text, where it begins with a time.
pub fn timed(line: &str) -> Option<(Timestamp, &str)> {
    let (time, text) = line.split_once(' ').unwrap_or((line, ""));
    Some((time.parse().ok()?, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_in_the_order_of_their_times() {
        let (mut lines, begun) = (Ordered::default(), Instant::now());
        let at = |second| Timestamp::from_second(second).expect("a moment");
        lines.push(at(3), "c", begun);
        lines.push(at(1), "a", begun + HOLD / 2);
        lines.push(at(1), "b", begun + HOLD / 2);
        assert_eq!(lines.ready(begun + HOLD), [""; 0], "an earlier one may still be waited for");
        assert_eq!(lines.ready(begun + HOLD * 2), ["a", "b", "c"]);
        lines.push(at(5), "e", begun);
        lines.push(at(4), "d", begun);
        assert_eq!(lines.all(), ["d", "e"]);
    }

    #[test]
    fn no_more_wait_than_may() {
        let (mut lines, now) = (Ordered::default(), Instant::now());
        (0..LINES_MAX + 3).for_each(|n| lines.push(Timestamp::UNIX_EPOCH, n, now));
        assert_eq!(lines.ready(now), [0, 1, 2]);
    }

    #[test]
    fn times_are_told_from_texts() {
        let at = "2026-01-01T00:00:00.5Z".parse().expect("a moment");
        assert_eq!(timed("2026-01-01T00:00:00.5Z a b"), Some((at, "a b")));
        assert_eq!(timed("2026-01-01T00:00:00.5Z"), Some((at, "")));
        assert_eq!(timed("a b"), None);
    }
}
