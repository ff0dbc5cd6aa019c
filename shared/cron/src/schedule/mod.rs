//! Schedules as Argo reads them, which is as robfig/cron v3 reads its standard ones: five fields, `@daily` and the like,
//! `@every DURATION`, and `CRON_TZ=ZONE` in front of each.
//!
//! Source: pkg.go.dev/github.com/robfig/cron/v3, "CRON Expression Format"; table cron.json.

mod calendar;
mod error;
mod field;
mod zone;

use argosy_template::duration;
use jiff::{Timestamp, tz::TimeZone};

use calendar::Calendar;
pub use error::Error;
pub use zone::zone;

/// A schedule.
#[derive(Clone, Debug)]
pub struct Schedule(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// Minutes of the calendar of a zone.
    Calendar(Calendar),
    /// So many whole seconds from one to the next.
    Every(i64),
}

impl Schedule {
    /// Reads a schedule. `local` is the zone of those that name none.
    ///
    /// Errors: in the words of robfig/cron.
    pub fn parse(text: &str, local: &TimeZone) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::Empty);
        }
        let (mut zone, mut rest) = (local.clone(), text);
        if let Some(named) = text.strip_prefix("CRON_TZ=").or_else(|| text.strip_prefix("TZ=")) {
            let (name, behind) = named.split_once(' ').unwrap_or((named, ""));
            zone = self::zone(name, local).ok_or_else(|| Error::Zone(name.to_owned()))?;
            rest = behind.trim();
        }
        if let Some(every) = rest.strip_prefix("@every ") {
            let failed = |source| Error::Duration { text: rest.to_owned(), source };
            let nanos = duration::parse_go(every).map_err(failed)?;
            return Ok(Self(Kind::Every((nanos / 1_000_000_000).max(1))));
        }
        let fields = if rest.starts_with('@') { described(rest)? } else { rest };
        Calendar::parse(fields, zone).map(|calendar| Self(Kind::Calendar(calendar)))
    }

    /// The first moment behind `after`; `None` when there is none within five years. Of `@every` it is reckoned from `after`
    /// itself.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Kind::Calendar(calendar) => calendar.next(after),
            Kind::Every(seconds) => Timestamp::from_second(floor(after).checked_add(*seconds)?).ok(),
        }
    }

    /// The same, of `@every` on the grid that begins at `anchor`: whoever asks, and whenever, gets the same moments.
    pub fn next_from(&self, anchor: Timestamp, after: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Kind::Calendar(calendar) => calendar.next(after),
            Kind::Every(seconds) => {
                let (anchor, after) = (floor(anchor), floor(after));
                let steps = after.checked_sub(anchor)?.div_euclid(*seconds).max(0) + 1;
                Timestamp::from_second(anchor.checked_add(steps.checked_mul(*seconds)?)?).ok()
            }
        }
    }

    /// The last moment behind `after` and before `before`.
    pub fn last_between(&self, anchor: Timestamp, after: Timestamp, before: Timestamp) -> Option<Timestamp> {
        let next = |from: i64| {
            let next = self.next_from(anchor, Timestamp::from_second(from).ok()?)?;
            (next > after && next < before).then_some(next)
        };
        let (floor_after, end) = (floor(after), floor(before));
        // Back from the end in growing strides, until there is one.
        let mut stride = 60;
        let mut low = loop {
            let from = end.saturating_sub(stride).max(floor_after);
            if next(from).is_some() {
                break from;
            }
            if from == floor_after {
                return None;
            }
            stride = stride.saturating_mul(4);
        };
        // Then the last second from which there still is one.
        let mut high = end;
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if next(middle).is_some() { low = middle } else { high = middle }
        }
        next(low)
    }
}

/// What `@daily` and the like stand for.
fn described(text: &str) -> Result<&'static str, Error> {
    Ok(match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        other => return Err(Error::Descriptor(other.to_owned())),
    })
}

/// The whole second that a moment is in.
fn floor(at: Timestamp) -> i64 {
    at.as_nanosecond().div_euclid(1_000_000_000).try_into().unwrap_or(i64::MIN)
}

#[cfg(test)]
mod tests;
