//! All schedules of a CronWorkflow, and which of their moments is due.

use argosy_api::labels;
use argosy_api::v1alpha1::{CronWorkflow, CronWorkflowSpec};
use jiff::{Timestamp, tz::TimeZone};

use crate::schedule::{Error, Schedule};

/// A moment is on time for so long: who was to act may have died, and another takes over. Only what is later than this is late,
/// and needs a `startingDeadlineSeconds`.
pub const ON_TIME_SECS: i64 = 20;
/// So many moments ahead of us a last run may be: the machine's clock was set back. Farther ahead it was wrong.
const AHEAD_SECS_MAX: i64 = 86_400;

/// The schedules with their time zone, as they are parsed.
pub fn schedule_texts(spec: &CronWorkflowSpec) -> Vec<String> {
    let zoned = |text: &String| match spec.timezone.as_str() {
        "" => text.clone(),
        zone => format!("CRON_TZ={zone} {text}"),
    };
    spec.schedules.iter().map(zoned).collect()
}

/// All of them in one text, as they are noted on the object.
pub fn used_schedule(spec: &CronWorkflowSpec) -> String {
    schedule_texts(spec).join(",")
}

/// The moments of a CronWorkflow.
#[derive(Clone, Debug)]
pub struct Timetable {
    schedules: Vec<Schedule>,
    /// Moments up to this one are past, whatever became of them.
    past: Timestamp,
    /// Where the moments of `@every` begin.
    anchor: Timestamp,
    deadline_secs: i64,
    /// The schedules are others than those noted on the object: what they have missed was not theirs.
    is_new: bool,
}

/// A moment whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub at: Timestamp,
    /// It has been missed, and may still run.
    pub is_late: bool,
}

impl Timetable {
    /// Of an object that nothing is noted on nothing is past; `None`: it was never run, and nobody knows since when it is there.
    ///
    /// Errors: a schedule that is none.
    pub fn of(cron: &CronWorkflow, now: Timestamp, local: &TimeZone) -> Result<Option<Self>, Error> {
        let parse = |text: &String| Schedule::parse(text, local);
        let schedules = schedule_texts(&cron.spec).iter().map(parse).collect::<Result<_, _>>()?;
        let noted = |key: &str| cron.metadata.annotations.get(key);
        let since: Option<Timestamp> = noted(labels::CRON_SCHEDULE_SINCE).and_then(|text| text.parse().ok());
        let since = since.filter(|since| !is_impossible(*since, now));
        let last = cron.status.last_scheduled_time.map(|time| time.0);
        let last = last.filter(|last| !is_impossible(*last, now));
        let created = cron.metadata.creation_timestamp.map(|time| time.0);
        let (Some(past), Some(anchor)) = (last.max(since).or(created), since.or(last).or(created)) else {
            return Ok(None);
        };
        let is_new = noted(labels::CRON_LAST_USED_SCHEDULE) != Some(&used_schedule(&cron.spec));
        let deadline_secs = cron.spec.starting_deadline_seconds.unwrap_or(0);
        Ok(Some(Self { schedules, past, anchor, deadline_secs, is_new }))
    }

    /// The first moment behind `after`, and not past.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = after.max(self.past);
        self.schedules.iter().filter_map(|schedule| schedule.next_from(self.anchor, after)).min()
    }

    /// The moment whose turn it is. One on time, the oldest first, unless it was `decided` already; otherwise what is late: of
    /// the first schedule that has missed something, the last that it has missed, within the deadline.
    /// Source: Argo docs/cron-workflows.md, "Crash Recovery"; table cron.json, `outstanding`.
    pub fn due(&self, now: Timestamp, decided: Option<Timestamp>) -> Option<Due> {
        let lately = Timestamp::from_second(now.as_second() - ON_TIME_SECS - 1).ok()?;
        let on_time = self.next(decided.unwrap_or(lately).max(lately));
        let is_on_time = |at: &Timestamp| *at <= now && now.as_second() - at.as_second() <= ON_TIME_SECS;
        if let Some(at) = on_time.filter(is_on_time) {
            return Some(Due { at, is_late: false });
        }
        self.late(now).map(|at| Due { at, is_late: true })
    }

    /// The moment that was missed and may still run.
    pub fn late(&self, now: Timestamp) -> Option<Timestamp> {
        if self.is_new {
            return None;
        }
        let in_time = |at: &Timestamp| {
            let end = at.as_second().checked_add(self.deadline_secs).and_then(|end| Timestamp::from_second(end).ok());
            now < end.unwrap_or(Timestamp::MAX)
        };
        let missed = |schedule: &Schedule| schedule.last_between(self.anchor, self.past, now).filter(in_time);
        self.schedules.iter().find_map(missed)
    }

    /// How many moments behind `after` had been missed at `now`, up to `max`.
    pub fn missed(&self, after: Option<Timestamp>, now: Timestamp, max: usize) -> usize {
        let before = Timestamp::from_second(now.as_second() - ON_TIME_SECS).unwrap_or(Timestamp::MIN);
        let first = self.next(after.unwrap_or(self.past));
        std::iter::successors(first, |at| self.next(*at)).take_while(|at| *at < before).take(max).count()
    }
}

/// Whether the last run is so far ahead that the clock must have been wrong then.
pub(crate) fn is_impossible(last: Timestamp, now: Timestamp) -> bool {
    last.as_second() - now.as_second() > AHEAD_SECS_MAX
}
