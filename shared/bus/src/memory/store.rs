//! The messages of one stream, and the ids it remembers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::Options;
use super::index::{Index, Next};
use crate::subject::Filter;
use crate::{Ack, Error, Fence, Message, Publish, RESERVE_PART, Stream};

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
        (self.payload.len() + self.id.len()) as u64 + header_bytes(&self.headers)
    }
}

fn header_bytes(headers: &BTreeMap<String, String>) -> u64 {
    headers.iter().map(|(name, value)| (name.len() + value.len()) as u64).sum()
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
        self.make_sure_of_room(std::slice::from_ref(&message), options)?;
        let sequence = self.last + 1;
        let entry = self.insert(sequence, &message.subject, message.id.into(), message.headers, message.payload, now);
        Ok((Ack { sequence, duplicate: false }, Some(entry)))
    }

    /// Appends a checked batch behind its fence, whole or not at all; gives what was stored.
    #[expect(clippy::type_complexity, reason = "taken apart at once by the only caller")]
    pub(super) fn append_batch(
        &mut self,
        batch: Vec<Publish>,
        filter: &Filter,
        fence: &Fence,
        options: &Options,
    ) -> Result<(Vec<Ack>, Vec<(u64, Arc<Entry>)>), Error> {
        let now = Instant::now();
        self.ids.expire(now, options);
        // What an earlier try has stored stands right behind the fence; it may have been forgotten by its id.
        let mut last = fence.last;
        let mut acks: Vec<Option<Ack>> = Vec::with_capacity(batch.len());
        let behind = self.index.range(filter, last.saturating_add(1), self.last, batch.len());
        for (message, sequence) in batch.iter().zip(behind) {
            if self.entries.get(&sequence).is_none_or(|entry| *entry.id != *message.id) {
                break;
            }
            acks.push(Some(Ack { sequence, duplicate: true }));
            last = sequence;
        }
        for message in &batch[acks.len()..] {
            let known = self.ids.sequences.get(message.id.as_str());
            acks.push(known.map(|sequence| Ack { sequence: *sequence, duplicate: true }));
        }
        let new = || batch.iter().zip(&acks).filter(|(_, ack)| ack.is_none()).map(|(message, _)| message);
        if new().next().is_some() && self.last_of(filter) != last {
            return Err(Error::Fenced { filter: fence.filter.clone(), expected: fence.last });
        }
        self.make_sure_of_room(new(), options)?;
        let mut stored = Vec::new();
        let mut answers = Vec::with_capacity(acks.len());
        for (message, ack) in batch.into_iter().zip(acks) {
            answers.push(ack.unwrap_or_else(|| {
                let sequence = self.last + 1;
                let Publish { subject, id, headers, payload, .. } = message;
                stored.push((sequence, self.insert(sequence, &subject, id.into(), headers, payload, now)));
                Ack { sequence, duplicate: false }
            }));
        }
        Ok((answers, stored))
    }

    /// Whether the messages may be stored, all together.
    fn make_sure_of_room<'a>(
        &self,
        messages: impl IntoIterator<Item = &'a Publish>,
        options: &Options,
    ) -> Result<(), Error> {
        let (mut bytes, mut urgent) = (0, true);
        for message in messages {
            bytes += (message.payload.len() + message.id.len()) as u64 + header_bytes(&message.headers);
            urgent &= message.urgent;
        }
        let limit = options.stream_bytes_max;
        let limit = if urgent { limit } else { limit - limit / RESERVE_PART };
        if bytes > 0 && self.bytes + bytes > limit { Err(Error::Full { stream: self.stream }) } else { Ok(()) }
    }

    /// Stored messages under a filter that come after a position.
    pub(super) fn count_after(&self, filter: &Filter, position: u64) -> u64 {
        self.index.count(filter, position.saturating_add(1), self.visible) as u64
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
