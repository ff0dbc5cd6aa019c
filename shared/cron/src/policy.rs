//! Whether a CronWorkflow starts anything: its active workflows, `when`, `stopStrategy`, `concurrencyPolicy`, `suspend`.

use argosy_api::labels;
use argosy_api::v1alpha1::{Condition, CronWorkflow, WorkflowPhase};
use argosy_template::{Layered, Options, expr, render, tags, when as govaluate};
use jiff::Timestamp;

use crate::child::Child;
use crate::variables;

pub(crate) const STOPPED: &str = "Stopped";
pub(crate) const SPEC_ERROR: &str = "SpecError";
pub(crate) const SUBMISSION_ERROR: &str = "SubmissionError";

/// Why a moment passes without a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// `spec.suspend`.
    Suspended,
    /// Its `stopStrategy` has come true.
    Stopped,
    /// `when` is false.
    When,
    /// `concurrencyPolicy: Forbid`, and a workflow is active.
    Active,
}

/// The `stopStrategy` cannot be evaluated, in Argo's words.
#[derive(Debug, thiserror::Error)]
#[error("failed to check CronWorkflow '{name}' stopping condition: failed to evaluate stop expression: {source}")]
pub struct StopError {
    name: String,
    source: expr::Error,
}

/// `when` cannot be evaluated, in Argo's words.
#[derive(Debug, thiserror::Error)]
pub enum WhenError {
    /// A tag, or the expression within.
    #[error(transparent)]
    Tag(#[from] tags::Error),
    /// What is there once the tags are replaced.
    #[error("{0}")]
    Condition(String),
}

/// Brings `status.active`, the counters and the phase up to date with the workflows that are there.
///
/// Errors: a `stopStrategy` that cannot be evaluated; all else is done all the same.
pub fn reconcile(cron: &mut CronWorkflow, children: &[Child]) -> Result<(), StopError> {
    let mut active = Vec::new();
    for reference in std::mem::take(&mut cron.status.active) {
        // What is no longer there has ended without a trace.
        let Some(child) = children.iter().find(|child| child.is_meant(&reference)) else { continue };
        match child.phase {
            WorkflowPhase::Succeeded => cron.status.succeeded += 1,
            WorkflowPhase::Failed | WorkflowPhase::Error => cron.status.failed += 1,
            WorkflowPhase::Unknown | WorkflowPhase::Pending | WorkflowPhase::Running => active.push(reference),
        }
    }
    let is_unnoted = |child: &&Child| !child.has_ended() && !active.iter().any(|known| child.is_meant(known));
    let more: Vec<_> = children.iter().filter(is_unnoted).map(Child::reference).collect();
    active.extend(more);
    cron.status.active = active;
    if stops(cron)? {
        stop(cron);
    }
    Ok(())
}

/// Whether its `stopStrategy` says that it is over.
pub(crate) fn stops(cron: &CronWorkflow) -> Result<bool, StopError> {
    let Some(strategy) = cron.spec.stop_strategy.as_ref().filter(|strategy| !strategy.expression.is_empty()) else {
        return Ok(false);
    };
    let variables = variables::nested(cron);
    let answer = expr::Program::compile(&strategy.expression)
        .and_then(|program| program.run_bool(&expr::Env::new(&variables).with_functions()));
    answer.map_err(|source| StopError { name: cron.metadata.name.clone(), source })
}

/// Nothing is started any more.
pub(crate) fn stop(cron: &mut CronWorkflow) {
    cron.status.phase = STOPPED.to_owned();
    cron.metadata.labels.insert(labels::CRON_COMPLETED.to_owned(), "true".to_owned());
}

/// Whether `when` lets it start something now.
///
/// Errors: in the words of Argo, and of govaluate.
pub fn when(cron: &CronWorkflow, now: Timestamp) -> Result<bool, WhenError> {
    if cron.spec.when.is_empty() {
        return Ok(true);
    }
    let variables = variables::flat(cron);
    let scope = Layered::new([&variables as &dyn argosy_template::Scope]).with_now(now);
    let text = render(&cron.spec.when, &scope, &Options::strict())?;
    govaluate::evaluate_cron(&text).map_err(|error| {
        use govaluate::Error as E;
        WhenError::Condition(match error {
            E::Invalid { reason, .. } | E::Parse { reason, .. } | E::Evaluate { reason, .. } => reason,
            E::NotBool { .. } => error.to_string(),
        })
    })
}

/// Sets a condition, or takes it away.
pub(crate) fn set_condition(cron: &mut CronWorkflow, kind: &str, message: Option<String>) {
    let conditions = &mut cron.status.conditions;
    let at = conditions.iter().position(|condition| condition.r#type == kind);
    match (at, message) {
        (Some(at), None) => _ = conditions.remove(at),
        (None, None) => {}
        (at, Some(message)) => {
            let condition = Condition { r#type: kind.to_owned(), status: "True".to_owned(), message };
            match at {
                Some(at) => conditions[at] = condition,
                None => conditions.push(condition),
            }
        }
    }
}
