//! What the pod-runner counts.

use std::sync::LazyLock;

use argosy_telemetry::metrics::{counter, counters, seconds};
use prometheus::{Histogram, IntCounter, IntCounterVec};

pub(crate) static COMMANDS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("argosy_pod_runner_commands_total", "Wishes carried out", "kind"));
pub(crate) static COMMAND_SECONDS: LazyLock<Histogram> =
    LazyLock::new(|| seconds("argosy_pod_runner_command_seconds", "From taking up a wish to its end"));
pub(crate) static REJECTED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_pod_runner_rejected_total", "Wishes that the API refused for good"));
pub(crate) static STALE: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_pod_runner_stale_total", "Repeated wishes that no longer hold"));
pub(crate) static POISON: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_pod_runner_poison_total", "Messages that cannot be read, or that the bus refuses")
});
pub(crate) static REPORTS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_pod_runner_reports_total", "Changes of pods that were reported"));
pub(crate) static WATCH_ERRORS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_pod_runner_watch_errors_total", "Times that a watch of pods broke off"));
