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
mod store;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::task::coop;
use tokio::time::Instant;

pub use chaos::{AckFault, Chaos, DeliverFault, PublishFault};
pub use disk::Sync;

use crate::check::check_publish;
use crate::subject::Filter;
use crate::{Ack, Bus, Consumer, ConsumerSpec, Error, Lease, Message, Publish, Stream};
use cursor::Cursor;
use disk::{Journal, Record};
use handle::Handle;
use leases::Leases;
use log::Log;

/// Settings of the in-process bus.
#[derive(Clone)]
pub struct Options {
    /// How long an id is remembered. 120 s. A durable bus that is opened anew counts from then.
    pub dedup_window: Duration,
    /// How many ids each stream remembers at most; beyond it the oldest are forgotten early. 1,048,576.
    pub dedup_ids_max: usize,
    /// Largest message, payload and headers together. 1 MiB, as NATS has it.
    pub message_bytes_max: usize,
    /// Largest stream, in bytes of stored messages; an append beyond it is refused as `Full`. 2 GiB.
    pub stream_bytes_max: u64,
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
    logs: [Mutex<Log>; 3],
    leases: Mutex<Leases>,
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
        Self { inner: Arc::new(Inner { logs, leases, options, journal: None }) }
    }

    /// Loses all that is stored, leases and consumers too, under the eyes of those who use it, and begins after `origin`.
    /// For simulations of a server whose store was wiped; not for a bus that has a directory.
    pub fn lose(&self, origin: u64) {
        self.inner.logs.iter().for_each(|log| log.lock().lose(origin));
        *self.inner.leases.lock() = Leases::after(origin);
    }
}

impl Inner {
    fn log(&self, stream: Stream) -> &Mutex<Log> {
        match stream {
            Stream::Observed => &self.logs[0],
            Stream::Commands => &self.logs[1],
            Stream::Events => &self.logs[2],
        }
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

fn answered((ack, fault): (Ack, PublishFault)) -> Result<Ack, Error> {
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
