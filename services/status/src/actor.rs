//! One workflow's projection: what its events make of its object, and when that is written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{
    Actor, Backoff, Factory, Failure, Next,
    aside::{LONG_BYTES, aside, json_bytes},
};
use argosy_api::digest::Position;
use argosy_api::message::StatusChanged;
use argosy_bus::Delivery;
use argosy_objects::{api, marks};
use argosy_workflows::{
    HEADER_JUDGED, HEADER_PART, HEADER_POSITION, HEADER_PREVIOUS, WorkflowKey, offload::Offload as _, read,
    read::Whole, workflow_changed,
};
use async_trait::async_trait;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::Value;
use tokio::time::Instant;

use crate::context::Context;
use crate::projection::{Applied, Outside, Place, StatusProjection};
use crate::words::{cause_of, too_large};
use crate::worth::is_minor;
use crate::{metrics, quarantine};

/// Deliveries after which an event is folded although one before it never came.
const DELIVERIES_MAX: u32 = 200;
/// An event whose predecessor has not come is put back for so long.
const GAP_PAUSE: Duration = Duration::from_millis(500);
/// After a write that the API refuses as it is.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);
/// Refusals in a row after which the workflow is put out of service.
const REFUSALS_MAX: u32 = 3;
/// For so long nodes that were kept outside of the object need not be kept again before the object names them. Much shorter
/// than [`crate::orphaned_nodes::KEPT`].
const KEPT_AGAIN: Duration = Duration::from_secs(600);
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
        let Some(object) = read::get(&self.0.client, key).await? else {
            return Ok(None);
        };
        if marks::is_quarantined(&object) {
            return Ok(None);
        }
        let projection = match read(&self.0, key, object.clone()).await? {
            Read::Readable(projection) => *projection,
            Read::Unreadable(why) => {
                quarantine::end(&self.0, key, &why).await?;
                return Ok(None);
            }
            Read::Gone => return Ok(None),
        };
        Ok(Some(ProjectionActor {
            context: Arc::clone(&self.0),
            key: key.clone(),
            projection,
            object: metadata_of(object),
            pending: BTreeMap::new(),
            last: 0,
            written_at: None,
            is_urgent: false,
            write_at: None,
            not_before: None,
            retry: Backoff::short(),
            refusals: 0,
            looked_at: None,
            kept: None,
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

    fn passes(&self, cause: &(dyn std::error::Error + 'static)) -> Option<bool> {
        api::passes(cause)
    }

    fn mailbox(&self) -> usize {
        MAILBOX
    }
}

/// What an object can be read as.
enum Read {
    Readable(Box<StatusProjection>),
    /// And why.
    Unreadable(String),
    Gone,
}

/// Errors: bus or API.
async fn read(context: &Context, key: &WorkflowKey, object: DynamicObject) -> Result<Read, Failure> {
    let whole = match read::resolve(&context.host, &context.client, key, object).await {
        Ok(Some(whole)) => whole,
        Ok(None) => return Ok(Read::Gone),
        Err(error) if error.is::<api::Unreadable>() => return Ok(Read::Unreadable(error.to_string())),
        Err(error) => return Err(error),
    };
    let is_long = whole.is_long();
    let projection = move || {
        let object = api::to_json(&whole.object)?;
        StatusProjection::of_object(&object, whole.nodes.as_deref())
    };
    Ok(match aside(is_long, projection).await? {
        Ok(projection) => Read::Readable(Box::new(projection)),
        Err(error) => Read::Unreadable(format!("{error}{}", cause_of(&error))),
    })
}

/// The object without what may be large.
fn metadata_of(mut object: DynamicObject) -> DynamicObject {
    object.data = serde_json::Value::Null;
    object.metadata.managed_fields = None;
    object
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
    /// Something that is not written yet is worth a write of its own.
    is_urgent: bool,
    write_at: Option<Instant>,
    /// A write failed: not again before this.
    not_before: Option<Instant>,
    /// Waits between tries when the API does not answer.
    retry: Backoff,
    /// Times in a row that the status was refused as it is.
    refusals: u32,
    /// When the object was last looked at for what an event before the one in hand had said.
    looked_at: Option<Instant>,
    /// The nodes that were kept outside of the object last, and when.
    kept: Option<(String, Instant)>,
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
        let interval = self.context.interval(self.projection.is_compressed(), self.is_urgent);
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
        let judged = delivery.message.headers.get(HEADER_JUDGED).map(String::as_str);
        if marks::is_overruled(judged, &self.object) {
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
        if self.projection.is_gap(place) {
            self.look_behind().await?;
        }
        let is_minor = is_minor(&change);
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
                self.is_urgent |= !is_minor;
                self.pending.insert(sequence, delivery);
            }
        }
        Ok(())
    }

    /// An event is missing. While the shard changed owners, another may have folded it, acknowledged it and written it after
    /// this projection was read: then the object has it.
    async fn look_behind(&mut self) -> Result<(), Failure> {
        if self.looked_at.is_some_and(|at| at.elapsed() < GAP_PAUSE) {
            return Ok(());
        }
        self.looked_at = Some(Instant::now());
        let before = self.projection.position();
        if self.rebase().await? && self.projection.position() > before {
            metrics::CAUGHT_UP.inc();
            tracing::info!(
                workflow.uid = self.key.uid,
                workflow.name = self.key.name,
                "another owner of the shard had written what seemed to be missing"
            );
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
            let (patch, outside) = self.patch().await?;
            if let Some(outside) = outside
                && !self.keep(outside).await?
            {
                return Ok(());
            }
            match workflows.patch_metadata(&self.key.name, &parameters, &Patch::Merge(&patch)).await {
                Ok(meta) => {
                    metrics::WRITES.inc();
                    let metadata_bytes = json_bytes(&meta.metadata)?;
                    let version = meta.metadata.resource_version.unwrap_or_default();
                    let replaced = self.projection.written(version, metadata_bytes);
                    self.written_at = Some(Instant::now());
                    self.is_urgent = false;
                    self.refusals = 0;
                    self.retry.reset();
                    if let Some(replaced) = replaced {
                        self.forget(&replaced).await;
                    }
                }
                Err(error) if api::is_too_large(&error) && self.projection.shrink() => {
                    metrics::SHRUNK.inc();
                    self.warn(&error, "object too large for the API, its nodes are made smaller");
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
                        self.warn(&error, "status refused by the API");
                        let hint =
                            if api::is_too_large(&error) { too_large(self.projection.sizes()) } else { String::new() };
                        let why = format!("the API refuses its status: {}{hint}", api::message(&error));
                        return self.refused(&why).await;
                    }
                },
            }
        }
        self.ack_persisted().await
    }

    /// The patch, and what must be kept before it is written.
    async fn patch(&mut self) -> Result<(Value, Option<Outside>), Failure> {
        let mut projection = std::mem::take(&mut self.projection);
        // A few nodes may be large, and come all at once.
        let told_bytes: usize = self.pending.values().map(|delivery| delivery.message.payload.len()).sum();
        let is_long = projection.is_long() || told_bytes > LONG_BYTES;
        let make = move || {
            let patch = projection.patch();
            (projection, patch)
        };
        let (projection, patch) = aside(is_long, make).await?;
        self.projection = projection;
        Ok((patch?, self.projection.take_outside()))
    }

    /// Keeps nodes outside of the object. False when that failed: it is tried later, or the workflow has ended.
    async fn keep(&mut self, outside: Outside) -> Result<bool, Failure> {
        let is_kept = |(version, at): &(String, Instant)| *version == outside.version && at.elapsed() < KEPT_AGAIN;
        if self.kept.as_ref().is_some_and(is_kept) {
            return Ok(true);
        }
        let error = match self.context.host.put(&self.key, &outside.version, &outside.nodes).await {
            Ok(()) => {
                metrics::OFFLOADED.inc();
                self.kept = Some((outside.version, Instant::now()));
                return Ok(true);
            }
            Err(error) => error,
        };
        self.warn(&error, "nodes not kept outside of the object");
        if error.passes() {
            let pause = self.retry.delay();
            self.put_off(pause);
        } else {
            let hint = too_large(self.projection.sizes());
            self.refused(&format!("{error}{}{hint}", cause_of(&error))).await?;
        }
        Ok(false)
    }

    /// The object names other nodes now. What cannot be removed is found later, see [`crate::orphaned_nodes`].
    async fn forget(&self, version: &str) {
        if let Err(error) = self.context.host.remove(&self.key.uid, version).await {
            self.warn(&error, "nodes of before not removed");
        }
    }

    /// The status is refused as it is: takes the object as it is now and tries again later, or ends the workflow for `why`.
    async fn refused(&mut self, why: &str) -> Result<(), Failure> {
        metrics::REJECTED.inc();
        self.refusals += 1;
        if self.refusals < REFUSALS_MAX {
            self.put_off(REFUSED_PAUSE);
            self.rebase().await?;
            return Ok(());
        }
        quarantine::end(&self.context, &self.key, why).await?;
        self.is_gone = true;
        self.idle_at = Instant::now();
        self.ack_persisted().await
    }

    /// Writes later, whatever comes meanwhile.
    fn put_off(&mut self, pause: Duration) {
        let at = Instant::now() + pause;
        (self.write_at, self.not_before) = (Some(at), Some(at));
    }

    fn warn(&self, error: &(dyn std::error::Error + 'static), what: &str) {
        tracing::warn!(workflow.uid = self.key.uid, workflow.name = self.key.name, error, "{what}");
    }

    /// Takes the object as it is now. False when the workflow is gone.
    async fn rebase(&mut self) -> Result<bool, Failure> {
        let Some(object) = read::get(&self.context.client, &self.key).await? else {
            self.is_gone = true;
            self.idle_at = Instant::now();
            return Ok(false);
        };
        let whole = read::resolve(&self.context.host, &self.context.client, &self.key, object).await?;
        let Some(whole) = whole else {
            self.is_gone = true;
            self.idle_at = Instant::now();
            return Ok(false);
        };
        let mut projection = std::mem::take(&mut self.projection);
        let is_long = whole.is_long() || projection.is_long();
        let object_metadata = metadata_of(whole.object.clone());
        let rebase = move || -> Result<_, Failure> {
            let Whole { object, nodes } = whole;
            projection.rebase(&api::to_json(&object)?, nodes.as_deref())?;
            Ok((projection, marks::is_foreign(&object).then_some(object)))
        };
        let (projection, foreign) = aside(is_long, rebase).await??;
        self.projection = projection;
        if let Some(object) = foreign {
            // The write that follows will carry our digest and hide this edit from a watcher that has not seen it yet.
            self.announce(object).await?;
        }
        self.object = object_metadata;
        Ok(true)
    }

    /// Reports a foreign edit of the status, under the id that the watcher gives it.
    async fn announce(&self, object: DynamicObject) -> Result<(), Failure> {
        let host = &self.context.host;
        host.publish(vec![workflow_changed(host, &self.key, object, true)]).await?;
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
