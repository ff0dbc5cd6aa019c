//! What the scheduler counts.

use std::sync::LazyLock;

use argosy_telemetry::metrics::{counter, counters, gauge, seconds};
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

pub(crate) static EVENTS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_scheduler_events_total", "Events stepped"));
pub(crate) static REPLAYED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_scheduler_replayed_total", "Events stepped again to rebuild a workflow"));
pub(crate) static REBUILDS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_scheduler_rebuilds_total", "Workflows built from their object and log"));
pub(crate) static BUS_LOSS: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "argosy_scheduler_bus_loss_recoveries_total",
        "Workflows that went on from their object because the bus was lost",
    )
});
pub(crate) static ADOPTED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_scheduler_adopted_total", "Unfinished workflows that were taken up though no message led to them")
});
pub(crate) static WATCH_ERRORS: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_scheduler_watch_errors_total", "Times that the watch of unfinished workflows broke off")
});
pub(crate) static FOREIGN: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_scheduler_foreign_total", "Events that named a workflow by its uid but not its namespace and name")
});
pub(crate) static PLACES_DROPPED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_scheduler_places_dropped_total", "Messages of a log that names more workflows than are looked for")
});
pub(crate) static REMINDER_FOUND: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "argosy_scheduler_reminder_found_total",
        "Things that a check of what a workflow waits for found: bugs",
        "what",
    )
});
pub(crate) static QUARANTINED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_scheduler_quarantined_total", "Workflows put out of service because they cannot be run")
});
pub(crate) static BUGS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_scheduler_bugs_total", "Things that the engine found though they cannot be"));
pub(crate) static POISON: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_scheduler_poison_total", "Messages that cannot be read, or that the bus refuses for good")
});
pub(crate) static FENCED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_scheduler_fenced_total", "Writes refused because another owner wrote"));
pub(crate) static PUBLISH_SECONDS: LazyLock<Histogram> =
    LazyLock::new(|| seconds("argosy_scheduler_publish_seconds", "From a step to the bus having what it asks for"));
pub(crate) static TIMERS: LazyLock<IntGauge> = LazyLock::new(|| gauge("argosy_scheduler_timers", "Armed timers"));
