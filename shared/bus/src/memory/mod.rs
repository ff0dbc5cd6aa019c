//! The bus inside this process.
//!
//! Without a directory it starts no thread, reads no wall clock and no randomness: under tokio's paused time two equal runs
//! are equal. The only timers are `tokio::time`.

mod chaos;
mod cursor;
mod handle;
mod index;
mod leases;
mod log;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::task::coop;

pub use chaos::{AckFault, Chaos, DeliverFault, PublishFault};

use crate::subject::Filter;
use crate::{Ack, Bus, Consumer, ConsumerSpec, Error, Lease, Message, Publish, Stream};
use handle::Handle;
use leases::Leases;
use log::Log;

/// Settings of the in-process bus.
#[derive(Clone)]
pub struct Options {
    /// How long an id is remembered. 120 s.
    pub dedup_window: Duration,
    /// How many ids each stream remembers at most; beyond it the oldest are forgotten early. 1,048,576.
    pub dedup_ids_max: usize,
    /// Largest message, payload and headers together. 1 MiB, as NATS has it.
    pub message_bytes_max: usize,
    /// Largest stream, in bytes of stored messages; an append beyond it is refused as `Full`. 2 GiB.
    pub stream_bytes_max: u64,
    /// Faults for simulations.
    pub chaos: Option<Arc<dyn Chaos>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dedup_window: Duration::from_secs(120),
            dedup_ids_max: 1 << 20,
            message_bytes_max: 1 << 20,
            stream_bytes_max: 2 << 30,
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
pub(crate) struct Inner {
    logs: [Mutex<Log>; 3],
    leases: Mutex<Leases>,
    options: Options,
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
        let logs = Stream::ALL.map(|stream| Mutex::new(Log::new(stream)));
        Self {
            inner: Arc::new(Inner {
                logs,
                leases: Mutex::new(Leases::default()),
                options,
            }),
        }
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

    fn store(&self, message: Publish) -> Result<Ack, Error> {
        let fence = check(&message, self.options.message_bytes_max)?;
        let fault = self
            .options
            .chaos
            .as_ref()
            .map_or(PublishFault::None, |chaos| chaos.on_publish(&message));
        if fault == PublishFault::Refused {
            return Err(Error::Unavailable {
                doing: "publish",
                source: None,
            });
        }
        let ack = self
            .log(message.stream)
            .lock()
            .append(message, fence.as_ref(), &self.options)?;
        match fault {
            PublishFault::LostAnswer => Err(Error::Unavailable {
                doing: "publish",
                source: None,
            }),
            PublishFault::None | PublishFault::Refused => Ok(ack),
        }
    }
}

/// Checks a message as every implementation does; gives its fence in parsed form.
pub(crate) fn check(message: &Publish, bytes_max: usize) -> Result<Option<(Filter, u64)>, Error> {
    let bad = |reason| Error::BadSubject {
        subject: message.subject.clone(),
        reason,
    };
    if !Filter::of(message.stream, &message.subject)?.is_exact() {
        return Err(bad("wildcard in the subject of a message"));
    }
    if message.id.is_empty() || message.id.contains(['\r', '\n']) {
        return Err(bad("the message's id is empty or has more than one line"));
    }
    let reserved = |name: &String| {
        name.get(..5)
            .is_some_and(|start| start.eq_ignore_ascii_case("nats-"))
    };
    if message.headers.keys().any(reserved) {
        return Err(bad("header names starting with `Nats-` are reserved"));
    }
    let size = size_of(message);
    if size > bytes_max {
        return Err(Error::TooLarge {
            subject: message.subject.clone(),
            size,
            limit: bytes_max,
        });
    }
    let Some(expect) = &message.expect else {
        return Ok(None);
    };
    let filter = Filter::of(message.stream, &expect.filter)?;
    if !filter.matches(&message.subject) {
        return Err(bad("the expectation's filter does not match the subject"));
    }
    Ok(Some((filter, expect.last_sequence)))
}

fn size_of(message: &Publish) -> usize {
    let headers: usize = message
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum();
    message.payload.len() + headers
}

#[async_trait]
impl Bus for Memory {
    async fn publish(&self, message: Publish) -> Result<Ack, Error> {
        coop::consume_budget().await;
        self.inner.store(message)
    }

    async fn publish_all(&self, messages: Vec<Publish>) -> Result<Vec<Ack>, Error> {
        coop::consume_budget().await;
        messages
            .into_iter()
            .map(|message| self.inner.store(message))
            .collect()
    }

    async fn last_sequence(&self, stream: Stream, filter: &str) -> Result<u64, Error> {
        let filter = Filter::of(stream, filter)?;
        Ok(self.inner.log(stream).lock().last(&filter))
    }

    async fn read(
        &self,
        stream: Stream,
        filter: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Message>, Error> {
        coop::consume_budget().await;
        let filter = Filter::of(stream, filter)?;
        Ok(self.inner.log(stream).lock().read(&filter, after, limit))
    }

    async fn consume(&self, spec: ConsumerSpec) -> Result<Box<dyn Consumer>, Error> {
        let (stream, name) = (spec.stream, spec.name.as_str().into());
        let wake = self.inner.log(stream).lock().open_consumer(spec)?;
        Ok(Box::new(Handle::new(
            Arc::clone(&self.inner),
            stream,
            name,
            wake,
        )))
    }

    async fn forget(&self, stream: Stream, consumer: &str) -> Result<(), Error> {
        self.inner.log(stream).lock().forget_consumer(consumer);
        Ok(())
    }

    async fn purge(&self, stream: Stream, subject: &str, up_to: u64) -> Result<(), Error> {
        let filter = Filter::of(stream, subject)?;
        self.inner.log(stream).lock().purge(&filter, up_to);
        Ok(())
    }

    async fn acquire(
        &self,
        lease: &str,
        holder: &str,
        ttl: Duration,
    ) -> Result<Option<Lease>, Error> {
        self.inner.leases.lock().acquire(lease, holder, ttl)
    }

    async fn renew(&self, lease: &Lease) -> Result<Lease, Error> {
        self.inner.leases.lock().renew(lease)
    }

    async fn release(&self, lease: Lease) -> Result<(), Error> {
        self.inner.leases.lock().release(&lease);
        Ok(())
    }
}
