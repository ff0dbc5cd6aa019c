//! Hosts entities: whatever has a log of its own and is what the log makes of it. For each fact of the log the host does the
//! same: it has the entity take a step, publishes what the step asks for (EVENTS behind a fence; a command may be sent twice),
//! arms timers, and acknowledges last. Of an entity whose mailbox is full it acknowledges at once, and reads the log again.
//! It loads entities and recovers them from their log, purges what is stored elsewhere, and puts out of service what fails
//! again and again. What an entity is, and where it is stored, it is told by [`Entity`] and [`Store`].

mod actors;
mod adopt;
mod entity;
mod live;
mod log;
mod meters;
mod outbox;
mod outgoing;
mod own;
mod quarantine;
mod recover;
mod send;
mod shard;
mod store;
mod timers;
mod turn;

pub use argosy_actor::EntityKey;
pub use entity::{Cause, Entity, Event};
pub use meters::Meters;
pub use outgoing::Outgoing;
pub use own::own;
pub use shard::{Process, Settings, consumer_of};
pub use store::{Doing, KeyOf, Loaded, Marks, PositionOf, Reading, Store};
