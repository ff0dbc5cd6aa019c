//! One workflow's projection: what its events make of its object, and when that is written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{
    Actor, Backoff, Factory, Failure, HEADER_PART, HEADER_POSITION, HEADER_PREVIOUS, Next, WorkflowKey, api, sight,
};
use argosy_api::digest::Position;
use argosy_api::message::StatusChanged;
use argosy_bus::Delivery;
use async_trait::async_trait;
use kube::api::{DynamicObject, Patch, PatchParams};
use tokio::time::Instant;

use crate::projection::{Applied, Place, StatusProjection};
use crate::service::Context;
use crate::{metrics, quarantine};

/// Deliveries after which an event is folded although one before it never came.
const DELIVERIES_MAX: u32 = 200;
/// An event whose predecessor has not come is put back for so long.
const GAP_PAUSE: Duration = Duration::from_millis(500);
/// After a write that the API refuses as it is.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);
/// Refusals in a row after which the workflow is put out of service.
const REFUSALS_MAX: u32 = 3;
/// Events that wait for one workflow. A quarter of what the shard's consumer hands out.
const MAILBOX: usize = 4096;

/// An event and what it says.
pub(crate) struct Inbound {
    pub delivery: Delivery,
    pub change: StatusChanged,
}

impl argosy_actor::Inbound for Inbound {
    fn sequence(&self) -> Option<u64> {
        Some(self.delivery.message.sequence)
    }

    fn into_delivery(self) -> Option<Delivery> {
        Some(self.delivery)
    }
}

/// Builds projections.
pub(crate) struct Projections(pub Arc<Context>);

#[async_trait]
impl Factory for Projections {
    type Key = WorkflowKey;
    type Actor = ProjectionActor;

    async fn build(&self, key: &WorkflowKey) -> Result<Option<ProjectionActor>, Failure> {
        let Some(object) = api::get(&self.0.client, key).await? else {
            return Ok(None);
        };
        if sight::is_quarantined(&object) {
            return Ok(None);
        }
        let projection = match StatusProjection::of_object(&api::to_json(&object)?) {
            Ok(projection) => projection,
            Err(error) => {
                let why = format!("{error}{}", cause_of(&error));
                quarantine::end(&self.0, key, &why).await?;
                return Ok(None);
            }
        };
        Ok(Some(ProjectionActor {
            context: Arc::clone(&self.0),
            key: key.clone(),
            projection,
            object: metadata_of(object),
            pending: BTreeMap::new(),
            last: 0,
            written_at: None,
            write_at: None,
            not_before: None,
            retry: Backoff::short(),
            refusals: 0,
            idle_at: Instant::now() + self.0.idle(),
            is_gone: false,
        }))
    }

    /// The workflow is gone, or out of service: nobody waits for what its events say.
    async fn refuse(&self, _key: &WorkflowKey, batch: Vec<Inbound>) -> Result<(), Failure> {
        for inbound in batch {
            inbound.delivery.ack().await?;
        }
        Ok(())
    }

    async fn quarantine(&self, key: &WorkflowKey, failures: u32, reason: &str) -> Result<bool, Failure> {
        let why = format!("its status could not be written {failures} times: {reason}");
        quarantine::end(&self.0, key, &why).await
    }

    fn mailbox(&self) -> usize {
        MAILBOX
    }
}

/// The object without what may be large.
fn metadata_of(mut object: DynamicObject) -> DynamicObject {
    object.data = serde_json::Value::Null;
    object.metadata.managed_fields = None;
    object
}

fn cause_of(error: &dyn std::error::Error) -> String {
    error.source().map(|cause| format!(": {cause}")).unwrap_or_default()
}

/// One workflow.
pub(crate) struct ProjectionActor {
    context: Arc<Context>,
    key: WorkflowKey,
    projection: StatusProjection,
    /// Metadata of the object as it was read last.
    object: DynamicObject,
    /// Folded and not yet written, by sequence in EVENTS.
    pending: BTreeMap<u64, Delivery>,
    /// Newest sequence in EVENTS that was folded.
    last: u64,
    written_at: Option<Instant>,
    write_at: Option<Instant>,
    /// A write failed: not again before this.
    not_before: Option<Instant>,
    /// Waits between tries when the API does not answer.
    retry: Backoff,
    /// Times in a row that the API refused the status as it is.
    refusals: u32,
    idle_at: Instant,
    is_gone: bool,
}

#[async_trait]
impl Actor for ProjectionActor {
    type Message = Inbound;

    async fn handle(&mut self, batch: Vec<Inbound>) -> Result<(), Failure> {
        self.idle_at = Instant::now() + self.context.idle();
        for inbound in batch {
            self.take(inbound).await?;
        }
        if !self.projection.is_ahead() {
            return self.ack_persisted().await;
        }
        let now = Instant::now();
        let interval = self.context.interval(self.projection.is_compressed());
        let due = match self.written_at {
            Some(at) if !self.projection.is_completed() => at + interval,
            Some(_) | None => now,
        };
        let due = self.not_before.map_or(due, |not_before| due.max(not_before));
        if due <= now {
            self.write().await?;
        } else {
            self.write_at = Some(due);
        }
        Ok(())
    }

    fn wake_at(&self) -> Option<Instant> {
        Some(self.write_at.unwrap_or(self.idle_at))
    }

    async fn wake(&mut self) -> Result<Next, Failure> {
        if self.write_at.take().is_some() && self.projection.is_ahead() {
            self.write().await?;
        }
        if self.is_gone || (Instant::now() >= self.idle_at && self.pending.is_empty()) {
            return Ok(Next::Stop);
        }
        if Instant::now() >= self.idle_at {
            self.idle_at = Instant::now() + self.context.idle();
        }
        Ok(Next::Continue)
    }

    async fn leave(&mut self) -> Result<(), Failure> {
        while self.projection.is_ahead() && !self.is_gone {
            if let Some(at) = self.not_before {
                tokio::time::sleep_until(at).await;
            }
            self.write().await?;
        }
        Ok(())
    }
}

impl ProjectionActor {
    async fn take(&mut self, Inbound { delivery, change }: Inbound) -> Result<(), Failure> {
        let sequence = delivery.message.sequence;
        if let Some(pending) = self.pending.get_mut(&sequence) {
            // Handed out again while it waits for its write.
            *pending = delivery;
            return Ok(());
        }
        if self.is_gone {
            return Ok(delivery.ack().await?);
        }
        if sight::is_overruled(&delivery.message, &self.object) {
            return Ok(delivery.ack().await?);
        }
        let header = |name: &str| delivery.message.headers.get(name).map(String::as_str);
        let position = |name: &str| header(name).and_then(Position::parse);
        let place = Place {
            position: position(HEADER_POSITION).unwrap_or(Position::step(change.observed_sequence)),
            previous: position(HEADER_PREVIOUS).unwrap_or_default(),
            part: header(HEADER_PART).and_then(|text| text.parse().ok()).unwrap_or(0),
        };
        let regardless = delivery.message.deliveries > DELIVERIES_MAX;
        match self.projection.apply(change, place, regardless) {
            Applied::Known => delivery.ack().await?,
            Applied::Gap => {
                metrics::GAPS.inc();
                delivery.nak(GAP_PAUSE).await?;
            }
            Applied::Folded => {
                if regardless {
                    metrics::GAPS_PASSED.inc();
                    tracing::error!(
                        workflow.uid = self.key.uid,
                        workflow.name = self.key.name,
                        event.seq = sequence,
                        "an event before this one never came, going on without it"
                    );
                }
                metrics::FOLDED.inc();
                self.last = self.last.max(sequence);
                self.pending.insert(sequence, delivery);
            }
        }
        Ok(())
    }

    /// Brings the object up to date, and only then acknowledges the events.
    async fn write(&mut self) -> Result<(), Failure> {
        let _timer = metrics::WRITE_SECONDS.start_timer();
        (self.write_at, self.not_before) = (None, None);
        let workflows = api::workflows(&self.context.client, &self.key.namespace);
        let parameters = PatchParams { field_manager: Some(crate::MANAGER.to_owned()), ..PatchParams::default() };
        while self.projection.is_ahead() {
            self.context.budget.take().await;
            let patch = self.projection.patch()?;
            match workflows.patch_metadata(&self.key.name, &parameters, &Patch::Merge(&patch)).await {
                Ok(meta) => {
                    metrics::WRITES.inc();
                    self.projection.written(meta.metadata.resource_version.unwrap_or_default());
                    self.written_at = Some(Instant::now());
                    self.refusals = 0;
                    self.retry.reset();
                }
                Err(error) => match api::answer(&error) {
                    api::Answer::Conflict | api::Answer::NotFound | api::Answer::AlreadyExists => {
                        metrics::CONFLICTS.inc();
                        if !self.rebase().await? {
                            break;
                        }
                    }
                    api::Answer::Transient | api::Answer::Busy => {
                        self.warn(&error, "status not written, trying again");
                        // Outside of this call, so that what comes meanwhile is taken.
                        let pause = self.retry.delay();
                        self.put_off(pause);
                        return Ok(());
                    }
                    api::Answer::Rejected => {
                        metrics::REJECTED.inc();
                        self.refusals += 1;
                        self.warn(&error, "status refused by the API");
                        if self.refusals >= REFUSALS_MAX {
                            let why = format!("the API refuses its status: {}", api::message(&error));
                            self.is_gone = quarantine::end(&self.context, &self.key, &why).await?;
                            self.idle_at = Instant::now();
                            break;
                        }
                        self.put_off(REFUSED_PAUSE);
                        self.rebase().await?;
                        return Ok(());
                    }
                },
            }
        }
        self.ack_persisted().await
    }

    /// Writes later, whatever comes meanwhile.
    fn put_off(&mut self, pause: Duration) {
        let at = Instant::now() + pause;
        (self.write_at, self.not_before) = (Some(at), Some(at));
    }

    fn warn(&self, error: &kube::Error, what: &str) {
        tracing::warn!(
            workflow.uid = self.key.uid,
            workflow.name = self.key.name,
            error = error as &dyn std::error::Error,
            "{what}"
        );
    }

    /// Takes the object as it is now. False when the workflow is gone.
    async fn rebase(&mut self) -> Result<bool, Failure> {
        let Some(object) = api::get(&self.context.client, &self.key).await? else {
            self.is_gone = true;
            self.idle_at = Instant::now();
            return Ok(false);
        };
        let value = api::to_json(&object)?;
        if sight::is_foreign(&object) {
            // The write that follows will carry our digest and hide this edit from a watcher that has not seen it yet.
            self.announce(object.clone()).await?;
        }
        self.projection.rebase(&value)?;
        self.object = metadata_of(object);
        Ok(true)
    }

    /// Reports a foreign edit of the status, under the id that the watcher gives it.
    async fn announce(&self, object: DynamicObject) -> Result<(), Failure> {
        let host = &self.context.host;
        host.publish(vec![sight::workflow_changed(host, &self.key, object, true)]).await?;
        Ok(())
    }

    /// Acknowledges what the object has. A step that lacks parts keeps its deliveries.
    async fn ack_persisted(&mut self) -> Result<(), Failure> {
        if self.projection.is_in_parts() && !self.is_gone {
            return Ok(());
        }
        while let Some((_, delivery)) = self.pending.pop_first() {
            delivery.ack().await?;
        }
        Ok(())
    }
}
