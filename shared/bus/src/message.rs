//! Streams and what is stored in them.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

/// The streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Facts from outside, in order. Kept until purged.
    Observed,
    /// Wishes of the scheduler. A work queue: an acknowledged message is gone.
    Commands,
    /// Facts decided. Kept until purged.
    Events,
    /// Nodes of workflows that do not fit into their objects. Kept until purged; nobody consumes them, they are read.
    Nodes,
}

impl Stream {
    /// Every stream, in a fixed order.
    pub const ALL: [Self; Self::COUNT] = [Self::Observed, Self::Commands, Self::Events, Self::Nodes];
    /// How many there are.
    pub const COUNT: usize = 4;

    /// Its name; on a NATS server the installation's prefix stands before it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Observed => "OBSERVED",
            Self::Commands => "COMMANDS",
            Self::Events => "EVENTS",
            Self::Nodes => "NODES",
        }
    }

    /// First two tokens of each of its subjects, such as `argosy.event`.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Observed => "argosy.observed",
            Self::Commands => "argosy.command",
            Self::Events => "argosy.event",
            Self::Nodes => "argosy.nodes",
        }
    }

    /// Its place in [`Self::ALL`].
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Observed => 0,
            Self::Commands => 1,
            Self::Events => 2,
            Self::Nodes => 3,
        }
    }

    /// Whether an acknowledgement removes the message.
    pub fn is_work_queue(self) -> bool {
        self == Self::Commands
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it is stored.
    pub stream: Stream,
    /// Its subject, see [`crate::subject`].
    pub subject: String,
    /// Position in the stream, from 1, growing, with gaps.
    pub sequence: u64,
    /// Id given by the publisher.
    pub id: String,
    /// Headers given by the publisher, such as trace context; untouched.
    pub headers: BTreeMap<String, String>,
    /// The content.
    pub payload: Bytes,
    /// How often it was handed out, this time included; 0 when read without a consumer. After a restart of a durable memory
    /// bus it counts from the restart.
    pub deliveries: u32,
}

/// A message to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// Where to.
    pub stream: Stream,
    /// Must belong to the stream, see [`crate::subject`].
    pub subject: String,
    /// Names the message within its stream; a repeat within the dedup window is stored once. Not empty.
    pub id: String,
    /// Passed through. Names starting with `Nats-` are refused.
    pub headers: BTreeMap<String, String>,
    /// The content.
    pub payload: Bytes,
    /// Store only if this holds.
    pub expect: Option<Expect>,
    /// Whether it may use the part of a stream that is kept for what lets a full stream drain, see [`RESERVE_PART`]. A batch
    /// may when all of its messages may.
    pub urgent: bool,
}

/// One part in so many of a stream that has a limit of bytes is kept for urgent messages: claims to shards, ends of pods and
/// workflows, timers. Others are refused as `Full` when they would reach into it. On NATS the limit is looked at about once
/// a second, so a burst may reach into the reserve.
pub const RESERVE_PART: u64 = 16;

impl Publish {
    /// A message without headers and without a fence.
    pub fn new(stream: Stream, subject: impl Into<String>, id: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self {
            stream,
            subject: subject.into(),
            id: id.into(),
            headers: BTreeMap::new(),
            payload: payload.into(),
            expect: None,
            urgent: false,
        }
    }

    /// Let it use the reserve of a full stream. For small messages without which nothing can be purged.
    pub fn urgent(mut self) -> Self {
        self.urgent = true;
        self
    }

    /// With one more header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// With a fence: stored only while the newest message under `filter` has `last_sequence`.
    pub fn expect(mut self, filter: impl Into<String>, last_sequence: u64) -> Self {
        self.expect = Some(Expect { filter: filter.into(), last_sequence });
        self
    }
}

/// The state a writer believes the stream to be in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// Subject or wildcard such as `argosy.event.3.>`; must match the subject of the message.
    pub filter: String,
    /// Sequence of the newest stored message under `filter`, 0 for none.
    pub last_sequence: u64,
}

/// What a batch is appended behind, see [`crate::Bus::append`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// Subject or wildcard such as `argosy.event.3.>`; must match the subject of every message of the batch. All writers of
    /// these subjects must use the same text.
    pub filter: String,
    /// Sequence of the newest stored message under `filter`, 0 for none.
    pub last: u64,
}

impl Fence {
    /// A fence.
    pub fn new(filter: impl Into<String>, last: u64) -> Self {
        Self { filter: filter.into(), last }
    }

    /// The fence of the next batch, once this one was answered with `acks`.
    pub fn after(&self, acks: &[Ack]) -> Self {
        let last = acks.iter().map(|ack| ack.sequence).fold(self.last, u64::max);
        Self { filter: self.filter.clone(), last }
    }
}

/// Most messages of one batch: the limit of a NATS server that was not told otherwise.
pub const BATCH_MESSAGES_MAX: usize = 1000;
/// Most bytes of one batch, payloads, headers and ids together. A server holds a batch in memory until it is whole.
pub const BATCH_BYTES_MAX: usize = 8 << 20;

/// Cuts messages into batches that [`crate::Bus::append`] takes, in order. Each part needs a fence of its own: parts are
/// stored one by one, so that a failure may leave the first of them stored.
pub fn batches(messages: Vec<Publish>) -> Vec<Vec<Publish>> {
    let mut parts: Vec<Vec<Publish>> = Vec::new();
    let mut bytes = 0;
    for message in messages {
        let size = crate::check::size_of(&message);
        match parts.last_mut() {
            Some(part) if part.len() < BATCH_MESSAGES_MAX && bytes + size <= BATCH_BYTES_MAX => {
                bytes += size;
                part.push(message);
            }
            _ => {
                bytes = size;
                parts.push(vec![message]);
            }
        }
    }
    parts
}

/// How much of a consumer's work is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// Messages that it was not handed yet.
    pub pending: u64,
    /// Messages that it was handed and that have no final answer; those that wait for a redelivery are among them.
    pub unacknowledged: u64,
}

/// The bus has the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// Its sequence; of the first copy when it is a duplicate.
    pub sequence: u64,
    /// Whether a message with its id had been stored before.
    pub duplicate: bool,
}
