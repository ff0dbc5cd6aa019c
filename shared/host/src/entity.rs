//! What lives on a host.

use argosy_actor::EntityKey;
use argosy_bus::Publish;
use jiff::Timestamp;

use crate::Outgoing;

/// A fact of the log, in its order.
#[derive(Clone, Debug)]
pub struct Event<F> {
    /// Sequence of its message.
    pub sequence: u64,
    /// When it was seen.
    pub at: Timestamp,
    /// The fact.
    pub fact: F,
}

/// What caused commands.
#[derive(Clone, Debug)]
pub struct Cause<'a, K> {
    /// Of whom.
    pub key: &'a K,
    /// Its shard.
    pub shard: u16,
    /// The epoch of the shard's owner.
    pub epoch: u64,
    /// Where the bus began that the owner of the shard knows.
    pub origin: u64,
    /// How far the log was stepped.
    pub sequence: u64,
    /// First part of the ids of what follows from it: the sequence, or what stands for it.
    pub id: String,
    /// When.
    pub at: Timestamp,
}

/// One entity: what its log makes of it. It is loaded by its [`crate::Store`], takes steps, and is recovered by a new owner.
/// Takes no part in IO, time or chance: equal facts give equal commands.
pub trait Entity: Send + Sync + Sized + 'static {
    /// What it is named by.
    type Key: EntityKey;
    /// What a message of its log says.
    type Fact: Send;
    /// What follows from a step.
    type Command: Send;
    /// What it may ask of the world outside. The answer is a fact in its log.
    type Question: Ord + Send;
    /// A place among what was published of it.
    type Position: Copy + Ord + Default + Send + Sync + 'static;

    /// Takes a step. A panic is a failure of this entity alone; after some in a row it is put out of service.
    fn step(&mut self, event: Event<Self::Fact>) -> Vec<Self::Command>;

    /// It is loaded as it was stored, by a new owner, and will step what the log holds behind that. Whatever it waits for is
    /// asked for again, as that may have got lost.
    fn recover(&mut self, at: Timestamp) -> Vec<Self::Command>;

    /// Whoever tells of the world may have missed something: it asks after what it waits for. `is_check`: this is a check, and
    /// an answer that brings news has found a bug.
    fn inquire(&mut self, is_check: bool) -> Vec<Self::Command> {
        _ = is_check;
        Vec::new()
    }

    /// Turns commands into messages, timers and questions. Equal causes with equal commands give equal ids: that makes repeats
    /// harmless.
    fn stamp(&mut self, cause: &Cause<'_, Self::Key>, commands: Vec<Self::Command>, out: &mut Outgoing<Self::Question>);

    /// The position of the last of what was published of it.
    fn published(&self) -> Self::Position;

    /// Whether it has ended: it has no timers and waits for nothing, and leaves memory when what was published is stored.
    fn is_over(&self) -> bool;

    /// The timers that it waits for, with their dues.
    fn timers(&self) -> Vec<(String, Timestamp)>;

    /// What it should have done and did not, in words. Whatever is found here is a bug.
    fn overlooked(&self) -> Vec<String> {
        Vec::new()
    }

    /// A fact behind what was stored, before it is stepped by a new owner: takes what it answers off `out`.
    fn replayed(&mut self, fact: &Self::Fact, out: &mut Outgoing<Self::Question>);

    /// What of a message is still wished for by a new owner who knows all of the log.
    fn still_wished(&self, message: Publish) -> Option<Publish> {
        Some(message)
    }
}
