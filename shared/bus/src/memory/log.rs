//! One stream with its consumers, and what of it goes into the journal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Options;
use super::cursor::Cursor;
use super::disk::{Journal, Record, Snapshot};
use super::store::Store;
use crate::check::{OTHER_FILTER, OVERLAP, check_consumer};
use crate::subject::Filter;
use crate::{Ack, ConsumerSpec, Deliver, Error, Fence, Publish, Stream, Verdict};

pub(super) struct Log {
    pub(super) store: Store,
    pub(super) consumers: BTreeMap<Arc<str>, Cursor>,
    pub(super) journal: Option<Arc<Journal>>,
}

impl Log {
    /// An empty stream whose first message will come after `origin`.
    pub(super) fn new(stream: Stream, origin: u64) -> Self {
        Self { store: Store::new(stream, origin), consumers: BTreeMap::new(), journal: None }
    }

    /// Forgets everything, consumers too, and begins anew.
    pub(super) fn lose(&mut self, origin: u64) {
        let lost = std::mem::replace(self, Self::new(self.store.stream, origin));
        lost.consumers.values().for_each(|consumer| consumer.wake.notify_waiters());
    }

    fn record(&self, record: impl FnOnce() -> Record) {
        if let Some(journal) = &self.journal {
            journal.record(&record());
        }
    }

    /// Appends a checked message.
    pub(super) fn append(
        &mut self,
        message: Publish,
        fence: Option<&(Filter, u64)>,
        options: &Options,
    ) -> Result<Ack, Error> {
        let (ack, entry) = self.store.append(message, fence, options)?;
        match (&self.journal, entry) {
            (Some(journal), Some(entry)) => journal.stored(self.store.stream, ack.sequence, &entry),
            (None, Some(entry)) => {
                self.store.visible = self.store.last;
                self.consumers.values().for_each(|consumer| consumer.wake_for(&entry.subject));
            }
            (_, None) => {}
        }
        Ok(ack)
    }

    /// Appends a checked batch, whole or not at all.
    pub(super) fn append_batch(
        &mut self,
        batch: Vec<Publish>,
        filter: &Filter,
        fence: &Fence,
        options: &Options,
    ) -> Result<Vec<Ack>, Error> {
        let (acks, stored) = self.store.append_batch(batch, filter, fence, options)?;
        match &self.journal {
            Some(journal) => journal.stored_batch(self.store.stream, &stored),
            None => {
                self.store.visible = self.store.last;
                for (_, entry) in &stored {
                    self.consumers.values().for_each(|consumer| consumer.wake_for(&entry.subject));
                }
            }
        }
        Ok(acks)
    }

    /// Everything up to `sequence` is safely stored.
    pub(super) fn committed(&mut self, sequence: u64) {
        for (_, entry) in self.store.between(self.store.visible, sequence) {
            self.consumers.values().for_each(|consumer| consumer.wake_for(&entry.subject));
        }
        self.store.visible = self.store.visible.max(sequence);
    }

    /// Drops messages under a filter.
    pub(super) fn purge(&mut self, filter: &Filter, up_to: u64) {
        let sequences = self.store.range(filter, 0, up_to.min(self.store.last));
        if sequences.is_empty() {
            return;
        }
        sequences.into_iter().for_each(|sequence| self.remove(sequence));
        let up_to = up_to.min(self.store.last);
        self.record(|| Record::Purged { stream: self.store.stream, filter: filter.as_str().to_owned(), up_to });
    }

    /// Drops one message, also from what consumers wait for.
    fn remove(&mut self, sequence: u64) {
        if self.store.remove(sequence) {
            self.consumers.values_mut().for_each(|consumer| consumer.drop_pending(sequence));
        }
    }

    /// Applies the answer to a delivery. One for a consumer or message that is gone means nothing.
    pub(super) fn settle(&mut self, name: &str, sequence: u64, deliveries: u32, verdict: Verdict) {
        let Some(consumer) = self.consumers.get_mut(name) else {
            return;
        };
        if !consumer.settle(sequence, deliveries, verdict, Instant::now()) {
            return;
        }
        let stream = self.store.stream;
        if stream.is_work_queue() {
            self.remove(sequence);
            self.record(|| Record::Removed { stream, sequence });
        } else if let Some(journal) = &self.journal {
            journal.settled(stream, name, sequence);
        }
    }

    /// Opens or updates a durable consumer; gives what wakes its handles.
    pub(super) fn open_consumer(&mut self, spec: ConsumerSpec) -> Result<Arc<Notify>, Error> {
        let filter = check_consumer(&spec)?;
        let conflict = |reason| Error::ConsumerConflict { stream: spec.stream, name: spec.name.clone(), reason };
        if let Some(consumer) = self.consumers.get_mut(spec.name.as_str()) {
            if consumer.filter != filter {
                return Err(conflict(OTHER_FILTER));
            }
            consumer.update(spec.ack_wait, spec.max_ack_pending);
        } else {
            if spec.stream.is_work_queue() && self.consumers.values().any(|other| other.filter.overlaps(&filter)) {
                return Err(conflict(OVERLAP));
            }
            let position = match spec.deliver {
                Deliver::All => 0,
                Deliver::New => self.store.last,
                Deliver::After(sequence) => sequence,
            };
            self.consumers.insert(spec.name.as_str().into(), Cursor::new(&spec, filter, position));
        }
        let consumer = &self.consumers[spec.name.as_str()];
        self.record(|| consumer.record(spec.stream, &spec.name));
        Ok(Arc::clone(&consumer.wake))
    }

    pub(super) fn forget_consumer(&mut self, name: &str) {
        if let Some(consumer) = self.consumers.remove(name) {
            consumer.wake.notify_waiters();
            self.record(|| Record::Forgotten { stream: self.store.stream, name: name.to_owned() });
        }
    }

    /// Adds the whole stream to a snapshot.
    pub(super) fn add_to(&self, snapshot: &mut Snapshot) {
        let stream = self.store.stream;
        snapshot.records.push(Record::Origin { stream, sequence: self.store.origin });
        snapshot.entries.extend(self.store.entries().map(|(sequence, entry)| (stream, sequence, Arc::clone(entry))));
        snapshot.records.push(Record::Last { stream, sequence: self.store.last });
        let remembered =
            self.store.remembered().map(|(id, sequence)| Record::Remembered { stream, id: id.to_owned(), sequence });
        snapshot.records.extend(remembered);
        snapshot.records.extend(self.consumers.iter().map(|(name, consumer)| consumer.record(stream, name)));
    }

    /// While the log is read back: makes one change again. Errors say what is wrong with the record.
    pub(super) fn restore(&mut self, record: Record, now: Instant) -> Result<(), &'static str> {
        match record {
            Record::Stored { sequence, subject, id, headers, payload, .. } => {
                self.store.insert(sequence, &subject, id.into(), headers, payload, now);
            }
            Record::Batch(records) => {
                for record in records {
                    self.restore(record, now)?;
                }
            }
            Record::Settled { consumer, sequence, .. } => {
                if let Some(consumer) = self.consumers.get_mut(consumer.as_str()) {
                    consumer.restore_settled(sequence);
                }
            }
            Record::Removed { sequence, .. } => self.remove(sequence),
            Record::Purged { filter, up_to, .. } => {
                self.purge(&Filter::new(&filter).map_err(|_| "a filter is not valid")?, up_to)
            }
            Record::Consumer { stream, name, filter, ack_wait_ms, max_ack_pending, position, pending } => {
                let mut spec = ConsumerSpec::new(stream, name, filter);
                spec.ack_wait = Duration::from_millis(ack_wait_ms);
                spec.max_ack_pending = usize::try_from(max_ack_pending).unwrap_or(usize::MAX);
                let filter = check_consumer(&spec).map_err(|_| "a consumer is not valid")?;
                let mut consumer = Cursor::new(&spec, filter, position);
                let stored = pending.into_iter().filter(|sequence| self.store.entry(*sequence).is_some());
                stored.for_each(|sequence| consumer.restore_pending(sequence, now));
                self.consumers.insert(spec.name.as_str().into(), consumer);
            }
            Record::Forgotten { name, .. } => drop(self.consumers.remove(name.as_str())),
            Record::Last { sequence, .. } => self.store.last = self.store.last.max(sequence),
            Record::Remembered { id, sequence, .. } => self.store.remember(id.into(), sequence, now),
            Record::Origin { sequence, .. } => {
                self.store.origin = sequence;
                self.store.last = self.store.last.max(sequence);
            }
            Record::Epoch { .. } | Record::Quarantined { .. } | Record::Dismissed { .. } => {
                return Err("the record belongs to no stream");
            }
        }
        Ok(())
    }

    /// After the log was read back; a new one begins after `origin`.
    pub(super) fn restored(&mut self, journal: &Arc<Journal>, origin: u64, now: Instant) {
        if self.store.last == 0 && origin > 0 {
            (self.store.origin, self.store.last) = (origin, origin);
            journal.record(&Record::Origin { stream: self.store.stream, sequence: origin });
        }
        self.store.visible = self.store.last;
        let Self { store, consumers, .. } = self;
        consumers.values_mut().for_each(|consumer| consumer.restored(store, now));
        self.journal = Some(Arc::clone(journal));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_yet_committed_is_not_seen() {
        let mut log = Log::new(Stream::Events, 0);
        let spec = ConsumerSpec::new(Stream::Events, "c", "argosy.event.1.>");
        log.open_consumer(spec).unwrap();
        for id in ["a", "b", "c"] {
            let message = Publish::new(Stream::Events, "argosy.event.1.u", id, "");
            log.store.append(message, None, &Options::default()).unwrap();
        }
        let filter = Filter::new("argosy.event.1.>").unwrap();
        assert_eq!((log.store.read(&filter, 0, 9).len(), log.store.next(&filter, 0)), (0, Err(0)));
        log.committed(2);
        let seen: Vec<u64> = log.store.read(&filter, 0, 9).iter().map(|m| m.sequence).collect();
        assert_eq!((seen, log.store.next(&filter, 2)), (vec![1, 2], Err(2)));
        assert_eq!(log.store.last_of(&filter), 3, "fences count what is on its way");
        let (store, consumers) = (&log.store, &mut log.consumers);
        let cursor = consumers.get_mut("c").unwrap();
        assert_eq!(cursor.take(store, 9, Instant::now(), None).len(), 2);
        log.committed(3);
        let (store, consumers) = (&log.store, &mut log.consumers);
        let cursor = consumers.get_mut("c").unwrap();
        assert_eq!(cursor.take(store, 9, Instant::now(), None).len(), 1);
    }
}
