//! What an actor is, and who builds it.

use std::error::Error;
use std::fmt::Debug;

use argosy_bus::Delivery;
use async_trait::async_trait;
use tokio::time::Instant;

use crate::Failure;

/// Messages that wait for one actor by default.
const MAILBOX: usize = 256;

/// A message that an actor is sent.
pub trait Inbound: Send + 'static {
    /// What tells it from other messages on the bus: its sequence. A message that is still queued, or in hand, is not queued
    /// again when it is delivered again. `None` for one that does not come from the bus.
    fn sequence(&self) -> Option<u64>;

    /// The delivery that brought it, to be answered; `None` for one that does not come from the bus.
    fn into_delivery(self) -> Option<Delivery>;
}

impl Inbound for Delivery {
    fn sequence(&self) -> Option<u64> {
        Some(self.message.sequence)
    }

    fn into_delivery(self) -> Option<Delivery> {
        Some(self)
    }
}

impl<T: Inbound> Inbound for Box<T> {
    fn sequence(&self) -> Option<u64> {
        T::sequence(self)
    }

    fn into_delivery(self) -> Option<Delivery> {
        T::into_delivery(*self)
    }
}

/// What an actor does after it was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    Continue,
    /// Nothing is left to do: drop it. A later message builds it again.
    Stop,
}

/// One actor. It owns its state; nobody else sees it.
#[async_trait]
pub trait Actor: Send + 'static {
    /// What is sent to it.
    type Message: Inbound;

    /// Deals with messages, in order of arrival. Never empty. An error, or a panic, drops the actor, which is built anew.
    async fn handle(&mut self, batch: Vec<Self::Message>) -> Result<(), Failure>;

    /// When [`Actor::wake`] is due; asked after every call.
    fn wake_at(&self) -> Option<Instant>;

    /// The time of [`Actor::wake_at`] has come and no message waits.
    async fn wake(&mut self) -> Result<Next, Failure>;

    /// Messages for this actor were acknowledged without being handed over, as its mailbox was full: it reads them where they
    /// are kept. Called only for actors whose sender calls [`crate::Router::skip`].
    async fn catch_up(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Whoever tells this actor of the world may have missed something: it asks. Called after [`crate::Router::poke`].
    async fn poke(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Nothing more will come, as another process takes over: what was put off has to be done now. Does nothing unless an
    /// actor has something to put off.
    async fn leave(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// Builds actors.
#[async_trait]
pub trait Factory: Send + Sync + 'static {
    /// What tells actors apart.
    type Key: Ord + Clone + Debug + Send + Sync + 'static;
    /// What is built.
    type Actor: Actor;

    /// Builds, or rebuilds, the actor from what is stored. `None`: there is nothing by that key.
    async fn build(&self, key: &Self::Key) -> Result<Option<Self::Actor>, Failure>;

    /// Deals with messages for which there is no actor; with none when it was only touched.
    async fn refuse(&self, key: &Self::Key, batch: Vec<<Self::Actor as Actor>::Message>) -> Result<(), Failure>;

    /// The actor has failed `failures` times in a row, lately for `reason`. Puts it out of service in such a way that
    /// [`Factory::build`] finds nothing to build from then on, and says so with true. Asked again after each further failure.
    async fn quarantine(&self, key: &Self::Key, failures: u32, reason: &str) -> Result<bool, Failure> {
        let _ = (key, failures, reason);
        Ok(false)
    }

    /// Whether a failure that `cause` is a cause of may pass by itself, such as that of an API that did not answer; `None` when
    /// that is not known here. What the bus answers is known without.
    fn passes(&self, cause: &(dyn Error + 'static)) -> Option<bool>;

    /// Messages that may wait for one actor. Less than what the consumer behind it hands out, or one actor could hold all.
    fn mailbox(&self) -> usize {
        MAILBOX
    }
}

/// What the actors of a factory are sent.
pub type MessageOf<F> = <<F as Factory>::Actor as Actor>::Message;
