//! Both kinds of entities that the scheduler hosts: workflows, and the locks of a namespace. They share shards, consumers and
//! fences; the uid of a log tells of which kind it is.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Failure, Host};
use argosy_api::digest::Position;
use argosy_api::message::is_locks_uid;
use argosy_bus::{Message, Publish};
use argosy_engine::Command;
use argosy_host::{Cause, Doing, Entity, Event, Loaded, Marks, Meters, Outgoing, Reading, Store};
use argosy_locks::Wish;
use argosy_workflows::{PODS_LISTED, WorkflowKey};
use async_trait::async_trait;
use jiff::Timestamp;
use kube::api::DynamicObject;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::context::Context;
use crate::entity::WorkflowEntity;
use crate::facts::{Fact, Question};
use crate::locks::{LocksEntity, LocksStore, StoredLocks};
use crate::metrics;
use crate::store::{Found, Workflows};

/// An entity of the scheduler.
pub(crate) enum Hosted {
    Workflow(Box<WorkflowEntity>),
    Locks(Box<LocksEntity>),
}

/// What it asks for.
pub(crate) enum Asked {
    Workflow(Command),
    Locks(Wish),
}

/// What is stored of it.
pub(crate) enum Stored {
    Workflow(Box<DynamicObject>),
    Locks(Box<StoredLocks>),
}

impl Entity for Hosted {
    type Key = WorkflowKey;
    type Fact = Fact;
    type Command = Asked;
    type Question = Question;
    type Position = Position;

    fn step(&mut self, event: Event<Fact>) -> Vec<Asked> {
        let Event { sequence, at, fact } = event;
        match (self, fact) {
            (Self::Workflow(workflow), Fact::Workflow(fact)) => of_workflow(workflow.step(sequence, at, fact)),
            (Self::Locks(locks), Fact::Locks(fact)) => of_locks(locks.step(sequence, at, fact)),
            // A log has one kind of facts.
            (Self::Workflow(_), Fact::Locks(_)) | (Self::Locks(_), Fact::Workflow(_)) => Vec::new(),
        }
    }

    fn recover(&mut self, at: Timestamp) -> Vec<Asked> {
        match self {
            Self::Workflow(workflow) => of_workflow(workflow.recover(at)),
            Self::Locks(locks) => of_locks(locks.recover(at)),
        }
    }

    fn inquire(&mut self, is_check: bool) -> Vec<Asked> {
        match self {
            Self::Workflow(workflow) => of_workflow(workflow.inquire(is_check)),
            Self::Locks(_) => Vec::new(),
        }
    }

    fn stamp(&mut self, cause: &Cause<'_, WorkflowKey>, commands: Vec<Asked>, out: &mut Outgoing<Question>) {
        match self {
            Self::Workflow(workflow) => {
                let of_it = |asked| if let Asked::Workflow(command) = asked { Some(command) } else { None };
                workflow.stamp(cause, commands.into_iter().filter_map(of_it).collect(), out);
            }
            Self::Locks(locks) => {
                let of_it = |asked| if let Asked::Locks(wish) = asked { Some(wish) } else { None };
                locks.stamp(cause, commands.into_iter().filter_map(of_it), out);
            }
        }
    }

    fn published(&self) -> Position {
        match self {
            Self::Workflow(workflow) => workflow.published,
            Self::Locks(_) => Position::default(),
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Self::Workflow(workflow) => workflow.workflow.is_completed(),
            Self::Locks(locks) => locks.is_empty(),
        }
    }

    fn timers(&self) -> Vec<(String, Timestamp)> {
        match self {
            Self::Workflow(workflow) => workflow.timers(),
            Self::Locks(locks) => locks.timers(),
        }
    }

    fn overlooked(&self) -> Vec<String> {
        match self {
            Self::Workflow(workflow) => workflow.overlooked(),
            Self::Locks(locks) => locks.overlooked(),
        }
    }

    fn replayed(&mut self, fact: &Fact, out: &mut Outgoing<Question>) {
        match (self, fact) {
            (Self::Workflow(workflow), Fact::Workflow(fact)) => workflow.replayed(fact, out),
            (Self::Locks(_), Fact::Locks(fact)) => LocksEntity::replayed(fact, out),
            (Self::Workflow(_), Fact::Locks(_)) | (Self::Locks(_), Fact::Workflow(_)) => {}
        }
    }

    fn still_wished(&self, message: Publish) -> Option<Publish> {
        match self {
            Self::Workflow(workflow) => workflow.still_wished(message),
            Self::Locks(_) => Some(message),
        }
    }
}

fn of_workflow(commands: Vec<Command>) -> Vec<Asked> {
    commands.into_iter().map(Asked::Workflow).collect()
}

fn of_locks(wishes: Vec<Wish>) -> Vec<Asked> {
    wishes.into_iter().map(Asked::Locks).collect()
}

/// The entities of a shard.
pub(crate) struct Kinds {
    workflows: Workflows,
    locks: LocksStore,
}

impl Kinds {
    /// What is looked up ends with `stop`. `lease`: how long a former owner of a shard may go on.
    pub fn new(context: Arc<Context>, lease: Duration, stop: CancellationToken) -> Self {
        let locks = LocksStore::new(Arc::clone(&context), lease, stop.clone());
        Self { workflows: Workflows::new(context, stop), locks }
    }
}

#[async_trait]
impl Store for Kinds {
    type Entity = Hosted;
    type Stored = Stored;

    const KIND: &'static str = "workflow";
    const WHOLE_SHARD: Option<&'static str> = Some(PODS_LISTED);

    fn meters(&self) -> Meters {
        metrics::meters()
    }

    fn span(&self, key: &WorkflowKey, doing: Doing<'_, Fact>) -> Span {
        if is_locks_uid(&key.uid) { self.locks.span(key, doing) } else { self.workflows.span(key, doing) }
    }

    async fn listed(&self) {
        self.workflows.listed().await;
    }

    fn unfinished(&self, age: Duration) -> Vec<WorkflowKey> {
        let mut all = self.workflows.unfinished(age);
        // Those that nobody uses leave memory, and are not to be taken up again and again.
        if age.is_zero() {
            all.extend(self.locks.in_use());
        }
        all
    }

    fn find(&self, uid: &str) -> Option<WorkflowKey> {
        LocksStore::key_of(uid).or_else(|| self.workflows.find(uid))
    }

    async fn fetch(&self, key: &WorkflowKey) -> Result<Option<Stored>, Failure> {
        if is_locks_uid(&key.uid) {
            return Ok(Some(Stored::Locks(Box::new(self.locks.fetch(key).await?))));
        }
        Ok(self.workflows.fetch(key).await?.map(|object| Stored::Workflow(Box::new(object))))
    }

    async fn look(&self, key: &WorkflowKey) -> Result<Option<Marks<Position>>, Failure> {
        if is_locks_uid(&key.uid) {
            return Ok(Some(self.locks.fetch(key).await?.marks()));
        }
        self.workflows.look(key).await
    }

    fn marks(&self, stored: &Stored) -> Marks<Position> {
        match stored {
            Stored::Workflow(object) => self.workflows.marks(object),
            Stored::Locks(locks) => locks.marks(),
        }
    }

    async fn load(&self, key: &WorkflowKey, stored: Stored) -> Result<Loaded<Self>, Failure> {
        match stored {
            Stored::Workflow(object) => Ok(match self.workflows.load(key, *object).await? {
                Found::Workflow { entity, stored, life } => Loaded::Entity {
                    entity: Hosted::Workflow(entity),
                    stored: Stored::Workflow(Box::new(stored)),
                    life,
                },
                Found::Gone => Loaded::Gone,
                Found::Broken { stored, reason } => {
                    Loaded::Broken { stored: Stored::Workflow(Box::new(stored)), reason }
                }
            }),
            Stored::Locks(stored) => Ok(Loaded::Entity {
                entity: Hosted::Locks(Box::new(self.locks.load(&stored))),
                stored: Stored::Locks(stored),
                life: String::new(),
            }),
        }
    }

    fn passes(&self, cause: &(dyn Error + 'static)) -> Option<bool> {
        self.workflows.passes(cause)
    }

    fn read(&self, message: &Message) -> Reading<Fact> {
        if LocksStore::is_of_locks(message) { LocksStore::read(message) } else { self.workflows.read(message) }
    }

    fn is_of_store(&self, message: &Message) -> bool {
        LocksStore::is_of_locks(message) || self.workflows.is_of_store(message)
    }

    async fn resolve(&self, key: &WorkflowKey, fact: Fact) -> Result<Fact, Failure> {
        match fact {
            Fact::Workflow(fact) => Ok(Fact::Workflow(self.workflows.resolve(key, fact).await?)),
            fact @ Fact::Locks(_) => Ok(fact),
        }
    }

    fn says_out_of_service(&self, fact: &Fact) -> bool {
        match fact {
            Fact::Workflow(fact) => self.workflows.says_out_of_service(fact),
            Fact::Locks(_) => false,
        }
    }

    fn answers_check(&self, message: &Message) -> Option<&'static str> {
        if LocksStore::is_of_locks(message) { None } else { self.workflows.answers_check(message) }
    }

    fn fired(&self, host: &Host, key: &WorkflowKey, id: String, timer: &str) -> Publish {
        if is_locks_uid(&key.uid) {
            LocksStore::fired(host, key, id, timer)
        } else {
            self.workflows.fired(host, key, id, timer)
        }
    }

    fn lacking(&self, host: &Host, entity: &Hosted, stored: Stored, is_cut_off: bool) -> Option<Publish> {
        match (entity, stored) {
            (Hosted::Workflow(entity), Stored::Workflow(object)) => {
                self.workflows.lacking(host, entity, *object, is_cut_off)
            }
            (Hosted::Workflow(_) | Hosted::Locks(_), Stored::Workflow(_) | Stored::Locks(_)) => None,
        }
    }

    fn ask(&self, key: &WorkflowKey, id: String, origin: u64, question: Question) {
        match question {
            Question::Lookup(question) => self.workflows.ask(key, id, question),
            Question::Locks(question) => self.locks.ask(key, id, origin, question),
        }
    }

    fn last_words(&self, cause: &Cause<'_, WorkflowKey>, stored: &Stored, reason: &str) -> Vec<Publish> {
        match stored {
            Stored::Workflow(object) => self.workflows.last_words(cause, object, reason),
            // Who waits for them goes on waiting, until the entry in the quarantine is gone.
            Stored::Locks(_) => Vec::new(),
        }
    }
}
