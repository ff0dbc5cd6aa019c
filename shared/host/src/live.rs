//! An entity that lives: its state, and its place in the log.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Failure, HEADER_ORIGIN};
use argosy_bus::{Message, Stream};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::Instant;

use crate::shard::Shard;
use crate::store::{Doing, FactOf, KeyOf, QuestionOf, Reading};
use crate::{Entity, EntityKey as _, Event, Outgoing, Store};

/// Messages of the log read at once.
const PAGE: usize = 512;
/// A step that takes longer keeps other tasks waiting.
const LONG_STEP: Duration = Duration::from_millis(5);

/// What lives of an entity.
pub(crate) struct Live<S: Store> {
    pub shard: Arc<Shard<S>>,
    pub key: KeyOf<S>,
    pub entity: S::Entity,
    /// Last event stepped.
    pub last: u64,
    /// Events of the batch in hand that were stepped.
    pub stepped: BTreeSet<u64>,
    /// Events stepped since the log was last purged.
    pub unpurged: u64,
    /// See [`crate::Loaded::Entity`].
    pub life: String,
    /// The log has shown the entity as out of service since the last look at what is stored.
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

/// What a message of the log is to this entity.
pub(crate) enum Read<F> {
    /// One of its own log.
    Own(Reading<F>),
    /// It names the entity by its uid but another namespace or name.
    Foreign,
    /// It was made on a bus that is lost, and counts there only.
    Stray,
}

impl<S: Store> Live<S> {
    pub fn read(&self, message: &Message) -> Read<FactOf<S>> {
        if KeyOf::<S>::of_log(message).is_some_and(|named| named != self.key) {
            return Read::Foreign;
        }
        let origin = message.headers.get(HEADER_ORIGIN).and_then(|text| text.parse::<u64>().ok());
        if origin.is_some_and(|origin| origin != self.shard.base_sequence) {
            return Read::Stray;
        }
        Read::Own(self.shard.store.read(message))
    }

    /// Steps what the log holds behind the last event, in its order. `is_replay`: a new owner steps what may have been stepped
    /// before.
    pub async fn step_log(
        &mut self,
        newest: u64,
        out: &mut Outgoing<QuestionOf<S>>,
        is_replay: bool,
    ) -> Result<Reached, Failure> {
        let host = self.shard.process.host.clone();
        let subject = host.observed_subject(self.key.uid());
        loop {
            let page = host.bus.read(Stream::Observed, &subject, self.last, PAGE).await?;
            if page.is_empty() {
                return Ok(if self.last >= newest { Reached::All } else { Reached::Part });
            }
            for message in page {
                match self.read(&message) {
                    Read::Own(Reading::Fact { at, fact }) => {
                        let fact = self.shard.store.resolve(&self.key, fact).await?;
                        if is_replay {
                            self.shard.store.meters().replayed.inc();
                            self.entity.replayed(&fact, out);
                        }
                        self.step(&message, Event { sequence: message.sequence, at, fact }, out);
                    }
                    // Nothing behind it may be stepped before it.
                    Read::Own(Reading::Newer) => return Ok(Reached::Newer),
                    Read::Own(Reading::Garbage(_)) | Read::Foreign | Read::Stray => self.last = message.sequence,
                }
            }
        }
    }

    fn step(&mut self, message: &Message, event: Event<FactOf<S>>, out: &mut Outgoing<QuestionOf<S>>) {
        let (sequence, at) = (event.sequence, event.at);
        let span = self.shard.store.span(&self.key, Doing::Step { sequence, fact: &event.fact });
        argosy_telemetry::propagate::adopt(&span, &message.headers);
        let _entered = span.enter();
        self.shard.store.meters().events.inc();
        self.unpurged += 1;
        self.last = sequence;
        self.stepped.insert(sequence);
        if self.shard.store.says_out_of_service(&event.fact) {
            // No wish of anybody's. What came of it shows in what is stored, which is looked at next.
            self.is_out_of_service = true;
            return;
        }
        self.shard.in_hand.begin(self.key.uid(), sequence);
        let commands = self.take_step(event);
        self.shard.in_hand.end(self.key.uid());
        if !commands.is_empty()
            && let Some(what) = self.shard.store.answers_check(message)
        {
            self.found(what, &message.id);
        }
        let cause = self.shard.cause(&self.key, sequence, format!("{sequence}{}", self.life), at);
        self.entity.stamp(&cause, commands, out);
        if self.entity.is_over() {
            out.timers.clear();
        }
    }

    /// A step may take seconds. Once one of an entity has taken long, the other tasks of the thread go on in another one
    /// meanwhile; that costs some microseconds, so others' steps are just taken. A runtime of one thread has no other.
    fn take_step(&mut self, event: Event<FactOf<S>>) -> Vec<<S::Entity as Entity>::Command> {
        let begun = std::time::Instant::now();
        let commands = match Handle::current().runtime_flavor() {
            RuntimeFlavor::MultiThread if self.is_slow => tokio::task::block_in_place(|| self.entity.step(event)),
            _ => self.entity.step(event),
        };
        self.is_slow |= begun.elapsed() > LONG_STEP;
        commands
    }

    /// A check found what should not be.
    pub fn found(&self, what: &'static str, detail: &str) {
        self.shard.store.meters().reminder_found.with_label_values(&[what]).inc();
        self.shard
            .store
            .span(&self.key, Doing::Tell)
            .in_scope(|| tracing::error!(what, detail, "a check found what should not be"));
    }
}
