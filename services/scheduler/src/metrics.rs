//! What the scheduler counts.

use std::sync::LazyLock;

use argosy_host::Meters;
use argosy_telemetry::metrics::{counter, counters, gauge, seconds};
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

static EVENTS: LazyLock<IntCounter> = LazyLock::new(|| counter("argosy_scheduler_events_total", "Events stepped"));
static REPLAYED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_scheduler_replayed_total", "Events stepped again to rebuild a workflow"));
static REBUILDS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_scheduler_rebuilds_total", "Workflows built from their object and log"));
static BUS_LOSS: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "argosy_scheduler_bus_loss_recoveries_total",
        "Workflows that went on from their object because the bus was lost",
    )
});
static ADOPTED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_scheduler_adopted_total", "Unfinished workflows that were taken up though no message led to them")
});
pub(crate) static WATCH_ERRORS: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_scheduler_watch_errors_total", "Times that the watch of unfinished workflows broke off")
});
static FOREIGN: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_scheduler_foreign_total", "Events that named a workflow by its uid but not its namespace and name")
});
static STRAYS: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_scheduler_strays_total", "Messages about locks of a bus that was lost, which came after that")
});
static PLACES_DROPPED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_scheduler_places_dropped_total", "Messages of a log that names more workflows than are looked for")
});
static REMINDER_FOUND: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters(
        "argosy_scheduler_reminder_found_total",
        "Things that a check of what a workflow waits for found: bugs",
        "what",
    )
});
static QUARANTINED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_scheduler_quarantined_total", "Workflows put out of service because they cannot be run")
});
pub(crate) static BUGS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_scheduler_bugs_total", "Things that the engine found though they cannot be"));
pub(crate) static POISON: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_scheduler_poison_total", "Messages that cannot be read, or that the bus refuses for good")
});
pub(crate) static LOCKS_GRANTED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_scheduler_locks_granted_total", "Times that a holder was told that it has its locks")
});
pub(crate) static LOCKS_WAITED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_scheduler_locks_waited_total", "Times that a holder was told that it waits for a lock")
});
pub(crate) static LOCKS_REFUSED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_scheduler_locks_refused_total", "Times that a holder was told that it gets no locks")
});
pub(crate) static LOCK_HOLDERS_GONE: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "argosy_scheduler_lock_holders_gone_total",
        "Workflows that had locks and had ended, or were gone, without a word",
    )
});
pub(crate) static LOCKS_BUS_LOSS: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "argosy_scheduler_locks_bus_loss_total",
        "Times that holders were read from workflows because the bus was lost",
    )
});
static FENCED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_scheduler_fenced_total", "Writes refused because another owner wrote"));
static PUBLISH_SECONDS: LazyLock<Histogram> =
    LazyLock::new(|| seconds("argosy_scheduler_publish_seconds", "From a step to the bus having what it asks for"));
pub(crate) static OPERATION_SECONDS: LazyLock<Histogram> =
    LazyLock::new(|| seconds("argo_workflows_operation_duration_seconds", "Duration of one step of a workflow"));
static TIMERS: LazyLock<IntGauge> = LazyLock::new(|| gauge("argosy_scheduler_timers", "Armed timers"));

/// What the host counts of workflows.
pub(crate) fn meters() -> Meters {
    Meters {
        events: &EVENTS,
        replayed: &REPLAYED,
        rebuilds: &REBUILDS,
        bus_loss: &BUS_LOSS,
        adopted: &ADOPTED,
        foreign: &FOREIGN,
        strays: &STRAYS,
        places_dropped: &PLACES_DROPPED,
        reminder_found: &REMINDER_FOUND,
        quarantined: &QUARANTINED,
        poison: &POISON,
        fenced: &FENCED,
        publish_seconds: &PUBLISH_SECONDS,
        timers: &TIMERS,
    }
}
