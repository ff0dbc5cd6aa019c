//! The bus of Argosy: its streams, durable consumers, fenced appends and leases.
//!
//! One trait, [`Bus`], and two implementations that pass one conformance suite (`tests/conformance`):
//! [`memory::Memory`] lives in this process (and on disk when given a directory), [`nats::Nats`] speaks to JetStream.
//!
//! What a caller may rely on:
//!
//! - **At least once.** A delivery that is not acknowledged comes again after `ack_wait`, or after the delay of a `nak`.
//! - **Order.** First deliveries of one consumer come in stream order, so in subject order too. A redelivery has no place in
//!   that order: it comes when its time is over, behind newer messages of its subject or before them, also when those were
//!   acknowledged long ago, and several redeliveries that are due at once come in any order. Receivers compare sequences or
//!   ids.
//! - **Limits.** Both implementations refuse the same messages: those larger than 1 MiB (or what the NATS server was told)
//!   with headers, [`HEADERS_BYTES_MAX`] of headers, [`subject::LENGTH_MAX`] of subject, and what `BadSubject` names.
//! - **Ids.** A repeated id is stored once and answered with `duplicate`, within the dedup window (two minutes) of its
//!   stream. Repeating a fenced append that went through succeeds too: the id counts before the fence.
//! - **Fences.** [`Expect`] and [`Fence`] compare with the newest message *still stored* under a filter. Purged history no
//!   longer counts. A writer that fences must therefore be the one who purges (or re-read [`Bus::last_sequence`] after a
//!   refusal while its lease holds), and a new owner should append one claim that stays. The claim must be fenced too, with
//!   the same filter: on a cluster a fence does not see messages on their way that carry none. COMMANDS cannot be fenced:
//!   an acknowledged command is gone and no longer counts. Receivers that must tell a former owner's command from the
//!   present owner's need a mark in the message, such as the epoch of the lease.
//! - **Full streams.** A stream that has reached its limit refuses what is appended and loses nothing. [`Bus::purge`],
//!   acknowledgements and leases work all the same, and [`Publish::urgent`] messages have a reserve.
//! - **Loss.** A bus that lost its store and was made anew begins past every sequence and epoch that it ever gave out; see
//!   [`Bus::origin`].

mod check;
mod consumer;
mod error;
mod lease;
pub mod memory;
mod message;
pub mod nats;
mod origin;
pub mod quarantine;
mod shard;
pub mod subject;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use check::HEADERS_BYTES_MAX;
pub use consumer::{Consumer, ConsumerSpec, Deliver, Delivery, HOLD_MAX, HOLD_MIN, Settle, Verdict};
pub use error::{Class, Error};
pub use lease::Lease;
pub use message::{
    Ack, BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, Expect, Fence, Lag, Message, Publish, RESERVE_PART, Stream, batches,
};
pub use origin::origin_of_now;
pub use quarantine::{Kept, Quarantine, Quarantined};
pub use shard::shard_of;

/// The streams and leases that the services of Argosy share.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Appends one message and returns when it is stored.
    ///
    /// Errors: `Fenced` when `expect` does not hold, `TooLarge`, `BadSubject` (also for a subject of another stream), `Full`;
    /// `Unavailable` leaves open whether the message was stored: repeat it with the same id.
    async fn publish(&self, message: Publish) -> Result<Ack, Error>;

    /// Appends the messages in order, without waiting for each answer before the next is sent.
    ///
    /// Messages with `expect` wait for their own answer, so that nothing behind a fence is stored when it is refused.
    /// Errors: the first failure; messages before it are stored, messages after it may be (their ids make a repeat harmless).
    async fn publish_all(&self, messages: Vec<Publish>) -> Result<Vec<Ack>, Error>;

    /// Appends a batch: all of its messages behind the fence, in order, or none of them.
    ///
    /// Nothing comes between the messages, and a reader sees all or none. A message whose id the stream knows already is not
    /// stored again and answered as a duplicate (with sequence 0 when its first copy is no longer stored); the fence then
    /// holds for the others. So a batch may be repeated after an answer was lost: with the same fence, because messages of
    /// the batch's beginning that already stand right behind the fence do not count against it, or with a fence made of
    /// [`Bus::last_sequence`] read anew. [`Fence::after`] gives the fence of the next batch.
    ///
    /// All messages belong to one stream, match `fence.filter`, have ids of their own and no `expect`. An empty batch succeeds
    /// without a look at the fence.
    /// Errors: `Fenced` when somebody else wrote: none of the batch is stored but what an earlier try had stored;
    /// `BatchTooLarge` beyond [`BATCH_MESSAGES_MAX`], [`BATCH_BYTES_MAX`] or a lower limit of the server, see [`batches`];
    /// those of [`Bus::publish`]. `Unavailable` leaves open whether the whole batch or none of it was stored.
    async fn append(&self, batch: Vec<Publish>, fence: Fence) -> Result<Vec<Ack>, Error>;

    /// Where the stream as it is now began: all of its messages have greater sequences, and whatever names this one or a
    /// smaller one speaks of a stream that was lost. 0 for a stream that has no predecessor.
    async fn origin(&self, stream: Stream) -> Result<u64, Error>;

    /// Sequence of the newest stored message that matches `filter`; 0 when there is none.
    async fn last_sequence(&self, stream: Stream, filter: &str) -> Result<u64, Error>;

    /// Stored messages matching `filter` with a sequence greater than `after`, oldest first, at most `limit`.
    ///
    /// Leaves no trace on the bus. `deliveries` of the results is 0.
    async fn read(&self, stream: Stream, filter: &str, after: u64, limit: usize) -> Result<Vec<Message>, Error>;

    /// Opens the durable consumer `spec.name`, creating it when it is new.
    ///
    /// Several handles of one name share its messages. A dropped handle loses nothing: what it had not acknowledged goes to
    /// the next handle once `ack_wait` has passed. `deliver` counts on creation only; `ack_wait` and `max_ack_pending` of an
    /// existing consumer are updated, and count for its other handles at once. Errors: `ConsumerConflict` when the name exists with another filter, or, on COMMANDS,
    /// when another consumer's filter overlaps or `deliver` is not `All`.
    async fn consume(&self, spec: ConsumerSpec) -> Result<Box<dyn Consumer>, Error>;

    /// Removes the durable consumer and its position. Removing one that does not exist succeeds.
    async fn forget(&self, stream: Stream, consumer: &str) -> Result<(), Error>;

    /// Subjects under `filter` that have a stored message, in order.
    async fn subjects(&self, stream: Stream, filter: &str) -> Result<Vec<String>, Error>;

    /// The sequence up to which the durable consumer has settled all that it is to see; 0 when there is no such consumer.
    async fn settled(&self, stream: Stream, consumer: &str) -> Result<u64, Error>;

    /// How much of the durable consumer's work is undone; `None` when there is no such consumer.
    async fn lag(&self, stream: Stream, consumer: &str) -> Result<Option<Lag>, Error>;

    /// Where messages wait that nobody could deal with.
    fn quarantine(&self) -> &dyn Quarantine;

    /// Sequence of the newest message under `filter` that has been stored for at least `age`; 0 when there is none.
    ///
    /// A durable memory bus that is opened anew counts from then.
    async fn older_than(&self, stream: Stream, filter: &str, age: Duration) -> Result<u64, Error>;

    /// Drops the stored messages that match `subject` (which may hold wildcards) up to and including `up_to`.
    ///
    /// Works on a full stream, and makes room at once.
    async fn purge(&self, stream: Stream, subject: &str, up_to: u64) -> Result<(), Error>;

    /// Takes the lease when it is free, lapsed, or held by `holder` already (which renews it); `None` when another holds it.
    ///
    /// The epoch grows each time the lease is taken anew (another holder, or again after it lapsed or was released), and
    /// stays when its current holder asks again. `holder` must name one incarnation of a process. `ttl` is at least 1 s.
    async fn acquire(&self, lease: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, Error>;

    /// Extends the lease by its `ttl` from now. Errors: `LeaseLost` when it lapsed, was released or taken.
    async fn renew(&self, lease: &Lease) -> Result<Lease, Error>;

    /// Gives the lease back. A lease that was lost already is no error.
    async fn release(&self, lease: Lease) -> Result<(), Error>;

    /// Names of the leases under `group` that somebody holds: those that begin with `group.`, in order.
    async fn held(&self, group: &str) -> Result<Vec<String>, Error>;
}

/// Opens the bus that `place` names: `memory:` for one inside this process, `memory:DIR` for one that keeps its state in that
/// directory, anything else is the address of a NATS server such as `nats://host:4222`, with the settings `nats`.
///
/// Errors: those of [`memory::Memory::open`] and [`nats::Nats::connect`].
pub async fn open(place: &str, nats: nats::Options) -> Result<Arc<dyn Bus>, Error> {
    let memory = || memory::Options { origin: origin_of_now(), ..memory::Options::default() };
    match place.strip_prefix("memory:") {
        Some("") => Ok(Arc::new(memory::Memory::with_options(memory()))),
        Some(dir) => Ok(Arc::new(memory::Memory::open(dir, memory()).await?)),
        None => Ok(Arc::new(nats::Nats::connect(place, nats).await?)),
    }
}
