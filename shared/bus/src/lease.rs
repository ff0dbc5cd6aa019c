//! Leases: who owns a shard right now.

use std::time::Duration;

use tokio::time::Instant;

/// Proof that `holder` held `name` at the time of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is leased, for example `scheduler.3`: a role and a shard.
    pub name: String,
    /// Who holds it: one incarnation of a process.
    pub holder: String,
    /// Grows whenever the lease is taken anew. Larger wins.
    pub epoch: u64,
    /// For how long each acquire or renew holds.
    pub ttl: Duration,
    /// The holder must regard the lease as lost from here on, by its own clock: counted from before the request was sent.
    pub expires: Instant,
    /// State of the implementation (revision of the NATS key).
    pub(crate) revision: u64,
}

impl Lease {
    /// Whether the lease has surely not lapsed, by the clock of this process.
    pub fn is_valid(&self) -> bool {
        Instant::now() < self.expires
    }
}
