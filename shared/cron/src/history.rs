//! Which ended workflows go.

use argosy_api::v1alpha1::{CronWorkflowSpec, WorkflowPhase};
use jiff::Timestamp;

use crate::child::Child;

/// Source: Argo docs/cron-workflows.md. A limit below zero is none that was set.
const SUCCESSFUL: i32 = 3;
const FAILED: i32 = 1;

/// The ended workflows above the limits of the history, the oldest ends first.
pub(crate) fn surplus<'a>(spec: &CronWorkflowSpec, children: &'a [Child]) -> Vec<&'a Child> {
    let groups = groups(spec, children).into_iter();
    groups
        .flat_map(|(mut ended, limit)| {
            ended.sort_by_key(|child| (ended_at(child), child.name.clone()));
            let count = ended.len().saturating_sub(limit);
            ended.into_iter().take(count)
        })
        .collect()
}

/// The names of those whose end must be known to say which of them go.
pub fn unknown_times<'a>(spec: &CronWorkflowSpec, children: &'a [Child]) -> Vec<&'a str> {
    let is_crowded = |(ended, limit): &(Vec<&Child>, usize)| *limit > 0 && ended.len() > *limit;
    let crowded = groups(spec, children).into_iter().filter(is_crowded).flat_map(|(ended, _)| ended);
    crowded.filter(|child| child.finished_at.is_none()).map(|child| child.name.as_str()).collect()
}

/// Those that succeeded and those that did not, with how many may stay.
fn groups<'a>(spec: &CronWorkflowSpec, children: &'a [Child]) -> [(Vec<&'a Child>, usize); 2] {
    let limit = |set: Option<i32>, default| usize::try_from(set.filter(|limit| *limit >= 0).unwrap_or(default));
    let of = |is_wanted: fn(WorkflowPhase) -> bool| children.iter().filter(|child| is_wanted(child.phase)).collect();
    [
        (
            of(|phase| phase == WorkflowPhase::Succeeded),
            limit(spec.successful_jobs_history_limit, SUCCESSFUL).unwrap_or(0),
        ),
        (
            of(|phase| matches!(phase, WorkflowPhase::Failed | WorkflowPhase::Error)),
            limit(spec.failed_jobs_history_limit, FAILED).unwrap_or(0),
        ),
    ]
}

fn ended_at(child: &Child) -> Option<Timestamp> {
    child.finished_at.or(child.scheduled_at).or(child.created_at)
}
