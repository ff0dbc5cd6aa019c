//! One stream: its messages, the ids it remembers and its consumers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::cursor::Cursor;
use super::index::{Index, Next};
use super::{Options, size_of};
use crate::subject::Filter;
use crate::{Ack, ConsumerSpec, Deliver, Error, Message, Publish, Stream};

pub(super) struct Log {
    stream: Stream,
    /// Newest sequence ever given out.
    last: u64,
    /// Payload and header bytes stored.
    bytes: u64,
    entries: BTreeMap<u64, Entry>,
    index: Index,
    ids: Ids,
    pub(super) consumers: BTreeMap<Arc<str>, Cursor>,
}

/// A stored message.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) subject: Arc<str>,
    pub(super) id: Arc<str>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) payload: Bytes,
    size: u64,
}

impl Entry {
    pub(super) fn message(&self, stream: Stream, sequence: u64, deliveries: u32) -> Message {
        Message {
            stream,
            subject: self.subject.as_ref().to_owned(),
            sequence,
            id: self.id.as_ref().to_owned(),
            headers: self.headers.clone(),
            payload: self.payload.clone(),
            deliveries,
        }
    }
}

/// Ids stored lately. The map is never iterated, so its order cannot leak.
#[derive(Default)]
struct Ids {
    sequences: HashMap<Arc<str>, u64>,
    ages: VecDeque<(Instant, Arc<str>)>,
}

impl Ids {
    fn expire(&mut self, now: Instant, options: &Options) {
        while let Some((stored, id)) = self.ages.front() {
            if self.ages.len() <= options.dedup_ids_max
                && now.duration_since(*stored) < options.dedup_window
            {
                break;
            }
            self.sequences.remove(id);
            self.ages.pop_front();
        }
    }

    fn insert(&mut self, id: Arc<str>, sequence: u64, now: Instant) {
        self.sequences.insert(Arc::clone(&id), sequence);
        self.ages.push_back((now, id));
    }
}

impl Log {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            last: 0,
            bytes: 0,
            entries: BTreeMap::new(),
            index: Index::default(),
            ids: Ids::default(),
            consumers: BTreeMap::new(),
        }
    }

    /// Appends a checked message.
    pub(super) fn append(
        &mut self,
        message: Publish,
        fence: Option<&(Filter, u64)>,
        options: &Options,
    ) -> Result<Ack, Error> {
        let now = Instant::now();
        self.ids.expire(now, options);
        if let Some(sequence) = self.ids.sequences.get(message.id.as_str()) {
            return Ok(Ack {
                sequence: *sequence,
                duplicate: true,
            });
        }
        if let Some((filter, expected)) = fence
            && self.last(filter) != *expected
        {
            return Err(Error::Fenced {
                filter: filter.as_str().to_owned(),
                expected: *expected,
            });
        }
        let size = size_of(&message) as u64;
        if self.bytes + size > options.stream_bytes_max {
            return Err(Error::Full {
                stream: self.stream,
            });
        }
        let sequence = self.last + 1;
        let id: Arc<str> = message.id.into();
        self.ids.insert(Arc::clone(&id), sequence, now);
        self.insert(
            sequence,
            &message.subject,
            id,
            message.headers,
            message.payload,
            size,
        );
        for consumer in self
            .consumers
            .values()
            .filter(|consumer| consumer.filter.matches(&message.subject))
        {
            consumer.wake.notify_one();
        }
        Ok(Ack {
            sequence,
            duplicate: false,
        })
    }

    fn insert(
        &mut self,
        sequence: u64,
        subject: &str,
        id: Arc<str>,
        headers: BTreeMap<String, String>,
        payload: Bytes,
        size: u64,
    ) {
        self.last = self.last.max(sequence);
        self.bytes += size;
        let subject = self.index.insert(subject, sequence);
        self.entries.insert(
            sequence,
            Entry {
                subject,
                id,
                headers,
                payload,
                size,
            },
        );
    }

    pub(super) fn last(&self, filter: &Filter) -> u64 {
        self.index.last(filter).unwrap_or(0)
    }

    pub(super) fn read(&self, filter: &Filter, after: u64, limit: usize) -> Vec<Message> {
        let sequences = self
            .index
            .range(filter, after.saturating_add(1), self.last, limit);
        let found = sequences
            .into_iter()
            .filter_map(|sequence| Some((sequence, self.entries.get(&sequence)?)));
        found
            .map(|(sequence, entry)| entry.message(self.stream, sequence, 0))
            .collect()
    }

    pub(super) fn entry(&self, sequence: u64) -> Option<&Entry> {
        self.entries.get(&sequence)
    }

    /// First message after `after` that fits; otherwise the position up to which there surely is none.
    pub(super) fn next(&self, filter: &Filter, after: u64) -> Result<u64, u64> {
        match self.index.next(filter, after) {
            Next::At(sequence) => Ok(sequence),
            Next::None => Err(self.last),
            Next::Scan => {
                let mut rest = self
                    .entries
                    .range((Bound::Excluded(after), Bound::Unbounded));
                rest.find(|(_, entry)| filter.matches(&entry.subject))
                    .map(|(sequence, _)| *sequence)
                    .ok_or(self.last)
            }
        }
    }

    /// Drops messages under a filter.
    pub(super) fn purge(&mut self, filter: &Filter, up_to: u64) {
        for sequence in self
            .index
            .range(filter, 1, up_to.min(self.last), usize::MAX)
        {
            self.remove(sequence);
        }
    }

    /// Drops one message, also from what consumers wait for.
    pub(super) fn remove(&mut self, sequence: u64) {
        let Some(entry) = self.entries.remove(&sequence) else {
            return;
        };
        self.index.remove(&entry.subject, sequence);
        self.bytes -= entry.size;
        for consumer in self.consumers.values_mut() {
            consumer.drop_pending(sequence);
        }
    }

    /// Opens or updates a durable consumer; gives what wakes its handles.
    pub(super) fn open_consumer(&mut self, spec: ConsumerSpec) -> Result<Arc<Notify>, Error> {
        let filter = check_consumer(&spec)?;
        let conflict = |reason| Error::ConsumerConflict {
            stream: spec.stream,
            name: spec.name.clone(),
            reason,
        };
        if let Some(consumer) = self.consumers.get_mut(spec.name.as_str()) {
            if consumer.filter != filter {
                return Err(conflict(OTHER_FILTER));
            }
            consumer.update(spec.ack_wait, spec.max_ack_pending);
            return Ok(Arc::clone(&consumer.wake));
        }
        if self.stream.is_work_queue()
            && self
                .consumers
                .values()
                .any(|other| other.filter.overlaps(&filter))
        {
            return Err(conflict(OVERLAP));
        }
        let position = match spec.deliver {
            Deliver::All => 0,
            Deliver::New => self.last,
            Deliver::After(sequence) => sequence,
        };
        let consumer = Cursor::new(&spec, filter, position);
        let wake = Arc::clone(&consumer.wake);
        self.consumers.insert(spec.name.as_str().into(), consumer);
        Ok(wake)
    }

    pub(super) fn forget_consumer(&mut self, name: &str) {
        if let Some(consumer) = self.consumers.remove(name) {
            consumer.wake.notify_waiters();
        }
    }
}

pub(crate) const OTHER_FILTER: &str = "exists with another filter";
pub(crate) const OVERLAP: &str = "its filter overlaps that of another consumer of the work queue";

/// Checks a specification as every implementation does; gives its filter in parsed form.
pub(crate) fn check_consumer(spec: &ConsumerSpec) -> Result<Filter, Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if spec.name.is_empty() || spec.name.len() > 128 || !spec.name.bytes().all(plain) {
        let reason = "a consumer's name takes 1 to 128 letters, digits, `-` and `_`";
        return Err(Error::BadSubject {
            subject: spec.name.clone(),
            reason,
        });
    }
    let conflict = |reason| Error::ConsumerConflict {
        stream: spec.stream,
        name: spec.name.clone(),
        reason,
    };
    if spec.max_ack_pending == 0 || spec.ack_wait.is_zero() {
        return Err(conflict("max_ack_pending and ack_wait must not be zero"));
    }
    if spec.stream.is_work_queue() && spec.deliver != Deliver::All {
        return Err(conflict("a work queue is consumed from its start"));
    }
    Filter::of(spec.stream, &spec.filter)
}
