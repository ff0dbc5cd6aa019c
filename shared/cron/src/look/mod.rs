//! What is to be done with a CronWorkflow now.

use argosy_api::labels;
use argosy_api::v1alpha1::CronWorkflow;
use jiff::{Timestamp, tz::TimeZone};

use crate::child::Child;
use crate::history;
use crate::policy::{SPEC_ERROR, STOPPED, StopError, reconcile, set_condition};
use crate::run::{Verdict, run, started};
use crate::timetable::{Due, ON_TIME_SECS, Timetable, is_impossible, used_schedule};
use crate::workflow;

/// So many missed moments are counted.
const MISSED_MAX: usize = 1000;

/// What is known beside the object.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The moment.
    pub now: Timestamp,
    /// The zone of schedules that name none.
    pub local: &'a TimeZone,
    /// Moments up to this one were decided by whoever asks, as far as it remembers: it may always forget.
    pub decided: Option<Timestamp>,
    /// The workflows with the label of this object.
    pub children: &'a [Child],
    /// What is wrong with the object: the first of [`crate::problems`].
    pub problem: Option<&'a str>,
}

/// What is to be done.
#[derive(Debug, Default)]
pub struct Look {
    /// The moment whose turn it is, and what is done then. Where a workflow is to be started, [`crate::started`] or [`crate::refused`]
    /// says what became of that.
    pub tick: Option<(Due, Verdict)>,
    /// Names of ended workflows that go, once the object is written.
    pub surplus: Vec<String>,
    /// When to look again, if nothing changes before.
    pub wake: Option<Timestamp>,
    /// Moments up to this one are decided: what [`Around`] is to hold the next time.
    pub decided: Timestamp,
    /// Moments that nobody was there for, since the last that was decided.
    pub missed: usize,
    /// The `stopStrategy` cannot be evaluated.
    pub stop_error: Option<StopError>,
    /// The last run is noted for a time that is far ahead, which does not count: the clock was wrong then.
    pub is_ahead: bool,
}

/// Looks at a CronWorkflow: notes on it what has changed, and says what is to be done.
///
/// Equal objects at equal times give equal answers, whoever asks. A moment is past once a workflow is there for it, whether that
/// was noted or not.
pub fn look(cron: &mut CronWorkflow, around: Around<'_>) -> Look {
    let now = around.now;
    let is_ahead = cron.status.last_scheduled_time.is_some_and(|last| is_impossible(last.0, now));
    let mut look = Look { is_ahead, ..Look::default() };
    take_up(cron, now);
    note_started(cron, around);
    look.stop_error = reconcile(cron, around.children).err();
    look.surplus = history::surplus(&cron.spec, around.children).into_iter().map(|child| child.name.clone()).collect();
    let lately = before(now, ON_TIME_SECS);
    // One ahead of us says that until now it rested.
    let known = around.decided.map(|decided| decided.min(now));
    look.decided = known.map_or(lately, |decided| decided.max(lately));
    let rests = cron.spec.suspend || cron.status.phase == STOPPED;
    match Timetable::of(cron, now, around.local).ok().flatten() {
        Some(timetable) if !rests => {
            look.missed = timetable.missed(known, now, MISSED_MAX);
            look.tick = timetable.due(now, known).map(|due| (due, run(cron, due, now, around.problem)));
            if let Some((due, verdict)) = &look.tick {
                if due.is_late && matches!(verdict, Verdict::Run(_)) {
                    look.missed = look.missed.saturating_sub(1);
                } else if !due.is_late {
                    look.decided = look.decided.max(due.at);
                }
            }
            look.wake = timetable.next(look.decided);
        }
        // What passes until it goes on is not missed.
        Some(_) | None => look.decided = Timestamp::MAX,
    }
    // Between the moments, too: who has made a mistake sees it at once.
    if look.tick.is_none() && look.stop_error.is_none() {
        set_condition(cron, SPEC_ERROR, around.problem.map(str::to_owned));
    }
    look
}

/// Notes which schedules it has, and since when.
fn take_up(cron: &mut CronWorkflow, now: Timestamp) {
    let used = used_schedule(&cron.spec);
    let annotations = &mut cron.metadata.annotations;
    let known = annotations.get(labels::CRON_LAST_USED_SCHEDULE);
    let last = cron.status.last_scheduled_time.map(|time| time.0).filter(|last| !is_impossible(*last, now));
    let created = cron.metadata.creation_timestamp.map(|time| time.0).filter(|created| *created <= now);
    let noted = annotations.get(labels::CRON_SCHEDULE_SINCE).and_then(|text| text.parse::<Timestamp>().ok());
    let since = match known {
        Some(known) if *known == used => noted.filter(|since| *since <= now).or(last).or(created),
        // Nobody has looked at it yet.
        None if last.is_none() => created,
        Some(_) | None => None,
    };
    let since = before(since.unwrap_or(now), 0);
    if noted != Some(since) {
        annotations.insert(labels::CRON_SCHEDULE_SINCE.to_owned(), since.to_string());
    }
    annotations.insert(labels::CRON_LAST_USED_SCHEDULE.to_owned(), used);
}

/// Workflows that are there and are not noted: whoever started them died before it could. They run, or count, as the others.
fn note_started(cron: &mut CronWorkflow, around: Around<'_>) {
    let last = cron.status.last_scheduled_time.map(|time| time.0);
    let last = last.filter(|last| !is_impossible(*last, around.now));
    let is_own = |child: &&Child, at| child.name == workflow::name(&cron.metadata.name, at);
    let is_new = |child: &&Child| {
        child.scheduled_at.is_some_and(|at| Some(at) > last && !is_impossible(at, around.now) && is_own(child, at))
    };
    let mut unnoted: Vec<&Child> = around.children.iter().filter(is_new).collect();
    unnoted.sort_by_key(|child| child.scheduled_at);
    for child in unnoted {
        if let Some(at) = child.scheduled_at {
            started(cron, at, child);
        }
    }
}

/// So many seconds before a moment, as a whole second.
fn before(at: Timestamp, secs: i64) -> Timestamp {
    Timestamp::from_second(at.as_second().saturating_sub(secs)).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests;
