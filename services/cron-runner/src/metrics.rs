//! What the cron-runner counts.

use std::sync::LazyLock;

use argosy_telemetry::metrics::{counter, counters, counters_of_argo, seconds};
use prometheus::{Histogram, IntCounter, IntCounterVec};

/// By what became of them: `started`; `there`, created before by somebody else; `refused`; `wrong`; or why they were passed over:
/// `when`, `active`, `suspended`, `stopped`.
pub(crate) static MOMENTS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("argosy_cron_moments_total", "Moments of schedules, by what became of them", "outcome"));
pub(crate) static TRIGGERED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters_of_argo(
        "argo_workflows_cronworkflows_triggered_total",
        "Workflows that a CronWorkflow has started",
        &["name", "namespace"],
    )
});
static POLICY_TRIGGERED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters_of_argo(
        "argo_workflows_cronworkflows_concurrencypolicy_triggered",
        "Times that the concurrencyPolicy of a CronWorkflow forbade its workflow, or had others replaced by it",
        &["name", "namespace", "concurrency_policy"],
    )
});
pub(crate) static MISSED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_cron_missed_total", "Moments of schedules that nobody was there for, and that did not run later")
});
pub(crate) static DELAY: LazyLock<Histogram> =
    LazyLock::new(|| seconds("argosy_cron_delay_seconds", "From the moment of a schedule to its workflow's creation"));
pub(crate) static REPLACED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_cron_replaced_total", "Workflows that were terminated for the next one"));
pub(crate) static DELETED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_cron_deleted_total", "Ended workflows that the history has no room for"));
pub(crate) static CONFLICTS: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_cron_conflicts_total", "Writes of a CronWorkflow that somebody else's came before; done again")
});
pub(crate) static FAILURES: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_cron_failures_total", "Looks at a CronWorkflow that failed; done again"));
pub(crate) static PANICS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_cron_panics_total", "CronWorkflows that could not be looked at, which is a bug"));
pub(crate) static WATCH_ERRORS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_cron_watch_errors_total", "Times that a watch broke off"));

/// The `concurrencyPolicy` of a CronWorkflow has kept a workflow from starting, or ends one for another.
pub(crate) fn policy_triggered(name: &str, namespace: &str, policy: &str) {
    POLICY_TRIGGERED.with_label_values(&[name, namespace, policy]).inc();
}
