//! What can go wrong on the bus, and whether trying again helps.

use std::io;
use std::path::PathBuf;

use crate::Stream;

/// Boxed source of an error whose type belongs to an implementation.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// A failed operation on the bus.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A subject, filter, consumer or lease name that cannot be used.
    #[error("bad subject `{subject}`: {reason}")]
    BadSubject {
        /// The text as given.
        subject: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The name of an installation cannot be used.
    #[error("bad prefix `{prefix}`: {reason}")]
    BadPrefix {
        /// The text as given.
        prefix: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Headers and payload are larger than the bus takes.
    #[error("message to `{subject}` has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Where it was to go.
        subject: String,
        /// Bytes of payload and headers.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Headers, the bus's own included, are larger than the bus takes.
    #[error("message to `{subject}` has {size} bytes of headers, the limit is {limit}")]
    HeadersTooLarge {
        /// Where it was to go.
        subject: String,
        /// Bytes of headers.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A batch has more messages or bytes than the bus takes at once; [`crate::batches`] cuts it.
    #[error("a batch of {messages} messages and {bytes} bytes is too large: {limit}")]
    BatchTooLarge {
        /// How many messages.
        messages: usize,
        /// Their bytes, headers included.
        bytes: usize,
        /// The limit, in words.
        limit: String,
    },
    /// The expected last sequence does not hold: somebody else wrote.
    #[error("`{filter}` is not at sequence {expected}")]
    Fenced {
        /// Filter of the expectation.
        filter: String,
        /// Sequence the writer believed to be the last.
        expected: u64,
    },
    /// The stream, or what the server lets it have, has reached its limit of bytes. Purging makes room, and works when full.
    #[error("stream {stream} is full")]
    Full {
        /// The stream.
        stream: Stream,
    },
    /// The consumer exists with a different meaning, or overlaps another on a work queue.
    #[error("consumer `{name}` of {stream}: {reason}")]
    ConsumerConflict {
        /// Stream of the consumer.
        stream: Stream,
        /// Its durable name.
        name: String,
        /// What does not fit.
        reason: &'static str,
    },
    /// The consumer was removed while a handle waited on it.
    #[error("consumer `{name}` of {stream} is gone")]
    ConsumerGone {
        /// Stream of the consumer.
        stream: Stream,
        /// Its durable name.
        name: String,
    },
    /// The lease lapsed, was released or is held by another.
    #[error("lease `{lease}` is no longer held by `{holder}`")]
    LeaseLost {
        /// Name of the lease.
        lease: String,
        /// Who believed to hold it.
        holder: String,
    },
    /// The bus gave no answer; whether the operation took effect is not known.
    #[error("{doing}: the bus does not answer")]
    Unavailable {
        /// What was being done.
        doing: &'static str,
        /// Why, when known.
        #[source]
        source: Option<Source>,
    },
    /// The bus answered that it will not do it.
    #[error("{doing}: refused by the bus")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// The answer.
        #[source]
        source: Source,
    },
    /// Reading or writing the directory of a durable memory bus failed.
    #[error("{doing} `{}`", path.display())]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file of a durable memory bus is damaged before its end, which a crash cannot cause.
    #[error("`{}` is damaged at byte {offset}: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the bad record starts.
        offset: u64,
        /// What was found.
        reason: &'static str,
    },
    /// Another process has the directory open.
    #[error("`{}` is in use by another process", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
}

/// What a failure means for the caller: decides retry, metric label and HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// May succeed when repeated as it is.
    Transient,
    /// Will not succeed when repeated as it is.
    Permanent,
    /// The program is wrong.
    Bug,
}

impl Error {
    /// Whether trying again can help.
    pub fn class(&self) -> Class {
        match self {
            Self::Unavailable { .. } | Self::Full { .. } => Class::Transient,
            Self::BadPrefix { .. }
            | Self::TooLarge { .. }
            | Self::HeadersTooLarge { .. }
            | Self::BatchTooLarge { .. }
            | Self::Fenced { .. }
            | Self::ConsumerConflict { .. }
            | Self::ConsumerGone { .. }
            | Self::LeaseLost { .. }
            | Self::Refused { .. }
            | Self::Storage { .. }
            | Self::Corrupt { .. }
            | Self::Locked { .. } => Class::Permanent,
            Self::BadSubject { .. } => Class::Bug,
        }
    }

    /// Whether the stream is full: purge what may go, or wait until others do, and try again.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Whether the message (or batch) is too large for the bus, now and later.
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::HeadersTooLarge { .. } | Self::BatchTooLarge { .. })
    }

    /// Whether this is a lost fence: another owner writes, and the caller must stop.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Fenced { .. })
    }
}
