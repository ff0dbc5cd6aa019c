//! What the pod-runner counts.

use std::sync::LazyLock;

use argosy_telemetry::metrics::{counter, counters, seconds};
use prometheus::{Histogram, IntCounter, IntCounterVec};

pub(crate) static COMMANDS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("argosy_pod_runner_commands_total", "Commands carried out, tries included", "kind"));
pub(crate) static COMMAND_SECONDS: LazyLock<Histogram> =
    LazyLock::new(|| seconds("argosy_pod_runner_command_seconds", "From taking up a command to its end"));
pub(crate) static REJECTED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_pod_runner_rejected_total", "Commands that the API refused for good"));
pub(crate) static STALE: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_pod_runner_stale_total", "Wishes for pods that were taken back before they were carried out")
});
pub(crate) static HANDED_BACK: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "argosy_pod_runner_handed_back_total",
        "Wishes for pods that went back to their workflow to be decided anew",
    )
});
pub(crate) static FOREIGN: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_pod_runner_foreign_total", "Pods with our labels that are of no workflow of their shard")
});
pub(crate) static FOREIGN_OBJECTS: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "argosy_pod_runner_foreign_objects_total",
        "Objects with the name of one of a workflow's that were not deleted, as they are another's",
    )
});
pub(crate) static REPORT_FAILURES: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_pod_runner_report_failures_total", "Looks at a pod that could not be reported at once")
});
pub(crate) static COLLECTED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_pod_runner_collected_total", "Pods deleted by the podGC of their workflow"));
pub(crate) static POISON: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_pod_runner_poison_total", "Messages that cannot be read, or that the bus refuses")
});
pub(crate) static REPORTS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_pod_runner_reports_total", "Changes of pods that were reported"));
pub(crate) static WATCH_ERRORS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_pod_runner_watch_errors_total", "Times that a watch of pods broke off"));
