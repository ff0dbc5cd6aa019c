//! One live workflow: the engine's state machine and its place in the log.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Actor, Backoff, Failure, Next, keep_unsent, poison};
use argosy_api::digest::{Position, Watermark};
use argosy_api::labels;
use argosy_api::message::{Observed, ObservedMessage, SCHEMA};
use argosy_bus::{Delivery, Message, Publish, Stream};
use argosy_engine::{Command, Event, Wait, Workflow};
use argosy_objects::{api, marks};
use argosy_workflows::{WorkflowKey, read};
use async_trait::async_trait;
use jiff::SignedDuration;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::context::Shard;
use crate::metrics;
use crate::outbox::Error as OutboxError;
use crate::stamp::{Cause, Outgoing};

/// Events that a live workflow steps before its log is purged up to its watermark. Until then the bus holds them twice: here
/// and in the object.
const PURGE_EVERY: u64 = 128;
/// How often the log is read again for a message that was delivered and is not in it yet.
const READS_MAX: u32 = 5;
/// Messages of the log read at once.
const PAGE: usize = 512;
/// In the id of what is told because a check asked: all of it was told before.
const CHECK_MARK: &str = ":check:";
/// A step that takes longer keeps other tasks waiting.
const LONG_STEP: Duration = Duration::from_millis(5);
/// A timer that is due is reported within this.
const TIMER_LATE_MAX: SignedDuration = SignedDuration::from_secs(60);

/// One live workflow.
pub(crate) struct WorkflowActor {
    pub shard: Arc<Shard>,
    pub key: WorkflowKey,
    pub workflow: Workflow,
    /// Last event stepped.
    pub last: u64,
    /// Position of the last status published.
    pub published: Position,
    /// Events of the batch in hand that were stepped.
    pub stepped: BTreeSet<u64>,
    /// Events stepped since the log was last purged.
    pub unpurged: u64,
    /// Tells apart what is published since the workflow was taken back into service from what was before, in ids; empty
    /// for one that never was. The status service has let go of the latter unwritten.
    pub life: String,
    /// The log has shown the workflow as out of service since the last look at its object.
    pub is_out_of_service: bool,
    /// One of its steps has taken long.
    pub is_slow: bool,
    /// When to look after itself.
    pub check_at: Instant,
}

/// How far the log was stepped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// As far as was asked for.
    All,
    /// Not so far: what was asked for is not there yet.
    Part,
    /// To a message of a schema that this process does not know.
    Newer,
}

/// What a message of the log is to this workflow.
pub(crate) enum Reading {
    /// To be stepped.
    Fact(ObservedMessage),
    /// Of a schema that this process does not know.
    Newer,
    /// It names the workflow by its uid but another namespace or name.
    Foreign,
    /// Nothing that anybody here could read.
    Garbage(String),
}

pub(crate) fn read(key: &WorkflowKey, message: &Message) -> Reading {
    if WorkflowKey::of_observed(message).is_some_and(|named| named != *key) {
        return Reading::Foreign;
    }
    match serde_json::from_slice::<ObservedMessage>(&message.payload) {
        Ok(observed) if observed.schema > SCHEMA => Reading::Newer,
        Ok(observed) => Reading::Fact(observed),
        Err(error) => match serde_json::from_slice::<serde_json::Value>(&message.payload) {
            // An unknown kind of fact is one of a newer process.
            Ok(value) if value["schema"].as_u64().is_some_and(|schema| schema > u64::from(SCHEMA)) => Reading::Newer,
            Ok(_) | Err(_) => Reading::Garbage(format!("not an observation: {error}")),
        },
    }
}

#[async_trait]
impl Actor for WorkflowActor {
    type Message = Delivery;

    /// A delivery says that the log has grown; what is stepped is the log, in its order. Deliveries have an order of their own:
    /// one may be lost and come again behind newer ones, and a former owner may have taken some.
    async fn handle(&mut self, batch: Vec<Delivery>) -> Result<(), Failure> {
        let newest = batch.iter().map(|delivery| delivery.message.sequence).max().unwrap_or_default();
        self.stepped.clear();
        let mut backoff = Backoff::short();
        let mut tries = 0;
        let mut reached = self.catch_up_to(newest).await?;
        while reached == Reached::Part && tries < READS_MAX {
            // The replica of the log that was asked lags.
            backoff.wait().await;
            reached = self.catch_up_to(newest).await?;
            tries += 1;
        }
        for delivery in batch {
            let sequence = delivery.message.sequence;
            if self.stepped.contains(&sequence) {
                delivery.ack().await?;
                continue;
            }
            let is_stepped = sequence <= self.last;
            match read(&self.key, &delivery.message) {
                Reading::Garbage(why) => poison(&self.shard.context.host, "workflow", delivery, &why).await,
                Reading::Foreign => {
                    metrics::FOREIGN.inc();
                    tracing::warn!(
                        workflow.uid = self.key.uid,
                        id = delivery.message.id,
                        "message names the workflow by its uid, and another namespace or name"
                    );
                    delivery.ack().await?;
                }
                Reading::Fact(_) | Reading::Newer if is_stepped => delivery.ack().await?,
                // A newer process may know what the workflow waits for here.
                Reading::Fact(_) | Reading::Newer if reached == Reached::Newer => delivery.hold().await?,
                // It comes again.
                Reading::Fact(_) | Reading::Newer => {}
            }
        }
        if self.unpurged >= PURGE_EVERY {
            self.unpurged = 0;
            self.purge_written().await?;
        }
        // The object itself tells, at once, whether that still holds.
        let is_out_of_service = std::mem::take(&mut self.is_out_of_service);
        self.check_at = if is_out_of_service { Instant::now() } else { self.next_check() };
        Ok(())
    }

    /// Steps what the log holds behind the last event.
    async fn catch_up(&mut self) -> Result<(), Failure> {
        self.catch_up_to(0).await.map(|_| ())
    }

    async fn poke(&mut self) -> Result<(), Failure> {
        self.confirm_pods(false).await
    }

    fn wake_at(&self) -> Option<Instant> {
        Some(self.check_at)
    }

    async fn wake(&mut self) -> Result<Next, Failure> {
        self.check_at = self.next_check();
        let Some(metadata) = read::get_metadata(&self.shard.context.client, &self.key).await? else {
            self.shard.timers.forget(&self.key);
            self.purge(self.last).await?;
            return Ok(Next::Stop);
        };
        if marks::is_out_of_service(&metadata) {
            // Its log stays, for the time when it is taken back.
            self.shard.timers.forget(&self.key);
            return Ok(Next::Stop);
        }
        let written = marks::watermark_of(&metadata).unwrap_or_default().position();
        if self.workflow.is_completed() {
            if written < self.published {
                return Ok(Next::Continue);
            }
            self.purge(self.last).await?;
            return Ok(Next::Stop);
        }
        self.check().await?;
        Ok(Next::Continue)
    }
}

impl WorkflowActor {
    /// Steps what the log holds behind the last event, and publishes what follows from it.
    async fn catch_up_to(&mut self, newest: u64) -> Result<Reached, Failure> {
        let mut out = Outgoing::default();
        let reached = self.step_log(newest, &mut out, |_, _| {}).await?;
        self.send(out).await?;
        Ok(reached)
    }

    /// Steps what the log holds behind the last event, in its order. `seen` is told of each fact before it is stepped.
    pub async fn step_log(
        &mut self,
        newest: u64,
        out: &mut Outgoing,
        mut seen: impl FnMut(&Observed, &mut Outgoing) + Send,
    ) -> Result<Reached, Failure> {
        let host = self.shard.context.host.clone();
        let subject = host.observed_subject(&self.key.uid);
        loop {
            let page = host.bus.read(Stream::Observed, &subject, self.last, PAGE).await?;
            if page.is_empty() {
                return Ok(if self.last >= newest { Reached::All } else { Reached::Part });
            }
            for message in page {
                match read(&self.key, &message) {
                    Reading::Fact(observed) => {
                        let observed = self.resolve(observed).await?;
                        seen(&observed.body, out);
                        self.step(&message, observed, out);
                    }
                    // Nothing behind it may be stepped before it.
                    Reading::Newer => return Ok(Reached::Newer),
                    Reading::Foreign | Reading::Garbage(_) => self.last = message.sequence,
                }
            }
        }
    }

    /// Puts the object in the place of a reference to it.
    ///
    /// Errors: its nodes cannot be read. Whoever builds the actor anew then says so in its status.
    pub async fn resolve(&self, mut observed: ObservedMessage) -> Result<ObservedMessage, Failure> {
        if let Observed::WorkflowReferenced { status_edited, .. } = observed.body {
            let (store, client) = (&self.shard.context.host, &self.shard.context.client);
            let found = match read::get(client, &self.key).await? {
                Some(object) => read::resolve(store, client, &self.key, object).await?,
                None => None,
            };
            observed.body = match found {
                Some(found) => match read::read_workflow(found).await {
                    Ok(workflow) => Observed::WorkflowChanged { object: Box::new(workflow), status_edited },
                    // A mistake in an edit: the workflow goes on by what it was.
                    Err(error @ read::Error::Unreadable(api::Unreadable::Json(_))) => {
                        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                        Observed::WorkflowUnreadable { error: format!("{error}{cause}") }
                    }
                    Err(error) => return Err(error.into()),
                },
                None => Observed::WorkflowDeleted,
            };
        }
        Ok(observed)
    }

    pub fn step(&mut self, message: &Message, observed: ObservedMessage, out: &mut Outgoing) {
        let sequence = message.sequence;
        let span = tracing::debug_span!(
            "step",
            workflow.uid = self.key.uid,
            workflow.name = self.key.name,
            workflow.namespace = self.key.namespace,
            event.kind = kind_of(&observed.body),
            event.seq = sequence
        );
        argosy_telemetry::propagate::adopt(&span, &message.headers);
        let _entered = span.enter();
        metrics::EVENTS.inc();
        self.unpurged += 1;
        self.last = sequence;
        self.stepped.insert(sequence);
        if says_out_of_service(&observed) {
            // No wish of anybody's. What came of it the object tells, which is looked at next.
            self.is_out_of_service = true;
            return;
        }
        let at = observed.at;
        let body = self.ignore_stale_edit(observed.body);
        let is_check = message.id.contains(CHECK_MARK);
        self.shard.in_hand.begin(&self.key.uid, sequence);
        let commands = self.take_step(Event { sequence, at, body });
        self.shard.in_hand.end(&self.key.uid);
        if is_check && !commands.is_empty() {
            self.found("pod", &message.id);
        }
        let cause = Cause {
            workflow: &self.key,
            shard: self.shard.number,
            epoch: self.shard.epoch,
            sequence,
            id: format!("{sequence}{}", self.life),
            at,
        };
        out.add(&cause, commands, &mut self.published);
        self.tell_bugs();
        if self.workflow.is_completed() {
            out.timers.clear();
        }
    }

    /// A step may take seconds, as one event may have many expressions evaluated. Once one of a workflow has taken long, the
    /// other tasks of the thread go on in another one meanwhile; that costs some microseconds, so others' steps are just taken.
    /// A runtime of one thread has no other.
    fn take_step(&mut self, event: Event) -> Vec<Command> {
        let begun = std::time::Instant::now();
        let commands = match Handle::current().runtime_flavor() {
            RuntimeFlavor::MultiThread if self.is_slow => tokio::task::block_in_place(|| self.workflow.step(event)),
            _ => self.workflow.step(event),
        };
        self.is_slow |= begun.elapsed() > LONG_STEP;
        commands
    }

    /// An edit of the status that was made before its author could see that the workflow had ended is no wish to have it run
    /// again; it comes so late when nobody watched for a while.
    fn ignore_stale_edit(&self, body: Observed) -> Observed {
        let is_stale = |object: &argosy_api::v1alpha1::Workflow| {
            let seen = object
                .metadata
                .annotations
                .get(labels::WATERMARK)
                .and_then(|text| Watermark::parse(text, &self.key.uid));
            self.workflow.is_completed() && seen.is_some_and(|seen| seen.position() < self.published)
        };
        match body {
            Observed::WorkflowChanged { object, status_edited: true } if is_stale(&object) => {
                Observed::WorkflowChanged { object, status_edited: false }
            }
            body => body,
        }
    }

    /// Publishes, then arms timers and looks things up.
    pub async fn send(&self, mut out: Outgoing) -> Result<(), Failure> {
        out.settle();
        let span = tracing::debug_span!("publish", workflow.uid = self.key.uid, messages = out.messages.len());
        match self.shard.outbox.publish(out.messages.clone()).instrument(span).await {
            Ok(()) => {}
            Err(OutboxError::Refused(_)) if out.messages.len() > 1 => self.send_singly(out.messages).await?,
            Err(error) => return self.refused(&out.messages, error).await,
        }
        for key in out.disarmed {
            self.shard.timers.disarm(&self.key, key);
        }
        for (key, due) in out.timers {
            self.shard.timers.arm(&self.key, key, due, self.last);
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
                self.refused(&[message], error).await?;
            }
        }
        Ok(())
    }

    /// One message that the bus will never take must not stop the workflow's others.
    async fn refused(&self, messages: &[Publish], error: OutboxError) -> Result<(), Failure> {
        match &error {
            OutboxError::Refused(cause) if cause.is_too_large() => {
                metrics::POISON.inc();
                let ids: Vec<_> = messages.iter().map(|message| message.id.as_str()).collect();
                tracing::error!(
                    workflow.uid = self.key.uid,
                    ?ids,
                    error = &error as &dyn std::error::Error,
                    "message dropped"
                );
                for message in messages {
                    keep_unsent(&self.shard.context.host, message, &format!("it was not sent: {cause}")).await;
                }
                Ok(())
            }
            OutboxError::Refused(_) | OutboxError::Stopped(_) => Err(error.into()),
        }
    }

    /// When to look after itself next: one that has ended leaves soon.
    pub fn next_check(&self) -> Instant {
        let options = &self.shard.context.options;
        let pause = if self.workflow.is_completed() { options.passivate_secs } else { options.remind_secs };
        Instant::now() + Duration::from_secs(pause.max(1))
    }

    /// Looks for what the workflow waits for in vain. Whatever this finds is a bug.
    async fn check(&mut self) -> Result<(), Failure> {
        self.purge_written().await?;
        for found in self.workflow.overlooked() {
            self.found("engine", &format!("{found:?}"));
        }
        let now = self.shard.context.host.clock.now();
        for wait in self.workflow.waits() {
            if let Wait::Timer { key, due } = wait
                && !self.shard.timers.is_armed(&self.key, &key)
                // One that is due may be on its way through the log.
                && (due > now || now.duration_since(due) > TIMER_LATE_MAX)
            {
                self.found("timer", &key);
                self.shard.timers.arm(&self.key, key, due, self.last);
            }
        }
        self.confirm_pods(true).await
    }

    fn found(&self, what: &'static str, detail: &str) {
        metrics::REMINDER_FOUND.with_label_values(&[what]).inc();
        tracing::error!(
            workflow.uid = self.key.uid,
            workflow.name = self.key.name,
            workflow.namespace = self.key.namespace,
            what,
            detail,
            "a check found what should not be"
        );
    }

    /// What the engine took to be impossible is told and counted.
    pub fn tell_bugs(&mut self) {
        let (bugs, more) = self.workflow.take_bugs();
        metrics::BUGS.inc_by(bugs.len() as u64 + more);
        for bug in bugs {
            tracing::error!(
                workflow.uid = self.key.uid,
                workflow.name = self.key.name,
                node.id = bug.node.as_str(),
                site = bug.site,
                detail = bug.detail,
                "bug of the engine"
            );
        }
    }

    /// Asks after the pods that the workflow waits for. `is_check`: an answer that brings news was missed before.
    async fn confirm_pods(&mut self, is_check: bool) -> Result<(), Failure> {
        let at = self.shard.context.host.clock.now();
        let id = format!("c{}.{}.{}", self.shard.epoch, self.last, at.as_second());
        let commands = self.workflow.confirm_pods(is_check);
        let (shard, epoch, sequence) = (self.shard.number, self.shard.epoch, self.last);
        let cause = Cause { workflow: &self.key, shard, epoch, sequence, id, at };
        let mut out = Outgoing::default();
        out.add(&cause, commands, &mut self.published);
        self.send(out).await
    }

    /// How far the log is folded into the object that the API has; `None` when the workflow is gone.
    async fn written(&self) -> Result<Option<Position>, Failure> {
        let metadata = read::get_metadata(&self.shard.context.client, &self.key).await?;
        Ok(metadata.map(|metadata| marks::watermark_of(&metadata).unwrap_or_default().position()))
    }

    /// Drops of the log what the object has.
    async fn purge_written(&mut self) -> Result<(), Failure> {
        if let Some(written) = self.written().await? {
            self.purge(written.sequence.min(self.last)).await?;
        }
        Ok(())
    }

    pub async fn purge(&self, up_to: u64) -> Result<(), argosy_bus::Error> {
        let host = &self.shard.context.host;
        host.bus.purge(Stream::Observed, &host.observed_subject(&self.key.uid), up_to).await
    }
}

/// Whether it shows the workflow as it was while it was out of service.
fn says_out_of_service(observed: &ObservedMessage) -> bool {
    match &observed.body {
        Observed::WorkflowChanged { object, .. } => {
            object.metadata.labels.get(labels::QUARANTINED).is_some_and(|text| text == "true")
        }
        _ => false,
    }
}

fn kind_of(body: &Observed) -> &'static str {
    match body {
        Observed::WorkflowChanged { .. } => "workflowChanged",
        Observed::WorkflowReferenced { .. } => "workflowReferenced",
        Observed::WorkflowUnreadable { .. } => "workflowUnreadable",
        Observed::WorkflowDeleted => "workflowDeleted",
        Observed::PodChanged { .. } => "podChanged",
        Observed::PodRejected { .. } => "podRejected",
        Observed::PodNotCreated { .. } => "podNotCreated",
        Observed::TimerFired { .. } => "timerFired",
        Observed::LookedUp { .. } => "lookedUp",
    }
}
