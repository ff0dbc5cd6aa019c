//! A bus that keeps its state in a directory: opening, closing, and writing its log anew.

use std::path::Path;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::disk::{Files, Journal, Record, Replay, Snapshot};
use super::leases::Leases;
use super::log::Log;
use super::shelf::Shelf;
use super::{Inner, Memory, Options};
use crate::{Error, Quarantined, Stream};

impl Memory {
    /// A bus that keeps its state in `dir`, which is made when missing. One process at a time may have it open.
    ///
    /// What was stored is there again: messages, ids, consumers with their positions, the epochs of
    /// leases, and the quarantine. A message that
    /// was handed out and not settled comes again at once; settlements of the last moments may be lost with the process, and
    /// then their messages come again too. Everything is also held in memory.
    /// Errors: `Locked`, `Corrupt`, `Storage`.
    pub async fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self, Error> {
        let dir = dir.as_ref().to_owned();
        let opened = spawn_blocking(move || open(&dir, options)).await;
        opened.unwrap_or_else(|error| Err(Error::Unavailable { doing: "open the bus", source: Some(error.into()) }))
    }

    /// Writes what is left and gives the directory back. Handles that remain get errors. Without a directory it does nothing.
    pub async fn close(self) {
        if let Some(thread) = self.inner.journal.as_ref().and_then(|journal| journal.close())
            && spawn_blocking(move || thread.join()).await.is_err()
        {
            tracing::error!("the writer of the bus's log was not awaited");
        }
    }
}

struct State {
    logs: [Log; Stream::COUNT],
    leases: Leases,
    shelf: Shelf,
}

impl State {
    fn new() -> Self {
        let logs = Stream::ALL.map(|stream| Log::new(stream, 0));
        Self { logs, leases: Leases::default(), shelf: Shelf::default() }
    }

    fn apply(&mut self, replay: Replay, now: Instant) -> Result<(), &'static str> {
        let record = match replay {
            Replay::Reset => {
                *self = Self::new();
                return Ok(());
            }
            Replay::Record(Record::Epoch { epoch, .. }) => {
                self.leases.restore(epoch);
                return Ok(());
            }
            Replay::Record(Record::Quarantined { key, head, payload }) => {
                let entry = Quarantined::of(&head, payload).map_err(|_| "an entry of the quarantine is not valid")?;
                self.shelf.insert(key, entry);
                return Ok(());
            }
            Replay::Record(Record::Dismissed { key }) => {
                self.shelf.remove(&key);
                return Ok(());
            }
            Replay::Record(record) => record,
        };
        let stream = record.stream();
        let log = self.logs.iter_mut().find(|log| log.store.stream == stream);
        log.expect("there is a log for each stream").restore(record, now)
    }
}

fn open(dir: &Path, options: Options) -> Result<Memory, Error> {
    let now = Instant::now();
    let mut state = State::new();
    let files = Files::open(dir, &mut |replay| state.apply(replay, now))?;
    let mut failed = None;
    let sync = options.sync;
    let inner = Arc::new_cyclic(|bus: &Weak<Inner>| {
        let bus = Weak::clone(bus);
        let committed = move |marks: [u64; Stream::COUNT]| {
            if let Some(bus) = bus.upgrade() {
                bus.logs.iter().zip(marks).for_each(|(log, mark)| log.lock().committed(mark));
            }
        };
        let journal = match Journal::start(files, sync, committed) {
            Ok(journal) => Some(Arc::new(journal)),
            Err(error) => {
                failed = Some(error);
                None
            }
        };
        let State { mut logs, mut leases, shelf } = state;
        if let Some(journal) = &journal {
            logs.iter_mut().for_each(|log| log.restored(journal, options.origin, now));
        }
        logs.iter().for_each(|log| leases.restore(log.store.origin));
        let (logs, leases, shelf) = (logs.map(Mutex::new), Mutex::new(leases), Mutex::new(shelf));
        Inner { logs, leases, shelf, options, journal }
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(Memory { inner }),
    }
}

impl Inner {
    /// Writes the log anew when most of it is about what is gone.
    pub(super) fn compact_if_grown(&self) {
        let Some(journal) = self.journal.as_ref().filter(|journal| journal.has_grown()) else {
            return;
        };
        let logs = self.logs.each_ref().map(|log| log.lock());
        let (leases, shelf) = (self.leases.lock(), self.shelf.lock());
        let alive = logs.iter().map(|log| log.store.alive()).sum::<u64>() + shelf.bytes();
        if !journal.wants_snapshot(alive) {
            return;
        }
        let mut snapshot = Snapshot::default();
        logs.iter().for_each(|log| log.add_to(&mut snapshot));
        snapshot.records.push(Record::Epoch { lease: String::new(), epoch: leases.epoch() });
        for entry in shelf.list() {
            let head = entry.head().expect("its size was looked at when it was put");
            snapshot.records.push(Record::Quarantined { key: entry.key(), head, payload: entry.payload() });
        }
        journal.replace(snapshot, alive);
    }
}
