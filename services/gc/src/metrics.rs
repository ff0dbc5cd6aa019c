//! What the garbage collector counts.

use std::sync::LazyLock;

use argosy_telemetry::metrics::{counter, counters};
use prometheus::{IntCounter, IntCounterVec};

pub(crate) static DELETED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters("argosy_gc_deleted_total", "Workflows deleted: their time was up, or there were too many", "why")
});
pub(crate) static FAILURES: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_gc_failures_total", "Workflows that could not be looked at or deleted, and are tried again")
});
pub(crate) static WATCH_ERRORS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_gc_watch_errors_total", "Times that the watch of finished workflows broke off"));
