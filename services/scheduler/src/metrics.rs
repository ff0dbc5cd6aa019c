//! What the scheduler counts.

use std::sync::LazyLock;

use argosy_telemetry::metrics::{counter, gauge, seconds};
use prometheus::{Histogram, IntCounter, IntGauge};

pub(crate) static EVENTS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_scheduler_events_total", "Events stepped"));
pub(crate) static REPLAYED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_scheduler_replayed_total", "Events stepped again to rebuild a workflow"));
pub(crate) static REBUILDS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_scheduler_rebuilds_total", "Workflows built from their object and log"));
pub(crate) static CUT_OFF: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_scheduler_cut_off_total", "Workflows that went on from their object because the bus was lost")
});
pub(crate) static LATE: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_scheduler_late_total", "Events that arrived behind newer ones and were put at the end")
});
pub(crate) static POISON: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_scheduler_poison_total", "Messages that cannot be read, or that the bus refuses for good")
});
pub(crate) static FENCED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_scheduler_fenced_total", "Writes refused because another owner wrote"));
pub(crate) static PUBLISH_SECONDS: LazyLock<Histogram> =
    LazyLock::new(|| seconds("argosy_scheduler_publish_seconds", "From a step to the bus having what it asks for"));
pub(crate) static TIMERS: LazyLock<IntGauge> = LazyLock::new(|| gauge("argosy_scheduler_timers", "Armed timers"));
