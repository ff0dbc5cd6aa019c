//! What the recorder counts.

use std::sync::LazyLock;

use argosy_telemetry::metrics::{counter, counters};
use prometheus::{IntCounter, IntCounterVec};

pub(crate) static RECORDED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_recorder_recorded_total", "Kubernetes Events that were created"));
pub(crate) static OMITTED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_recorder_omitted_total", "Kubernetes Events of nodes that were left out: their workflow had many")
});
pub(crate) static REFUSED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_recorder_refused_total", "Kubernetes Events that the API did not take"));
pub(crate) static PODLESS: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "argosy_recorder_podless_total",
        "Pods of Kubernetes Events that could not be read: the Events name the workflow",
    )
});
pub(crate) static MEASURED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_custom_metric_samples_total", "Values of custom metrics that were counted"));
pub(crate) static NOT_MEASURED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters("argosy_custom_metric_refused_total", "Values of custom metrics that were not counted, and why", "reason")
});
pub(crate) static UNREADABLE: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_recorder_unreadable_total", "Messages that the recorder cannot read, and passed over")
});
