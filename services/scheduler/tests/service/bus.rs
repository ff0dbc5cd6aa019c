//! A bus that a test may hold up or cut off, and that tells what it was asked.

use std::sync::Arc;
use std::time::Duration;

use argosy_bus::{
    Ack, Bus, Consumer, ConsumerSpec, Error, Fence, Lag, Lease, Message, Publish, Quarantine, Stream, memory::Memory,
};
use async_trait::async_trait;
use parking_lot::Mutex;

/// The bus as the scheduler sees it.
pub struct Between {
    bus: Arc<Memory>,
    /// Reads are not answered.
    pub is_away: Mutex<bool>,
    /// How long a batch takes to be stored.
    pub delay: Mutex<Duration>,
    /// Reads that were not answered.
    pub unanswered: Mutex<u32>,
    /// Ids of the batches' messages, once stored, and names of leases that were given back.
    pub done: Mutex<Vec<String>>,
}

impl Between {
    pub fn new(bus: &Arc<Memory>) -> Arc<Self> {
        let (is_away, delay, unanswered, done) = Default::default();
        Arc::new(Self { bus: Arc::clone(bus), is_away, delay, unanswered, done })
    }

    fn answers(&self, doing: &'static str) -> Result<(), Error> {
        if !*self.is_away.lock() {
            return Ok(());
        }
        *self.unanswered.lock() += 1;
        Err(Error::Unavailable { doing, source: None })
    }
}

#[async_trait]
impl Bus for Between {
    async fn publish(&self, message: Publish) -> Result<Ack, Error> {
        self.bus.publish(message).await
    }

    async fn publish_all(&self, messages: Vec<Publish>) -> Result<Vec<Ack>, Error> {
        self.bus.publish_all(messages).await
    }

    async fn append(&self, batch: Vec<Publish>, fence: Fence) -> Result<Vec<Ack>, Error> {
        let ids: Vec<String> = batch.iter().map(|message| message.id.clone()).collect();
        let delay = *self.delay.lock();
        tokio::time::sleep(delay).await;
        let acks = self.bus.append(batch, fence).await?;
        self.done.lock().extend(ids);
        Ok(acks)
    }

    async fn origin(&self, stream: Stream) -> Result<u64, Error> {
        self.bus.origin(stream).await
    }

    async fn last_sequence(&self, stream: Stream, filter: &str) -> Result<u64, Error> {
        self.answers("last sequence")?;
        self.bus.last_sequence(stream, filter).await
    }

    async fn read(&self, stream: Stream, filter: &str, after: u64, limit: usize) -> Result<Vec<Message>, Error> {
        self.answers("read")?;
        self.bus.read(stream, filter, after, limit).await
    }

    async fn consume(&self, spec: ConsumerSpec) -> Result<Box<dyn Consumer>, Error> {
        self.bus.consume(spec).await
    }

    async fn forget(&self, stream: Stream, consumer: &str) -> Result<(), Error> {
        self.bus.forget(stream, consumer).await
    }

    async fn subjects(&self, stream: Stream, filter: &str) -> Result<Vec<String>, Error> {
        self.answers("subjects")?;
        self.bus.subjects(stream, filter).await
    }

    async fn settled(&self, stream: Stream, consumer: &str) -> Result<u64, Error> {
        Bus::settled(&*self.bus, stream, consumer).await
    }

    async fn lag(&self, stream: Stream, consumer: &str) -> Result<Option<Lag>, Error> {
        self.answers("lag")?;
        self.bus.lag(stream, consumer).await
    }

    fn quarantine(&self) -> &dyn Quarantine {
        self.bus.quarantine()
    }

    async fn older_than(&self, stream: Stream, filter: &str, age: Duration) -> Result<u64, Error> {
        self.answers("age")?;
        self.bus.older_than(stream, filter, age).await
    }

    async fn purge(&self, stream: Stream, subject: &str, up_to: u64) -> Result<(), Error> {
        self.answers("purge")?;
        self.bus.purge(stream, subject, up_to).await
    }

    async fn acquire(&self, lease: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, Error> {
        self.bus.acquire(lease, holder, ttl).await
    }

    async fn renew(&self, lease: &Lease) -> Result<Lease, Error> {
        self.bus.renew(lease).await
    }

    async fn release(&self, lease: Lease) -> Result<(), Error> {
        let name = lease.name.clone();
        self.bus.release(lease).await?;
        self.done.lock().push(name);
        Ok(())
    }

    async fn held(&self, group: &str) -> Result<Vec<String>, Error> {
        self.bus.held(group).await
    }
}
