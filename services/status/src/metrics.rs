//! What the status service counts.

use std::sync::LazyLock;

use argosy_telemetry::metrics::{counter, seconds};
use prometheus::{Histogram, IntCounter};

pub(crate) static FOLDED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_status_folded_total", "Events folded into a status"));
pub(crate) static WRITES: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_status_writes_total", "Writes of Workflow objects"));
pub(crate) static CONFLICTS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_status_conflicts_total", "Writes repeated because the object had changed"));
pub(crate) static REJECTED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_status_rejected_total", "Writes that the API refused as they were"));
pub(crate) static SHRUNK: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "argosy_status_shrunk_total",
        "Writes repeated with smaller nodes because the API found the object too large",
    )
});
pub(crate) static OFFLOADED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_status_offloaded_total", "Times that nodes were kept outside of their object"));
pub(crate) static ORPHANED_NODES: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "argosy_status_orphaned_nodes_total",
        "Nodes outside of their object that were removed as it does not name them",
    )
});
pub(crate) static GAPS: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_status_gaps_total", "Events put back because one before them had not come"));
pub(crate) static CAUGHT_UP: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_status_caught_up_total", "Times that another owner had written what seemed to be missing")
});
pub(crate) static GAPS_PASSED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter("argosy_status_gaps_passed_total", "Events folded though one before them never came: something was lost")
});
pub(crate) static QUARANTINED: LazyLock<IntCounter> = LazyLock::new(|| {
    counter(
        "argosy_status_quarantined_total",
        "Workflows put out of service because their status cannot be read or written",
    )
});
pub(crate) static WRITE_SECONDS: LazyLock<Histogram> =
    LazyLock::new(|| seconds("argosy_status_write_seconds", "Duration of a write, waiting for the budget included"));
pub(crate) static EXPIRED: LazyLock<IntCounter> =
    LazyLock::new(|| counter("argosy_status_expired_total", "Times that old events of a shard were dropped"));
