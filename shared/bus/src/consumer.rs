//! Durable consumers and what they hand out.

use std::time::Duration;

use async_trait::async_trait;

use crate::{Error, Message, Stream};

/// What a durable consumer sees, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerSpec {
    /// Which stream.
    pub stream: Stream,
    /// Durable name: letters, digits, `-` and `_`.
    pub name: String,
    /// Subject or wildcard, such as `argosy.observed.3.>`.
    pub filter: String,
    /// After this long without an answer a message is handed out again.
    pub ack_wait: Duration,
    /// New messages stop while this many are handed out and unanswered. At least 1.
    pub max_ack_pending: usize,
    /// Where a new consumer starts.
    pub deliver: Deliver,
}

impl ConsumerSpec {
    /// Everything under `filter` from the start, 30 s to acknowledge, at most 1,024 unanswered.
    pub fn new(stream: Stream, name: impl Into<String>, filter: impl Into<String>) -> Self {
        Self {
            stream,
            name: name.into(),
            filter: filter.into(),
            ack_wait: Duration::from_secs(30),
            max_ack_pending: 1024,
            deliver: Deliver::All,
        }
    }
}

/// First message of a new consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deliver {
    /// The oldest stored.
    All,
    /// The next to be stored.
    New,
    /// The first with a greater sequence.
    After(u64),
}

/// A handle of a durable consumer.
///
/// It outlives hiccups of the bus: a lost connection, a restart or election of servers, answers that do not come. Then it
/// asks again with growing pauses and goes on by itself, and counts that in [`Consumer::hiccups`]. Errors are for what it
/// cannot wait out.
#[async_trait]
pub trait Consumer: Send {
    /// Waits for a message, however long the bus is away. Dropping the future loses no message for longer than `ack_wait`.
    ///
    /// Errors: `ConsumerGone` when the consumer was removed, or lost with the bus's store: open it anew. After any other error
    /// the same handle may be asked again.
    async fn next(&mut self) -> Result<Delivery, Error>;

    /// Up to `max` messages: those that are there at once, or the first to come within `wait`; empty when none comes.
    async fn next_batch(&mut self, max: usize, wait: Duration) -> Result<Vec<Delivery>, Error>;

    /// Gives back, at once, what came to this handle and was not taken from it yet. To be called before the handle is
    /// dropped in order; without it, or when it fails, those messages come again after `ack_wait`.
    async fn close(&mut self) -> Result<(), Error>;

    /// How often the handle had to wait out a hiccup of the bus since it was opened.
    fn hiccups(&self) -> u64 {
        0
    }
}

/// A message that waits for an answer.
///
/// Dropping it without one means that it comes again after `ack_wait`.
pub struct Delivery {
    /// The message.
    pub message: Message,
    settle: Box<dyn Settle>,
}

/// Shortest and longest delay of [`Delivery::hold`].
pub const HOLD_MIN: Duration = Duration::from_secs(10);
/// See [`HOLD_MIN`].
pub const HOLD_MAX: Duration = Duration::from_secs(600);

/// Carries the answer of one delivery back to the bus.
#[async_trait]
pub trait Settle: Send + Sync {
    /// Sends the verdict. An ack or term counts whichever delivery of the message it answers; the others only for the newest.
    async fn settle(&self, verdict: Verdict) -> Result<(), Error>;
}

/// The answer to a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Done; on a work queue the message is removed.
    Ack,
    /// Again after this delay.
    Nak(Duration),
    /// Never again for this consumer; on a work queue the message is removed.
    Term,
    /// Still at work: `ack_wait` starts anew.
    InProgress,
}

impl Delivery {
    /// A delivery whose answer goes to `settle`. For implementations and for wrappers around a bus.
    pub fn new(message: Message, settle: Box<dyn Settle>) -> Self {
        Self { message, settle }
    }

    /// The message is dealt with.
    ///
    /// Errors: `Unavailable`; the message then comes again.
    pub async fn ack(self) -> Result<(), Error> {
        self.settle.settle(Verdict::Ack).await
    }

    /// The message shall come again, after `delay`.
    pub async fn nak(self, delay: Duration) -> Result<(), Error> {
        self.settle.settle(Verdict::Nak(delay)).await
    }

    /// Keeps the message for somebody else: a newer process that knows what it says, when this one does not.
    ///
    /// A `nak` whose delay doubles with each delivery, from [`HOLD_MIN`] to [`HOLD_MAX`], so that what waits for an upgrade is
    /// handed out a few times an hour and not in a circle. It stays unacknowledged, and so counts against `max_ack_pending`:
    /// whoever holds many (see [`crate::Lag`]) puts further ones into the quarantine and acknowledges them instead, or the
    /// consumer stands still.
    pub async fn hold(self) -> Result<(), Error> {
        let doublings = self.message.deliveries.saturating_sub(1).min(16);
        self.nak((HOLD_MIN * (1 << doublings)).min(HOLD_MAX)).await
    }

    /// The message can never be dealt with and shall not come again.
    pub async fn term(self) -> Result<(), Error> {
        self.settle.settle(Verdict::Term).await
    }

    /// Work goes on: the time to acknowledge starts anew.
    pub async fn in_progress(&self) -> Result<(), Error> {
        self.settle.settle(Verdict::InProgress).await
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Delivery").field(&self.message).finish()
    }
}
