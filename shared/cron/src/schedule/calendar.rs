//! The moments of five fields in the calendar of a zone.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::error::Error;
use super::field::{DAY_OF_MONTH, DAY_OF_WEEK, Field, HOUR, MINUTE, MONTH};

/// So many years ahead a moment is looked for. Source: robfig/cron v3.
const YEARS: i16 = 5;
const HOUR_SECS: i64 = 3600;

#[derive(Clone, Debug)]
pub(super) struct Calendar {
    minute: Field,
    hour: Field,
    day_of_month: Field,
    month: Field,
    day_of_week: Field,
    zone: TimeZone,
}

impl Calendar {
    pub fn parse(text: &str, zone: TimeZone) -> Result<Self, Error> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day_of_month, month, day_of_week] = fields[..] else {
            return Err(Error::Fields { count: fields.len(), fields: fields.join(" ") });
        };
        Ok(Self {
            minute: Field::parse(minute, &MINUTE)?,
            hour: Field::parse(hour, &HOUR)?,
            day_of_month: Field::parse(day_of_month, &DAY_OF_MONTH)?,
            month: Field::parse(month, &MONTH)?,
            day_of_week: Field::parse(day_of_week, &DAY_OF_WEEK)?,
            zone,
        })
    }

    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let mut date = after.to_zoned(self.zone.clone()).date();
        let year_max = date.year() + YEARS;
        while date.year() <= year_max {
            if !self.month.has(date.month()) {
                date = date.last_of_month().tomorrow().ok()?;
                continue;
            }
            if self.has_day(date)
                && let Some(found) = self.within(date, after)
            {
                return Some(found);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// Day of the month and day of the week: where both ask for something, one of them is enough.
    fn has_day(&self, date: Date) -> bool {
        let of_month = self.day_of_month.has(date.day());
        let of_week = self.day_of_week.has(date.weekday().to_sunday_zero_offset());
        if self.day_of_month.is_free || self.day_of_week.is_free { of_month && of_week } else { of_month || of_week }
    }

    /// The first moment of a day behind `after`. The day is walked in hours that have passed, not in those of the clock: an hour
    /// that the clock leaves out has no moments, and one that it shows twice has them twice.
    fn within(&self, date: Date, after: Timestamp) -> Option<Timestamp> {
        let start = date.to_zoned(self.zone.clone()).ok()?.start_of_day().ok()?.timestamp();
        let mut hour = start;
        loop {
            let shown = hour.to_zoned(self.zone.clone());
            if shown.date() != date {
                return None;
            }
            let end = Timestamp::from_second(hour.as_second() + HOUR_SECS).ok()?;
            if end > after && self.hour.has(shown.hour()) {
                // Seldom anything but 0: where the clock was set by half an hour.
                let mut minute = self.minute.first_from(shown.minute());
                while let Some(at) = minute {
                    let found = hour.checked_add(i64::from(at - shown.minute()).minutes()).ok()?;
                    if found > after {
                        return Some(found);
                    }
                    minute = self.minute.first_from(at + 1);
                }
            }
            hour = end;
        }
    }
}
