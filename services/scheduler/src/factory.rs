//! Builds the actors of workflows, says what becomes of messages for workflows that are gone, and puts those out of service
//! that fail again and again.

use std::collections::BTreeSet;
use std::sync::Arc;

use argosy_actor::{Factory, Failure};
use argosy_api::message::{Observed, ObservedMessage};
use argosy_bus::{Delivery, Stream};
use argosy_objects::api;
use argosy_workflows::{WorkflowKey, read};
use async_trait::async_trait;

use crate::actor::WorkflowActor;
use crate::context::Shard;
use crate::{metrics, quarantine, rebuild};

/// Events that wait for one workflow; past that they are read from the log. Less than the shard's consumer hands out.
const MAILBOX: usize = 1024;
/// Messages of a log read at once.
const PAGE: usize = 512;
/// Workflows that the messages of one log may name; it is of one, and each of the others costs a look.
const PLACES_MAX: usize = 32;
/// A log that names no object is kept for so long: its workflow may still be on its way.
const UNCLAIMED_MAX: std::time::Duration = std::time::Duration::from_secs(3600);

/// Builds workflows, by uid.
pub(crate) struct Actors(Arc<Shard>);

impl Actors {
    pub fn new(shard: Arc<Shard>) -> Self {
        Self(shard)
    }

    /// Where the workflow may be: as a watch has it, as the log has it from those who report objects, and as its other
    /// messages say, of which a pod elsewhere may have caused some. Whether it is there the API tells.
    async fn places(&self, uid: &str) -> Result<Vec<WorkflowKey>, Failure> {
        let mut places: Vec<WorkflowKey> = self.0.context.unfinished.find(uid).into_iter().collect();
        let log = read_log(&self.0, uid).await?;
        places.extend(log.object);
        places.extend(log.others);
        let mut seen = BTreeSet::new();
        places.retain(|place| seen.insert(place.clone()));
        Ok(places)
    }
}

/// Whom the messages of a log speak of.
#[derive(Default)]
struct Log {
    /// As the reports of the object say.
    object: Option<WorkflowKey>,
    /// As its other messages say, which may be anybody's: each once, in the order of the log.
    others: Vec<WorkflowKey>,
}

async fn read_log(shard: &Shard, uid: &str) -> Result<Log, argosy_bus::Error> {
    let host = &shard.context.host;
    let (subject, mut after, mut log, mut dropped) = (host.observed_subject(uid), 0, Log::default(), 0_u64);
    loop {
        let page = host.bus.read(Stream::Observed, &subject, after, PAGE).await?;
        let Some(newest) = page.last() else { break };
        after = newest.sequence;
        for message in &page {
            let Some(key) = WorkflowKey::of_observed(message) else { continue };
            let is_object = serde_json::from_slice::<ObservedMessage>(&message.payload).is_ok_and(|observed| {
                matches!(
                    observed.body,
                    Observed::WorkflowChanged { .. } | Observed::WorkflowReferenced { .. } | Observed::WorkflowDeleted
                )
            });
            if is_object {
                log.object = Some(key);
            } else if !log.others.contains(&key) {
                if log.others.len() < PLACES_MAX {
                    log.others.push(key);
                } else {
                    dropped += 1;
                }
            }
        }
    }
    if dropped > 0 {
        metrics::PLACES_DROPPED.inc_by(dropped);
        tracing::warn!(workflow.uid = uid, dropped, "messages of one log name too many workflows");
    }
    Ok(log)
}

#[async_trait]
impl Factory for Actors {
    type Key = String;
    type Actor = WorkflowActor;

    async fn build(&self, uid: &String) -> Result<Option<WorkflowActor>, Failure> {
        let _permit = self.0.context.builds.acquire().await;
        for key in self.places(uid).await? {
            if let Some(object) = read::get(&self.0.context.client, &key).await? {
                return rebuild::rebuild(&self.0, &key, object).await;
            }
        }
        Ok(None)
    }

    /// The workflow is gone, or out of service. Its log goes only when the log itself names an object that is gone: a message
    /// for a workflow that is not where the message says proves nothing.
    async fn refuse(&self, uid: &String, batch: Vec<Delivery>) -> Result<(), Failure> {
        let (shard, client) = (&self.0, &self.0.context.client);
        let host = &shard.context.host;
        let subject = host.observed_subject(uid);
        let newest = host.bus.last_sequence(Stream::Observed, &subject).await?;
        let is_over = match read_log(shard, uid).await? {
            Log { object: Some(key), .. } => {
                shard.timers.forget(&key);
                read::get(client, &key).await?.is_none()
            }
            Log { object: None, others } if others.is_empty() => false,
            Log { object: None, .. } => host.bus.older_than(Stream::Observed, &subject, UNCLAIMED_MAX).await? >= newest,
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
            if let Some(object) = read::get(&self.0.context.client, &key).await? {
                let reason = format!("the scheduler failed {failures} times at this workflow: {reason}");
                quarantine::give_up(&self.0, &key, &object, &reason).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn passes(&self, cause: &(dyn std::error::Error + 'static)) -> Option<bool> {
        api::passes(cause)
    }

    fn mailbox(&self) -> usize {
        MAILBOX
    }
}
