//! The messages of one stream, and the ids it remembers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::Options;
use super::index::{Index, Next};
use crate::subject::Filter;
use crate::{Ack, Error, Message, Publish, Stream};

/// Bytes that a stored message costs beyond its content, roughly.
const ENTRY_BYTES: u64 = 128;

pub(super) struct Store {
    pub(super) stream: Stream,
    /// All sequences come after it.
    pub(super) origin: u64,
    /// Newest sequence ever given out.
    pub(super) last: u64,
    /// Newest sequence that is safely stored: readers and consumers see nothing newer.
    pub(super) visible: u64,
    /// Payload and header bytes stored.
    bytes: u64,
    entries: BTreeMap<u64, Arc<Entry>>,
    index: Index,
    ids: Ids,
}

/// A stored message.
pub(super) struct Entry {
    pub(super) subject: Arc<str>,
    pub(super) id: Arc<str>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) payload: Bytes,
    /// When it was stored, or read back.
    pub(super) since: Instant,
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

    fn size(&self) -> u64 {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        (self.payload.len() + self.id.len() + headers) as u64
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
            if self.ages.len() <= options.dedup_ids_max && now.duration_since(*stored) < options.dedup_window {
                break;
            }
            self.sequences.remove(id);
            self.ages.pop_front();
        }
    }

    fn insert(&mut self, id: Arc<str>, sequence: u64, now: Instant) {
        if self.sequences.insert(Arc::clone(&id), sequence).is_none() {
            self.ages.push_back((now, id));
        }
    }
}

impl Store {
    pub(super) fn new(stream: Stream, origin: u64) -> Self {
        let (entries, index, ids) = (BTreeMap::new(), Index::default(), Ids::default());
        Self { stream, origin, last: origin, visible: origin, bytes: 0, entries, index, ids }
    }

    /// Appends a checked message; without an entry it is a duplicate.
    pub(super) fn append(
        &mut self,
        message: Publish,
        fence: Option<&(Filter, u64)>,
        options: &Options,
    ) -> Result<(Ack, Option<Arc<Entry>>), Error> {
        let now = Instant::now();
        self.ids.expire(now, options);
        if let Some(sequence) = self.ids.sequences.get(message.id.as_str()) {
            return Ok((Ack { sequence: *sequence, duplicate: true }, None));
        }
        if let Some((filter, expected)) = fence
            && self.last_of(filter) != *expected
        {
            return Err(Error::Fenced { filter: filter.as_str().to_owned(), expected: *expected });
        }
        if self.bytes + message.payload.len() as u64 > options.stream_bytes_max {
            return Err(Error::Full { stream: self.stream });
        }
        let sequence = self.last + 1;
        let entry = self.insert(sequence, &message.subject, message.id.into(), message.headers, message.payload, now);
        Ok((Ack { sequence, duplicate: false }, Some(entry)))
    }

    /// Stores a message and remembers its id.
    pub(super) fn insert(
        &mut self,
        sequence: u64,
        subject: &str,
        id: Arc<str>,
        headers: BTreeMap<String, String>,
        payload: Bytes,
        now: Instant,
    ) -> Arc<Entry> {
        self.ids.insert(Arc::clone(&id), sequence, now);
        let subject = self.index.insert(subject, sequence);
        let entry = Arc::new(Entry { subject, id, headers, payload, since: now });
        self.bytes += entry.size();
        self.last = self.last.max(sequence);
        self.entries.insert(sequence, Arc::clone(&entry));
        entry
    }

    /// Drops one message.
    pub(super) fn remove(&mut self, sequence: u64) -> bool {
        let Some(entry) = self.entries.remove(&sequence) else {
            return false;
        };
        self.index.remove(&entry.subject, sequence);
        self.bytes -= entry.size();
        true
    }

    pub(super) fn remember(&mut self, id: Arc<str>, sequence: u64, now: Instant) {
        self.ids.insert(id, sequence, now);
    }

    /// Ids that are remembered though their messages are gone.
    pub(super) fn remembered(&self) -> impl Iterator<Item = (&str, u64)> {
        let known = self.ids.ages.iter().filter_map(|(_, id)| Some((id.as_ref(), *self.ids.sequences.get(id)?)));
        known.filter(|(_, sequence)| !self.entries.contains_key(sequence))
    }

    pub(super) fn entry(&self, sequence: u64) -> Option<&Arc<Entry>> {
        self.entries.get(&sequence)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (u64, &Arc<Entry>)> {
        self.entries.iter().map(|(sequence, entry)| (*sequence, entry))
    }

    /// Entries after `after`, up to and including `up_to`.
    pub(super) fn between(&self, after: u64, up_to: u64) -> impl Iterator<Item = (u64, &Arc<Entry>)> {
        let range = (after < up_to).then(|| self.entries.range((Bound::Excluded(after), Bound::Included(up_to))));
        range.into_iter().flatten().map(|(sequence, entry)| (*sequence, entry))
    }

    /// Bytes that the stored messages take in a log, roughly.
    pub(super) fn alive(&self) -> u64 {
        self.bytes + self.entries.len() as u64 * ENTRY_BYTES
    }

    /// Newest stored sequence under a filter, 0 for none.
    pub(super) fn last_of(&self, filter: &Filter) -> u64 {
        self.index.last(filter).unwrap_or(0)
    }

    /// Newest sequence under a filter whose message was stored at `before` or earlier, 0 for none.
    pub(super) fn last_before(&self, filter: &Filter, before: Instant) -> u64 {
        let sequences = self.range(filter, 0, self.visible);
        let is_older = |sequence: &u64| self.entries.get(sequence).is_some_and(|entry| entry.since <= before);
        let older = sequences.partition_point(is_older);
        sequences[..older].last().copied().unwrap_or(0)
    }

    /// Subjects under a filter.
    pub(super) fn subjects(&self, filter: &Filter) -> Vec<String> {
        self.index.subjects(filter)
    }

    /// Stored sequences under a filter, after `after`, up to and including `up_to`.
    pub(super) fn range(&self, filter: &Filter, after: u64, up_to: u64) -> Vec<u64> {
        self.index.range(filter, after.saturating_add(1), up_to, usize::MAX)
    }

    pub(super) fn read(&self, filter: &Filter, after: u64, limit: usize) -> Vec<Message> {
        let sequences = self.index.range(filter, after.saturating_add(1), self.visible, limit);
        let found = sequences.into_iter().filter_map(|sequence| Some((sequence, self.entries.get(&sequence)?)));
        found.map(|(sequence, entry)| entry.message(self.stream, sequence, 0)).collect()
    }

    /// First visible message after `after` that fits; otherwise the position up to which there surely is none.
    pub(super) fn next(&self, filter: &Filter, after: u64) -> Result<u64, u64> {
        match self.index.next(filter, after) {
            Next::At(sequence) if sequence <= self.visible => Ok(sequence),
            Next::At(_) | Next::None => Err(self.visible),
            Next::Scan => {
                let found = self.between(after, self.visible).find(|(_, entry)| filter.matches(&entry.subject));
                found.map(|(sequence, _)| sequence).ok_or(self.visible)
            }
        }
    }
}
