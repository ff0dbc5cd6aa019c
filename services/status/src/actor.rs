//! One workflow's fold, and when it is written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Actor, Backoff, Factory, Failure, HEADER_PART, HEADER_PREVIOUS, Next, WorkflowKey, api, sight};
use argosy_api::message::StatusChanged;
use argosy_bus::Delivery;
use async_trait::async_trait;
use kube::api::{DynamicObject, Patch, PatchParams};
use tokio::time::Instant;

use crate::fold::{Applied, Fold};
use crate::metrics;
use crate::service::Surroundings;

/// Field manager of the writes.
const MANAGER: &str = "argosy-status";
/// Deliveries after which an event is folded although one before it never came.
const DELIVERIES_MAX: u32 = 200;
/// An event whose predecessor has not come is put back for so long.
const GAP_PAUSE: Duration = Duration::from_millis(500);
/// After a write that the API refuses as it is.
const REJECTED_PAUSE: Duration = Duration::from_secs(30);

/// An event and what it says.
pub(crate) struct Inbound {
    pub delivery: Delivery,
    pub change: StatusChanged,
}

/// Builds folds.
pub(crate) struct Folds(pub Arc<Surroundings>);

#[async_trait]
impl Factory for Folds {
    type Key = WorkflowKey;
    type Actor = FoldActor;

    async fn build(&self, key: &WorkflowKey) -> Result<Option<FoldActor>, Failure> {
        let Some(object) = api::get(&self.0.client, key).await? else {
            return Ok(None);
        };
        let fold = Fold::of_object(&api::to_json(&object)?)?;
        Ok(Some(FoldActor {
            around: Arc::clone(&self.0),
            key: key.clone(),
            fold,
            pending: BTreeMap::new(),
            last: 0,
            written_at: None,
            write_at: None,
            idle_at: Instant::now() + self.0.idle(),
            is_gone: false,
        }))
    }

    /// The workflow is gone: nobody will ever read its status.
    async fn refuse(&self, _key: &WorkflowKey, batch: Vec<Inbound>) -> Result<(), Failure> {
        for inbound in batch {
            inbound.delivery.ack().await?;
        }
        Ok(())
    }
}

/// One workflow.
pub(crate) struct FoldActor {
    around: Arc<Surroundings>,
    key: WorkflowKey,
    fold: Fold,
    /// Folded and not yet written, by sequence in EVENTS.
    pending: BTreeMap<u64, Delivery>,
    /// Newest sequence in EVENTS that was folded.
    last: u64,
    written_at: Option<Instant>,
    write_at: Option<Instant>,
    idle_at: Instant,
    is_gone: bool,
}

#[async_trait]
impl Actor for FoldActor {
    type Message = Inbound;

    async fn handle(&mut self, batch: Vec<Inbound>) -> Result<(), Failure> {
        self.idle_at = Instant::now() + self.around.idle();
        for inbound in batch {
            self.take(inbound).await?;
        }
        if !self.fold.is_ahead() {
            return self.settle().await;
        }
        let now = Instant::now();
        let interval = self.around.interval(self.fold.is_compressed());
        let due = match self.written_at {
            Some(at) if !self.fold.is_completed() => at + interval,
            _ => now,
        };
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
        if self.write_at.take().is_some() && self.fold.is_ahead() {
            self.write().await?;
        }
        if self.is_gone || (Instant::now() >= self.idle_at && self.pending.is_empty()) {
            return Ok(Next::Stop);
        }
        if Instant::now() >= self.idle_at {
            self.idle_at = Instant::now() + self.around.idle();
        }
        Ok(Next::Continue)
    }

    async fn leave(&mut self) -> Result<(), Failure> {
        if self.fold.is_ahead() && !self.is_gone { self.write().await } else { Ok(()) }
    }
}

impl FoldActor {
    async fn take(&mut self, Inbound { delivery, change }: Inbound) -> Result<(), Failure> {
        let sequence = delivery.message.sequence;
        if let Some(pending) = self.pending.get_mut(&sequence) {
            // Handed out again while it waits for its write: only the newest delivery can be acknowledged.
            *pending = delivery;
            return Ok(());
        }
        if self.is_gone {
            return Ok(delivery.ack().await?);
        }
        let number =
            |name: &str| delivery.message.headers.get(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let (previous, part) = (number(HEADER_PREVIOUS), usize::try_from(number(HEADER_PART)).unwrap_or(0));
        let regardless = delivery.message.deliveries > DELIVERIES_MAX;
        match self.fold.apply(change, previous, part, regardless) {
            Applied::Known => delivery.ack().await?,
            Applied::Gap => {
                metrics::GAPS.inc();
                delivery.nak(GAP_PAUSE).await?;
            }
            Applied::Folded => {
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
        self.write_at = None;
        let workflows = api::workflows(&self.around.client, &self.key.namespace);
        let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let mut backoff = Backoff::short();
        while self.fold.is_ahead() {
            self.around.budget.turn().await;
            let patch = self.fold.patch()?;
            match workflows.patch_metadata(&self.key.name, &parameters, &Patch::Merge(&patch)).await {
                Ok(meta) => {
                    metrics::WRITES.inc();
                    self.fold.written(meta.metadata.resource_version.unwrap_or_default());
                    self.written_at = Some(Instant::now());
                }
                Err(error) => match api::answer(&error) {
                    api::Answer::Conflict | api::Answer::NotFound | api::Answer::AlreadyExists => {
                        metrics::CONFLICTS.inc();
                        if !self.rebase().await? {
                            break;
                        }
                    }
                    api::Answer::Transient => {
                        self.warn(&error, "status not written, trying again");
                        backoff.wait().await;
                    }
                    api::Answer::Rejected => {
                        metrics::REJECTED.inc();
                        self.warn(&error, "status refused by the API");
                        tokio::time::sleep(REJECTED_PAUSE).await;
                        if !self.rebase().await? {
                            break;
                        }
                    }
                },
            }
        }
        self.settle().await
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
        let Some(object) = api::get(&self.around.client, &self.key).await? else {
            self.is_gone = true;
            self.idle_at = Instant::now();
            return Ok(false);
        };
        let value = api::to_json(&object)?;
        if Fold::is_foreign(&value) {
            // The write that follows will carry our digest and hide this edit from a watcher that has not seen it yet.
            self.announce(object).await?;
        }
        self.fold.rebase(&value)?;
        Ok(true)
    }

    /// Reports a foreign edit of the status, under the id that the watcher gives it.
    async fn announce(&self, object: DynamicObject) -> Result<(), Failure> {
        let host = &self.around.host;
        host.publish(vec![sight::workflow_changed(host, &self.key, object, true)]).await?;
        Ok(())
    }

    /// Acknowledges what the object has. A step that lacks parts keeps its deliveries.
    async fn settle(&mut self) -> Result<(), Failure> {
        if self.fold.is_in_parts() && !self.is_gone {
            return Ok(());
        }
        while let Some((_, delivery)) = self.pending.pop_first() {
            delivery.ack().await?;
        }
        Ok(())
    }
}
