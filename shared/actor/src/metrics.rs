//! What is counted about actors and their feeds.

use std::sync::LazyLock;

use argosy_telemetry::metrics::{counter, counters, gauges};
use prometheus::{IntCounter, IntCounterVec, IntGaugeVec};

pub(crate) static FAILURES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters("argosy_actor_failures_total", "Times that an actor failed and was built again", "actor")
});
pub(crate) static PANICS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters("argosy_actor_panics_total", "Failures of actors that were panics: bugs", "actor"));
pub(crate) static QUARANTINED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters("argosy_actor_quarantined_total", "Actors put out of service because they failed again and again", "actor")
});
pub(crate) static BUSY: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters("argosy_actor_busy_total", "Messages that found the mailbox of their actor full", "actor")
});
pub(crate) static POISON: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters("argosy_poison_total", "Messages that can never be dealt with and were put aside", "actor")
});
pub(crate) static HICCUPS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_feed_hiccups_total", "Times that a consumer did not answer and was asked again"));
pub(crate) static KEPT: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_quarantine_kept_total", "Messages and workflows that were put into the quarantine of the bus")
});
pub(crate) static NOT_KEPT: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_quarantine_not_kept_total", "Messages and workflows that the quarantine of the bus did not take")
});
pub(crate) static LAG: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauges("argosy_shard_lag", "Messages that the consumer of an owned shard was not handed yet", "consumer")
});
pub(crate) static UNACKNOWLEDGED: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauges(
        "argosy_shard_unacknowledged",
        "Messages that the consumer of an owned shard was handed and that are not dealt with",
        "consumer",
    )
});
