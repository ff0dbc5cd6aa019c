//! Builds the actors of entities, says what becomes of messages for entities that are gone, and puts those out of service that
//! fail again and again.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Factory, Failure};
use argosy_bus::{Delivery, Stream};
use async_trait::async_trait;

use crate::live::Live;
use crate::log::{Log, read_log};
use crate::shard::Shard;
use crate::store::KeyOf;
use crate::{Store, quarantine, recover};

/// Events that wait for one entity; past that they are read from the log. Less than the shard's consumer hands out.
const MAILBOX: usize = 1024;
/// A log that names nothing that is stored is kept for so long: its owner may still be on its way.
const UNCLAIMED_MAX: Duration = Duration::from_secs(3600);

/// Builds entities, by uid.
pub(crate) struct Actors<S: Store>(Arc<Shard<S>>);

impl<S: Store> Actors<S> {
    pub fn new(shard: Arc<Shard<S>>) -> Self {
        Self(shard)
    }

    /// Where the entity may be: as its store has it, as the log has it from those who report what is stored, and as its other
    /// messages say, of which anybody may have caused some. Whether it is there the store tells.
    async fn places(&self, uid: &str) -> Result<Vec<KeyOf<S>>, Failure> {
        let mut places: Vec<KeyOf<S>> = self.0.store.find(uid).into_iter().collect();
        let log = read_log(&self.0.process, &*self.0.store, uid).await?;
        places.extend(log.own);
        places.extend(log.others);
        let mut seen = BTreeSet::new();
        places.retain(|place| seen.insert(place.clone()));
        Ok(places)
    }
}

#[async_trait]
impl<S: Store> Factory for Actors<S> {
    type Key = String;
    type Actor = Live<S>;

    async fn build(&self, uid: &String) -> Result<Option<Live<S>>, Failure> {
        let _permit = self.0.process.builds.acquire().await;
        for key in self.places(uid).await? {
            if let Some(stored) = self.0.store.fetch(&key).await? {
                return recover::recover(&self.0, &key, stored).await;
            }
        }
        Ok(None)
    }

    /// The entity is gone, or out of service. Its log goes only when the log itself names something stored that is gone: a
    /// message for an entity that is not where the message says proves nothing.
    async fn refuse(&self, uid: &String, batch: Vec<Delivery>) -> Result<(), Failure> {
        let shard = &self.0;
        let host = &shard.process.host;
        let subject = host.observed_subject(uid);
        let newest = host.bus.last_sequence(Stream::Observed, &subject).await?;
        let is_over = match read_log(&shard.process, &*shard.store, uid).await? {
            Log { own: Some(key), .. } => {
                shard.timers.forget(&key);
                shard.store.fetch(&key).await?.is_none()
            }
            Log { own: None, others } if others.is_empty() => false,
            Log { own: None, .. } => host.bus.older_than(Stream::Observed, &subject, UNCLAIMED_MAX).await? >= newest,
        };
        if is_over {
            host.bus.purge(Stream::Observed, &subject, newest).await?;
        }
        for delivery in batch {
            delivery.ack().await?;
        }
        Ok(())
    }

    async fn quarantine(&self, uid: &String, failures: u32, reason: &str) -> Result<bool, Failure> {
        for key in self.places(uid).await? {
            if let Some(stored) = self.0.store.fetch(&key).await? {
                let role = self.0.process.settings.role;
                let reason = format!("the {role} failed {failures} times at this {}: {reason}", S::KIND);
                quarantine::give_up(&self.0, &key, &stored, &reason).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn passes(&self, cause: &(dyn Error + 'static)) -> Option<bool> {
        self.0.store.passes(cause)
    }

    fn mailbox(&self) -> usize {
        MAILBOX
    }
}
