//! One live workflow: the engine's state machine and its place in the log.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Actor, Factory, Failure, Next, WorkflowKey};
use argosy_api::digest::Watermark;
use argosy_api::labels;
use argosy_api::message::{Observed, ObservedMessage};
use argosy_bus::{Delivery, Publish, Stream};
use argosy_engine::{Event, Workflow};
use async_trait::async_trait;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::metrics;
use crate::outbox::Error as OutboxError;
use crate::rebuild;
use crate::shard::{Shard, consumer_of, poison};
use crate::stamp::{Origin, Outgoing};

/// Sequences remembered to tell an event that came late from one that came twice. More than a consumer hands out
/// unanswered.
const REMEMBERED: usize = 4096;
/// Events that a live workflow steps before its log is purged up to its watermark.
const PURGE_EVERY: u64 = 2048;
/// Messages of the log read at once.
const PAGE: usize = 512;

/// Builds workflows.
pub(crate) struct Actors(pub Arc<Shard>);

#[async_trait]
impl Factory for Actors {
    type Key = WorkflowKey;
    type Actor = WorkflowActor;

    async fn build(&self, key: &WorkflowKey) -> Result<Option<WorkflowActor>, Failure> {
        rebuild::rebuild(&self.0, key).await
    }

    /// The workflow is gone, and so is its log.
    async fn refuse(&self, key: &WorkflowKey, batch: Vec<Delivery>) -> Result<(), Failure> {
        self.0.timers.forget(key);
        let host = &self.0.around.host;
        let log = host.observed_subject(&key.uid);
        let newest = host.bus.last_sequence(Stream::Observed, &log).await?;
        host.bus.purge(Stream::Observed, &log, newest).await?;
        for delivery in batch {
            delivery.ack().await?;
        }
        Ok(())
    }
}

/// One live workflow.
pub(crate) struct WorkflowActor {
    pub shard: Arc<Shard>,
    pub key: WorkflowKey,
    pub workflow: Workflow,
    /// Last event stepped.
    pub last: u64,
    /// OBSERVED sequence of the last status published.
    pub published: u64,
    pub stepped: Stepped,
    /// When to look after itself.
    pub tend_at: Instant,
}

/// The events that were stepped.
#[derive(Debug)]
pub(crate) struct Stepped {
    /// Everything up to here was.
    floor: u64,
    above: BTreeSet<u64>,
    /// How many there were since the workflow was built.
    count: u64,
}

impl Stepped {
    pub fn up_to(floor: u64) -> Self {
        Self { floor, above: BTreeSet::new(), count: 0 }
    }

    /// False when it was stepped before.
    pub fn insert(&mut self, sequence: u64) -> bool {
        if sequence <= self.floor || !self.above.insert(sequence) {
            return false;
        }
        self.count += 1;
        if self.above.len() > REMEMBERED {
            self.floor = self.above.pop_first().unwrap_or(self.floor);
        }
        true
    }

    fn count(&self) -> u64 {
        self.count
    }

    fn contains(&self, sequence: u64) -> bool {
        sequence <= self.floor || self.above.contains(&sequence)
    }
}

#[async_trait]
impl Actor for WorkflowActor {
    type Message = Delivery;

    async fn handle(&mut self, batch: Vec<Delivery>) -> Result<(), Failure> {
        let mut out = Outgoing::default();
        let mut done = Vec::with_capacity(batch.len());
        for delivery in batch {
            if delivery.message.sequence <= self.last {
                if self.stepped.insert(delivery.message.sequence) {
                    out.messages.push(again(&delivery));
                }
                done.push(delivery);
                continue;
            }
            match serde_json::from_slice::<ObservedMessage>(&delivery.message.payload) {
                Ok(message) => {
                    self.step(&delivery, message, &mut out);
                    done.push(delivery);
                }
                Err(error) => poison(delivery, &format!("not an observation: {error}")).await,
            }
        }
        self.send(out).await?;
        for delivery in done {
            delivery.ack().await?;
        }
        self.tend_at = self.next_tending();
        Ok(())
    }

    fn wake_at(&self) -> Option<Instant> {
        Some(self.tend_at)
    }

    async fn wake(&mut self) -> Result<Next, Failure> {
        self.tend_at = self.next_tending();
        let Some(written) = rebuild::written(&self.shard.around.client, &self.key).await? else {
            self.shard.timers.forget(&self.key);
            self.purge(self.last).await?;
            return Ok(Next::Stop);
        };
        if self.workflow.is_completed() {
            if written < self.published || !self.is_settled(self.last).await? {
                return Ok(Next::Continue);
            }
            self.purge(self.last).await?;
            return Ok(Next::Stop);
        }
        if self.stepped.count() >= PURGE_EVERY && self.is_settled(written).await? {
            self.purge(written).await?;
        }
        // Whatever it waits for may have got lost outside: take it up anew, which asks for all of it again.
        let shard = Arc::clone(&self.shard);
        let Some(anew) = rebuild::rebuild(&shard, &self.key).await? else {
            return Ok(Next::Continue);
        };
        *self = anew;
        Ok(Next::Continue)
    }
}

impl WorkflowActor {
    fn step(&mut self, delivery: &Delivery, message: ObservedMessage, out: &mut Outgoing) {
        let sequence = delivery.message.sequence;
        let span = tracing::debug_span!(
            "step",
            workflow.uid = self.key.uid,
            workflow.name = self.key.name,
            workflow.namespace = self.key.namespace,
            event.kind = kind_of(&message.body),
            event.seq = sequence
        );
        argosy_telemetry::propagate::adopt(&span, &delivery.message.headers);
        let _entered = span.enter();
        metrics::EVENTS.inc();
        self.stepped.insert(sequence);
        self.last = sequence;
        let at = message.at;
        let body = self.timely(message.body);
        let commands = self.workflow.step(Event { sequence, at, body });
        let origin = Origin {
            workflow: &self.key,
            shard: self.shard.number,
            epoch: self.shard.epoch,
            cause: sequence.to_string(),
            at,
        };
        out.add(&origin, commands, &mut self.published);
    }

    /// An edit of the status that was made before its author could see that the workflow had ended is no wish to have it run
    /// again; it comes so late when nobody watched for a while.
    pub fn timely(&self, body: Observed) -> Observed {
        let is_late = |object: &argosy_api::v1alpha1::Workflow| {
            let seen = object.metadata.annotations.get(labels::WATERMARK).and_then(|text| Watermark::parse(text));
            self.workflow.is_completed() && seen.is_some_and(|seen| seen.sequence < self.published)
        };
        match body {
            Observed::WorkflowChanged { object, status_edited: true } if is_late(&object) => {
                Observed::WorkflowChanged { object, status_edited: false }
            }
            body => body,
        }
    }

    /// Publishes, then arms timers and looks things up.
    pub async fn send(&self, out: Outgoing) -> Result<(), Failure> {
        let span = tracing::debug_span!("publish", workflow.uid = self.key.uid, messages = out.messages.len());
        match self.shard.outbox.publish(out.messages.clone()).instrument(span).await {
            Ok(()) => {}
            Err(OutboxError::Refused(_)) if out.messages.len() > 1 => self.send_singly(out.messages).await?,
            Err(error) => return self.refused(&out.messages, error),
        }
        for key in out.disarmed {
            self.shard.timers.disarm(&self.key, key);
        }
        for (key, due) in out.timers {
            self.shard.timers.arm(&self.key, key, due);
        }
        if self.workflow.is_completed() {
            self.shard.timers.forget(&self.key);
        }
        for (key, id) in out.lookups {
            self.shard.lookups.look(self.key.clone(), id, key);
        }
        Ok(())
    }

    async fn send_singly(&self, messages: Vec<Publish>) -> Result<(), Failure> {
        for message in messages {
            if let Err(error) = self.shard.outbox.publish(vec![message.clone()]).await {
                self.refused(&[message], error)?;
            }
        }
        Ok(())
    }

    /// One message that the bus will never take must not stop the workflow's others.
    fn refused(&self, messages: &[Publish], error: OutboxError) -> Result<(), Failure> {
        match &error {
            OutboxError::Refused(cause) if matches!(**cause, argosy_bus::Error::TooLarge { .. }) => {
                metrics::POISON.inc();
                let ids: Vec<_> = messages.iter().map(|message| message.id.as_str()).collect();
                tracing::error!(
                    workflow.uid = self.key.uid,
                    ?ids,
                    error = &error as &dyn std::error::Error,
                    "message dropped"
                );
                Ok(())
            }
            OutboxError::Refused(_) | OutboxError::Stopped => Err(error.into()),
        }
    }

    /// When to look after itself next: one that has ended leaves soon.
    pub fn next_tending(&self) -> Instant {
        let options = &self.shard.around.options;
        let pause = if self.workflow.is_completed() { options.passivate_secs } else { options.remind_secs };
        Instant::now() + Duration::from_secs(pause.max(1))
    }

    /// Whether nothing of the log up to `up_to` still has to be stepped: an event that newer ones overtook may be under way
    /// yet, and must not be purged before it has come.
    async fn is_settled(&self, up_to: u64) -> Result<bool, argosy_bus::Error> {
        let host = &self.shard.around.host;
        let log = host.observed_subject(&self.key.uid);
        let mut after = host.bus.settled(Stream::Observed, &consumer_of(self.shard.number)).await?;
        while after < up_to {
            let page = host.bus.read(Stream::Observed, &log, after, PAGE).await?;
            let Some(newest) = page.last().map(|message| message.sequence) else {
                break;
            };
            if page.iter().any(|message| message.sequence <= up_to && !self.stepped.contains(message.sequence)) {
                return Ok(false);
            }
            after = newest;
        }
        Ok(true)
    }

    async fn purge(&mut self, up_to: u64) -> Result<(), argosy_bus::Error> {
        let host = &self.shard.around.host;
        host.bus.purge(Stream::Observed, &host.observed_subject(&self.key.uid), up_to).await
    }
}

/// The event as a new message at the end of the log: one that arrives behind newer ones, because its first delivery was
/// lost on the way, must not be stepped out of order.
fn again(delivery: &Delivery) -> Publish {
    metrics::LATE.inc();
    let message = &delivery.message;
    let mut publish = Publish::new(
        Stream::Observed,
        &message.subject,
        format!("{}:late:{}", message.id, message.sequence),
        message.payload.clone(),
    );
    publish.headers.clone_from(&message.headers);
    publish
}

pub(crate) fn kind_of(body: &Observed) -> &'static str {
    match body {
        Observed::WorkflowChanged { .. } => "workflowChanged",
        Observed::WorkflowUnreadable { .. } => "workflowUnreadable",
        Observed::WorkflowDeleted => "workflowDeleted",
        Observed::PodChanged { .. } => "podChanged",
        Observed::PodRejected { .. } => "podRejected",
        Observed::TimerFired { .. } => "timerFired",
        Observed::LookedUp { .. } => "lookedUp",
    }
}
