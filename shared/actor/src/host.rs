//! What every service is given.

use std::sync::Arc;

use argosy_bus::{Ack, Bus, Class, Error, Publish, shard_of, subject};
use argosy_telemetry::Health;

use crate::{Backoff, Clock};

/// Header of a log's messages: the namespace of the object whose log it is.
pub const HEADER_NAMESPACE: &str = "argosy-namespace";
/// Header of a log's messages: the name of the object whose log it is, of whichever kind. It is called as it was when there
/// were only workflows.
pub const HEADER_NAME: &str = "argosy-workflow";

/// Header of a message that counts on the bus only on which it was made: where that bus began. One that was under way when the
/// bus was lost may arrive on the next.
pub const HEADER_ORIGIN: &str = "argosy-origin";

/// The surroundings of a service: the bus, the time, and who it is.
#[derive(Clone)]
pub struct Host {
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// The time.
    pub clock: Clock,
    /// Names this incarnation of the process; leases are held under it.
    pub holder: String,
    /// Number of shards of the installation; fixed for its life.
    pub shards: u16,
    /// What services say of themselves.
    pub health: Health,
}

impl Host {
    /// A host on `bus` for the incarnation `holder`, by the clock of the machine.
    pub fn new(bus: Arc<dyn Bus>, holder: impl Into<String>, shards: u16) -> Self {
        Self { bus, clock: Clock::system(), holder: holder.into(), shards, health: Health::default() }
    }

    /// The shard of what has this uid.
    pub fn shard_of(&self, uid: &str) -> u16 {
        shard_of(uid, self.shards)
    }

    /// The subject of the log of what has this uid.
    pub fn observed_subject(&self, uid: &str) -> String {
        subject::Observed { shard: self.shard_of(uid), uid: uid.to_owned() }.to_string()
    }

    /// Appends, and tries again for as long as the bus does not answer. Ids make repeats harmless.
    ///
    /// Errors: those that a repeat does not mend.
    pub async fn publish(&self, messages: Vec<Publish>) -> Result<Vec<Ack>, Error> {
        let mut backoff = Backoff::short();
        loop {
            match self.bus.publish_all(messages.clone()).await {
                Err(error) if error.class() == Class::Transient => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "publish not answered, trying again");
                    backoff.wait().await;
                }
                result => return result,
            }
        }
    }
}
