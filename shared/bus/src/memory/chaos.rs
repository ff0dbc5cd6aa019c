//! Faults that a simulation plants in the in-process bus.

use crate::{Message, Publish};

/// Decides which faults happen. Called while a stream is locked: it must not call the bus.
pub trait Chaos: Send + Sync + 'static {
    /// What happens to a message about to be handed out, redeliveries included.
    fn on_deliver(&self, message: &Message) -> DeliverFault {
        let _ = message;
        DeliverFault::Once
    }

    /// What happens to a message about to be stored.
    fn on_publish(&self, message: &Publish) -> PublishFault {
        let _ = message;
        PublishFault::None
    }

    /// What happens to an acknowledgement.
    fn on_ack(&self, message: &Message) -> AckFault {
        let _ = message;
        AckFault::None
    }
}

/// Fate of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliverFault {
    /// Handed out as it should be.
    Once,
    /// Handed out, and again with the next call, acknowledged or not.
    Twice,
    /// Handed out this many milliseconds later; later messages of its subject wait behind it.
    DelayMs(u64),
    /// Lost on the way: redelivered after `ack_wait`.
    DropThenRedeliver,
}

/// Fate of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishFault {
    /// Stored and answered.
    None,
    /// Stored, but the caller gets `Unavailable`.
    LostAnswer,
    /// Not stored; the caller gets `Unavailable`.
    Refused,
}

/// Fate of an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckFault {
    /// Arrives.
    None,
    /// Lost, without the caller's knowledge: the message is redelivered.
    Lost,
}
