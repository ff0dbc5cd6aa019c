//! One moment: whether a workflow is started, and what is noted of it.

use argosy_api::labels;
use argosy_api::v1alpha1::{Condition, CronWorkflow, Time};
use jiff::Timestamp;
use serde_json::Value;

use crate::child::Child;
use crate::policy::{SPEC_ERROR, STOPPED, SUBMISSION_ERROR, Why, set_condition, stop, stops, when};
use crate::timetable::{Due, used_schedule};

/// What is done at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A workflow is started.
    Run(Run),
    /// Nothing, as the CronWorkflow asks for it.
    Skip(Why),
    /// Nothing: something is wrong, which a condition tells.
    Wrong,
}

/// A run that is to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The moment that it stands for.
    pub at: Timestamp,
    /// Names of workflows that it takes the place of, which are terminated first.
    pub replaces: Vec<String>,
}

/// What is done at a moment whose turn it is. `problem` is what is wrong with the object, the first of [`crate::problems`]. Conditions, phase
/// and the schedule that is noted are changed; that the workflow was started is noted by [`started`].
/// Source: table cron.json, `run`.
pub fn run(cron: &mut CronWorkflow, due: Due, now: Timestamp, problem: Option<&str>) -> Verdict {
    let used = used_schedule(&cron.spec);
    cron.metadata.annotations.insert(labels::CRON_LAST_USED_SCHEDULE.to_owned(), used);
    set_condition(cron, SPEC_ERROR, problem.map(str::to_owned));
    if problem.is_some() {
        return Verdict::Wrong;
    }
    match stops(cron) {
        Err(error) => {
            set_condition(cron, SPEC_ERROR, Some(error.to_string()));
            return Verdict::Wrong;
        }
        Ok(true) => stop(cron),
        Ok(false) => {}
    }
    if cron.status.phase == STOPPED {
        return Verdict::Skip(Why::Stopped);
    }
    if cron.spec.suspend {
        return Verdict::Skip(Why::Suspended);
    }
    match when(cron, now) {
        Err(error) => {
            refused(cron, due, format!("run policy error: {error}"));
            return Verdict::Wrong;
        }
        Ok(false) => return Verdict::Skip(Why::When),
        Ok(true) => {}
    }
    let replaces = match cron.spec.concurrency_policy.as_str() {
        "Forbid" if !cron.status.active.is_empty() => return Verdict::Skip(Why::Active),
        "Replace" => cron.status.active.iter().filter_map(name_of).collect(),
        _ => Vec::new(),
    };
    Verdict::Run(Run { at: due.at, replaces })
}

fn name_of(reference: &Value) -> Option<String> {
    reference["name"].as_str().map(str::to_owned)
}

/// Notes that the workflow of the moment `at` is there.
pub fn started(cron: &mut CronWorkflow, at: Timestamp, child: &Child) {
    let is_noted = cron.status.active.iter().any(|known| child.is_meant(known));
    if !is_noted {
        cron.status.active.push(child.reference());
    }
    cron.status.phase = "Active".to_owned();
    cron.status.last_scheduled_time = Some(Time(at));
    set_condition(cron, SUBMISSION_ERROR, None);
}

/// Notes that nothing was started, and why: it counts as a failure. A moment that is late is tried again and again, and counts once.
pub fn refused(cron: &mut CronWorkflow, due: Due, why: String) {
    let is_known = |condition: &Condition| condition.r#type == SUBMISSION_ERROR && condition.message == why;
    if due.is_late && cron.status.conditions.iter().any(is_known) {
        return;
    }
    cron.status.failed += 1;
    set_condition(cron, SUBMISSION_ERROR, Some(why));
}
