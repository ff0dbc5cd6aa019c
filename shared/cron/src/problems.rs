//! What is wrong with a CronWorkflow.

use argosy_api::v1alpha1::CronWorkflow;
use argosy_engine::validate::{self, Options, Problem, Templates};
use jiff::tz::TimeZone;

use crate::schedule::{Schedule, zone};

/// All mistakes; the first is the one that Argo tells.
pub fn problems(cron: &CronWorkflow, templates: &dyn Templates, options: &Options) -> Vec<Problem> {
    let mut zoneless = cron.clone();
    // Zones are known here, the same on every machine.
    let timezone = std::mem::take(&mut zoneless.spec.timezone);
    let of_rest = validate::cron_workflow(&zoneless, templates, options);
    let is_first = |problem: &Problem| problem.path == "metadata.name" || cron.spec.schedules.is_empty();
    let (mut found, rest): (Vec<_>, Vec<_>) = of_rest.into_iter().partition(is_first);
    for (index, text) in cron.spec.schedules.iter().enumerate() {
        if let Err(error) = Schedule::parse(text, &TimeZone::UTC) {
            let message = format!("cron schedule {text} is malformed: {error}");
            found.push(Problem { path: format!("spec.schedules[{index}]"), message });
        }
    }
    if zone(&timezone, &TimeZone::UTC).is_none() {
        let message = format!("invalid timezone \"{timezone}\": unknown time zone {timezone}");
        found.push(Problem { path: "spec.timezone".to_owned(), message });
    }
    found.extend(rest);
    found
}
