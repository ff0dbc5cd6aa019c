//! The moments of a range, and the workflows that run them again.

use jiff::{Timestamp, tz::TimeZone};

use argosy_api::v1alpha1::CronWorkflowSpec;

use crate::schedule::{Error, Schedule};
use crate::timetable::schedule_texts;

/// The moments of all schedules from `start` to `end`, both included, each once and in order; at most `max` and one more, so
/// that whoever asks sees that there are too many.
///
/// Errors: a schedule that is none.
pub fn moments(
    spec: &CronWorkflowSpec,
    start: Timestamp,
    end: Timestamp,
    max: usize,
    local: &TimeZone,
) -> Result<Vec<Timestamp>, Error> {
    let parse = |text: &String| Schedule::parse(text, local);
    let schedules = schedule_texts(spec).iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    // The first may be the start itself.
    let before = Timestamp::from_second(start.as_second() - 1).unwrap_or(Timestamp::MIN);
    let next = |after| schedules.iter().filter_map(|schedule| schedule.next_from(before, after)).min();
    let all = std::iter::successors(next(before), |at| next(*at));
    Ok(all.skip_while(|at| *at < start).take_while(|at| *at <= end).take(max.saturating_add(1)).collect())
}
