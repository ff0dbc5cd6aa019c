//! What the watcher counts.

use std::sync::LazyLock;

use argosy_telemetry::metrics::{counter, counters};
use prometheus::{IntCounter, IntCounterVec};

pub(crate) static REPORTS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("argosy_watcher_reports_total", "Changes of workflows that were reported", "kind"));
pub(crate) static ECHOES: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_watcher_echoes_total", "Changes that were the status service's own, or none"));
pub(crate) static DROPPED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_watcher_dropped_total", "Reports that the bus refused for good"));
pub(crate) static WATCH_ERRORS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_watcher_watch_errors_total", "Times that the watch broke off"));
pub(crate) static PANICS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_watcher_panics_total", "Workflows that could not be looked at, which is a bug"));
