//! Where entities are stored, and how their log reads.

use std::error::Error;
use std::time::Duration;

use argosy_actor::{Failure, Host};
use argosy_bus::{Message, Publish};
use async_trait::async_trait;
use jiff::Timestamp;
use tracing::Span;

use crate::{Cause, Entity, Meters};

/// The key of a store's entities.
pub type KeyOf<S> = <<S as Store>::Entity as Entity>::Key;
/// What a message of their log says.
pub(crate) type FactOf<S> = <<S as Store>::Entity as Entity>::Fact;
/// What they ask.
pub(crate) type QuestionOf<S> = <<S as Store>::Entity as Entity>::Question;
/// A place among what was published of one.
pub type PositionOf<S> = <<S as Store>::Entity as Entity>::Position;

/// What is noted on what is stored of an entity.
#[derive(Clone, Copy, Debug)]
pub struct Marks<P> {
    /// How far what was published of it is in there.
    pub position: P,
    /// The event of its log that this is up to: what is behind is not stored. 0: nothing is.
    pub sequence: u64,
    /// It was put out of service.
    pub is_out_of_service: bool,
}

/// What became of loading.
pub enum Loaded<S: Store> {
    /// It is there.
    Entity {
        /// As it was stored.
        entity: S::Entity,
        /// What was stored of it.
        stored: S::Stored,
        /// Tells apart what is published since it was taken back into service from what was before, in ids; empty for one
        /// that never was.
        life: String,
    },
    /// It is gone, or is not to be run.
    Gone,
    /// What is stored makes no entity: it is put out of service.
    Broken {
        /// What was stored.
        stored: S::Stored,
        /// Why, for people.
        reason: String,
    },
}

/// What a message of the log is.
pub enum Reading<F> {
    /// To be stepped.
    Fact {
        /// When it was seen.
        at: Timestamp,
        /// What it says.
        fact: F,
    },
    /// Of a schema that this process does not know.
    Newer,
    /// Nothing that anybody here could read; with the reason.
    Garbage(String),
}

/// What a span is about.
pub enum Doing<'a, F> {
    /// A step.
    Step {
        /// Sequence of the event.
        sequence: u64,
        /// What it says.
        fact: &'a F,
    },
    /// So many messages are published.
    Publish(usize),
    /// Something is told of it in the log of the process.
    Tell,
}

/// Where the entities of a kind are stored, how their log reads, and what the host cannot know of them. There is one for each
/// owned shard.
#[async_trait]
pub trait Store: Send + Sync + Sized + 'static {
    /// What is stored.
    type Entity: Entity;
    /// What is stored of one.
    type Stored: Send + Sync;

    /// What one is called, in metrics and in reasons that people read.
    const KIND: &'static str;
    /// Uid in the subject of messages that speak of a whole shard: whoever tells it of the world may have missed something, and
    /// all entities ask, see [`Entity::inquire`]. `None`: there is no such message.
    const WHOLE_SHARD: Option<&'static str> = None;

    /// Where its figures are counted.
    fn meters(&self) -> Meters;

    /// The span for what is done with an entity.
    fn span(&self, key: &KeyOf<Self>, doing: Doing<'_, FactOf<Self>>) -> Span;

    // Which there are.

    /// Waits until it is known which entities have not ended.
    async fn listed(&self);

    /// Those that have not ended and have been known for at least `age`.
    fn unfinished(&self, age: Duration) -> Vec<KeyOf<Self>>;

    /// Where the entity is, if that is known; nothing is decided from it.
    fn find(&self, uid: &str) -> Option<KeyOf<Self>>;

    // What is stored of one.

    /// What is stored. `None`: it is gone, or never was.
    async fn fetch(&self, key: &KeyOf<Self>) -> Result<Option<Self::Stored>, Failure>;

    /// What is noted on it, read anew.
    async fn look(&self, key: &KeyOf<Self>) -> Result<Option<Marks<PositionOf<Self>>>, Failure>;

    /// What is noted on it.
    fn marks(&self, stored: &Self::Stored) -> Marks<PositionOf<Self>>;

    /// The entity as it was stored. Not asked for what is out of service.
    async fn load(&self, key: &KeyOf<Self>, stored: Self::Stored) -> Result<Loaded<Self>, Failure>;

    /// Whether a failure that `cause` is a cause of may pass by itself, see [`argosy_actor::Factory::passes`].
    fn passes(&self, cause: &(dyn Error + 'static)) -> Option<bool>;

    // How its log reads.

    /// Reads a message of its log.
    fn read(&self, message: &Message) -> Reading<FactOf<Self>>;

    /// Whether the message is one by which its store speaks of the entity: others may be anybody's.
    fn is_of_store(&self, message: &Message) -> bool;

    /// Puts what a fact refers to in its place.
    async fn resolve(&self, key: &KeyOf<Self>, fact: FactOf<Self>) -> Result<FactOf<Self>, Failure> {
        _ = key;
        Ok(fact)
    }

    /// Whether the fact shows the entity as it was while it was out of service: it is not stepped, and what is stored is looked
    /// at instead.
    fn says_out_of_service(&self, fact: &FactOf<Self>) -> bool {
        _ = fact;
        false
    }

    /// What a fact has found if anything follows from it, where it answers a check, see [`Entity::inquire`].
    fn answers_check(&self, message: &Message) -> Option<&'static str> {
        _ = message;
        None
    }

    /// The fact that its timer `timer` has fired, with the id `id`.
    fn fired(&self, host: &Host, key: &KeyOf<Self>, id: String, timer: &str) -> Publish;

    /// What the log lacks of what is stored, for a new owner who has stepped all of it. `is_cut_off`: the log was lost since
    /// that was stored.
    fn lacking(&self, host: &Host, entity: &Self::Entity, stored: Self::Stored, is_cut_off: bool) -> Option<Publish> {
        _ = (host, entity, stored, is_cut_off);
        None
    }

    // What it wants of others.

    /// Looks for the answer to a question; it is reported under the id `id`. Does not wait for it. `origin`: where the bus
    /// began on which it was asked.
    fn ask(&self, key: &KeyOf<Self>, id: String, origin: u64, question: QuestionOf<Self>);

    /// What is published when the entity is put out of service, for `reason`, so that from then on its marks say so.
    /// `cause.sequence` is the newest event of its log.
    fn last_words(&self, cause: &Cause<'_, KeyOf<Self>>, stored: &Self::Stored, reason: &str) -> Vec<Publish>;
}
