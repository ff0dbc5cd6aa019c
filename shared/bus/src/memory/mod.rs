//! The bus inside this process.
//!
//! Without a directory it starts no thread, reads no wall clock and no randomness: under tokio's paused time two equal runs
//! are equal. The only timers are `tokio::time`. With a directory, one thread writes a log, and a message counts as stored
//! (and can be seen) when the log has it.

mod chaos;
mod cursor;
mod disk;
mod durable;
mod handle;
mod index;
mod leases;
mod log;
mod shelf;
mod store;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::task::coop;
use tokio::time::Instant;

pub use chaos::{AckFault, Chaos, DeliverFault, PublishFault};
pub use disk::Sync;

use crate::check::{check_batch, check_publish};
use crate::quarantine::check_key;
use crate::subject::Filter;
use crate::{
    Ack, Bus, Consumer, ConsumerSpec, Error, Fence, Lag, Lease, Message, Publish, Quarantine, Quarantined, Stream,
};
use cursor::Cursor;
use disk::{Journal, Record};
use handle::Handle;
use leases::Leases;
use log::Log;
use shelf::Shelf;

/// Settings of the in-process bus.
#[derive(Clone)]
pub struct Options {
    /// How long an id is remembered. 120 s. A durable bus that is opened anew counts from then.
    pub dedup_window: Duration,
    /// How many ids each stream remembers at most; beyond it the oldest are forgotten early. 1,048,576.
    pub dedup_ids_max: usize,
    /// Largest message, payload and headers together, counted as NATS counts them. 1 MiB, as a NATS server has it that was
    /// not told otherwise (`max_payload`).
    pub message_bytes_max: usize,
    /// Largest stream, in bytes of stored messages; an append beyond it is refused as `Full`, see also
    /// [`crate::RESERVE_PART`]. 2 GiB.
    pub stream_bytes_max: u64,
    /// Most entries of the quarantine; the oldest leaves for a new one. 10,000.
    pub quarantine_entries_max: usize,
    /// Most bytes of the quarantine; the oldest entries leave for a new one. 64 MiB.
    pub quarantine_bytes_max: u64,
    /// When a message counts as stored, with a directory. `Always`.
    pub sync: Sync,
    /// Where a bus without a past begins, see [`Bus::origin`]. 0, for one whose workflows end with it; else
    /// [`crate::origin_of_now`].
    pub origin: u64,
    /// Faults for simulations. None.
    pub chaos: Option<Arc<dyn Chaos>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dedup_window: Duration::from_secs(120),
            dedup_ids_max: 1 << 20,
            message_bytes_max: 1 << 20,
            stream_bytes_max: 2 << 30,
            quarantine_entries_max: 10_000,
            quarantine_bytes_max: 64 << 20,
            sync: Sync::Always,
            origin: 0,
            chaos: None,
        }
    }
}

/// The bus inside this process. Cloning gives another handle of the same bus.
#[derive(Clone)]
pub struct Memory {
    inner: Arc<Inner>,
}

/// What handles and receipts share.
struct Inner {
    logs: [Mutex<Log>; Stream::COUNT],
    leases: Mutex<Leases>,
    shelf: Mutex<Shelf>,
    options: Options,
    journal: Option<Arc<Journal>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// A bus that lives as long as its handles.
    pub fn new() -> Self {
        Self::with_options(Options::default())
    }

    /// The same, with settings.
    pub fn with_options(options: Options) -> Self {
        let logs = Stream::ALL.map(|stream| Mutex::new(Log::new(stream, options.origin)));
        let leases = Mutex::new(Leases::after(options.origin));
        Self { inner: Arc::new(Inner { logs, leases, shelf: Mutex::default(), options, journal: None }) }
    }

    /// Loses all that is stored, leases, consumers and quarantine too, under the eyes of those who use it, and begins after `origin`.
    /// For simulations of a server whose store was wiped; not for a bus that has a directory.
    pub fn lose(&self, origin: u64) {
        self.inner.logs.iter().for_each(|log| log.lock().lose(origin));
        *self.inner.leases.lock() = Leases::after(origin);
        *self.inner.shelf.lock() = Shelf::default();
    }
}

impl Inner {
    fn log(&self, stream: Stream) -> &Mutex<Log> {
        &self.logs[stream.index()]
    }

    fn store(&self, message: Publish) -> Result<(Ack, PublishFault), Error> {
        let fence = check_publish(&message, self.options.message_bytes_max)?;
        let fault = self.options.chaos.as_ref().map_or(PublishFault::None, |chaos| chaos.on_publish(&message));
        if fault == PublishFault::Refused {
            return Err(Error::Unavailable { doing: "publish", source: None });
        }
        let ack = self.log(message.stream).lock().append(message, fence.as_ref(), &self.options)?;
        Ok((ack, fault))
    }

    fn store_batch(&self, batch: Vec<Publish>, fence: &Fence) -> Result<(Vec<Ack>, PublishFault), Error> {
        let filter = check_batch(&batch, fence, self.options.message_bytes_max)?;
        let fault = |message| self.options.chaos.as_ref().map_or(PublishFault::None, |chaos| chaos.on_publish(message));
        let faults: Vec<PublishFault> = batch.iter().map(fault).collect();
        if faults.contains(&PublishFault::Refused) {
            return Err(Error::Unavailable { doing: "append", source: None });
        }
        let is_lost = faults.contains(&PublishFault::LostAnswer);
        let stream = batch.first().map_or(Stream::Events, |message| message.stream);
        let acks = self.log(stream).lock().append_batch(batch, &filter, fence, &self.options)?;
        Ok((acks, if is_lost { PublishFault::LostAnswer } else { PublishFault::None }))
    }

    /// Waits until what was done so far is stored.
    async fn stored(&self) -> Result<(), Error> {
        match &self.journal {
            Some(journal) => {
                self.compact_if_grown();
                journal.barrier().await
            }
            None => Ok(()),
        }
    }

    /// Waits until what readers are about to ask for is stored.
    async fn settled(&self, stream: Stream) -> Result<(), Error> {
        let is_behind = {
            let log = self.log(stream).lock();
            log.store.visible < log.store.last
        };
        if is_behind { self.stored().await } else { Ok(()) }
    }
}

fn answered<T>((ack, fault): (T, PublishFault)) -> Result<T, Error> {
    match fault {
        PublishFault::LostAnswer => Err(Error::Unavailable { doing: "publish", source: None }),
        PublishFault::None | PublishFault::Refused => Ok(ack),
    }
}

#[async_trait]
impl Bus for Memory {
    async fn publish(&self, message: Publish) -> Result<Ack, Error> {
        coop::consume_budget().await;
        let stored = self.inner.store(message)?;
        self.inner.stored().await?;
        answered(stored)
    }

    async fn publish_all(&self, messages: Vec<Publish>) -> Result<Vec<Ack>, Error> {
        coop::consume_budget().await;
        let acks = messages.into_iter().map(|message| self.inner.store(message).and_then(answered));
        let acks: Result<Vec<Ack>, Error> = acks.collect();
        self.inner.stored().await?;
        acks
    }

    async fn append(&self, batch: Vec<Publish>, fence: Fence) -> Result<Vec<Ack>, Error> {
        coop::consume_budget().await;
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let stored = self.inner.store_batch(batch, &fence)?;
        self.inner.stored().await?;
        answered(stored)
    }

    async fn origin(&self, stream: Stream) -> Result<u64, Error> {
        Ok(self.inner.log(stream).lock().store.origin)
    }

    async fn last_sequence(&self, stream: Stream, filter: &str) -> Result<u64, Error> {
        let filter = Filter::of(stream, filter)?;
        self.inner.settled(stream).await?;
        Ok(self.inner.log(stream).lock().store.last_of(&filter))
    }

    async fn read(&self, stream: Stream, filter: &str, after: u64, limit: usize) -> Result<Vec<Message>, Error> {
        coop::consume_budget().await;
        let filter = Filter::of(stream, filter)?;
        self.inner.settled(stream).await?;
        Ok(self.inner.log(stream).lock().store.read(&filter, after, limit))
    }

    async fn consume(&self, spec: ConsumerSpec) -> Result<Box<dyn Consumer>, Error> {
        let (stream, name) = (spec.stream, spec.name.as_str().into());
        let wake = self.inner.log(stream).lock().open_consumer(spec)?;
        self.inner.stored().await?;
        Ok(Box::new(Handle::new(Arc::clone(&self.inner), stream, name, wake)))
    }

    async fn forget(&self, stream: Stream, consumer: &str) -> Result<(), Error> {
        self.inner.log(stream).lock().forget_consumer(consumer);
        self.inner.stored().await
    }

    async fn subjects(&self, stream: Stream, filter: &str) -> Result<Vec<String>, Error> {
        let filter = Filter::of(stream, filter)?;
        Ok(self.inner.log(stream).lock().store.subjects(&filter))
    }

    async fn settled(&self, stream: Stream, consumer: &str) -> Result<u64, Error> {
        Ok(self.inner.log(stream).lock().consumers.get(consumer).map_or(0, Cursor::floor))
    }

    async fn lag(&self, stream: Stream, consumer: &str) -> Result<Option<Lag>, Error> {
        let log = self.inner.log(stream).lock();
        Ok(log.consumers.get(consumer).map(|cursor| cursor.lag(&log.store)))
    }

    fn quarantine(&self) -> &dyn Quarantine {
        self
    }

    async fn older_than(&self, stream: Stream, filter: &str, age: Duration) -> Result<u64, Error> {
        let filter = Filter::of(stream, filter)?;
        let Some(before) = Instant::now().checked_sub(age) else {
            return Ok(0);
        };
        Ok(self.inner.log(stream).lock().store.last_before(&filter, before))
    }

    async fn purge(&self, stream: Stream, subject: &str, up_to: u64) -> Result<(), Error> {
        let filter = Filter::of(stream, subject)?;
        self.inner.log(stream).lock().purge(&filter, up_to);
        self.inner.stored().await
    }

    async fn acquire(&self, lease: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, Error> {
        let taken = {
            let mut leases = self.inner.leases.lock();
            let taken = leases.acquire(lease, holder, ttl)?;
            if let (Some((lease, true)), Some(journal)) = (&taken, &self.inner.journal) {
                journal.record(&Record::Epoch { lease: lease.name.clone(), epoch: lease.epoch });
            }
            taken
        };
        if taken.as_ref().is_some_and(|(_, anew)| *anew) {
            self.inner.stored().await?;
        }
        Ok(taken.map(|(lease, _)| lease))
    }

    async fn renew(&self, lease: &Lease) -> Result<Lease, Error> {
        self.inner.leases.lock().renew(lease)
    }

    async fn release(&self, lease: Lease) -> Result<(), Error> {
        self.inner.leases.lock().release(&lease);
        Ok(())
    }

    async fn held(&self, group: &str) -> Result<Vec<String>, Error> {
        Ok(self.inner.leases.lock().names(group))
    }
}

#[async_trait]
impl Quarantine for Memory {
    async fn put(&self, entry: Quarantined) -> Result<Quarantined, Error> {
        let entry = {
            let mut shelf = self.inner.shelf.lock();
            let (entry, left) = shelf.put(entry, &self.inner.options)?;
            if !left.is_empty() {
                tracing::error!(?left, "the quarantine is full: its oldest entries had to leave");
            }
            if let Some(journal) = &self.inner.journal {
                let (key, head, payload) = (entry.key(), entry.head()?, entry.payload());
                journal.record(&Record::Quarantined { key, head, payload });
                left.into_iter().for_each(|key| journal.record(&Record::Dismissed { key }));
            }
            entry
        };
        self.inner.stored().await?;
        Ok(entry)
    }

    async fn list(&self, uid: Option<&str>) -> Result<Vec<Quarantined>, Error> {
        let shelf = self.inner.shelf.lock();
        Ok(shelf.list().filter(|entry| uid.is_none_or(|uid| entry.uid == uid)).cloned().collect())
    }

    async fn get(&self, key: &str) -> Result<Option<Quarantined>, Error> {
        check_key(key)?;
        Ok(self.inner.shelf.lock().get(key).cloned())
    }

    async fn remove(&self, key: &str) -> Result<bool, Error> {
        check_key(key)?;
        let had = {
            let mut shelf = self.inner.shelf.lock();
            let had = shelf.remove(key);
            if let (true, Some(journal)) = (had, &self.inner.journal) {
                journal.record(&Record::Dismissed { key: key.to_owned() });
            }
            had
        };
        self.inner.stored().await?;
        Ok(had)
    }
}
