//! Handles of durable consumers and the receipts they give.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::task::coop;
use tokio::time::{Instant, sleep_until};

use super::Inner;
use super::chaos::AckFault;
use crate::{Consumer, Delivery, Error, Message, Settle, Stream, Verdict};

pub(super) struct Handle {
    bus: Arc<Inner>,
    stream: Stream,
    name: Arc<str>,
    wake: Arc<Notify>,
}

impl Handle {
    pub(super) fn new(bus: Arc<Inner>, stream: Stream, name: Arc<str>, wake: Arc<Notify>) -> Self {
        Self {
            bus,
            stream,
            name,
            wake,
        }
    }

    /// What can be taken now; otherwise when to look again.
    fn take(&self, max: usize) -> Result<Result<Vec<Delivery>, Option<Instant>>, Error> {
        let chaos = self.bus.options.chaos.as_deref();
        let mut log = self.bus.log(self.stream).lock();
        let gone = || Error::ConsumerGone {
            stream: self.stream,
            name: self.name.as_ref().to_owned(),
        };
        let (name, mut cursor) = log.consumers.remove_entry(&self.name).ok_or_else(gone)?;
        let messages = cursor.take(&log, self.stream, max, Instant::now(), chaos);
        let due = cursor.next_due();
        log.consumers.insert(name, cursor);
        drop(log);
        if messages.is_empty() {
            Ok(Err(due))
        } else {
            Ok(Ok(messages.into_iter().map(|m| self.delivery(m)).collect()))
        }
    }

    fn delivery(&self, message: Message) -> Delivery {
        let (sequence, deliveries) = (message.sequence, message.deliveries);
        let (bus, stream, name) = (Arc::clone(&self.bus), self.stream, Arc::clone(&self.name));
        Delivery::new(
            message,
            Box::new(Receipt {
                bus,
                stream,
                name,
                sequence,
                deliveries,
            }),
        )
    }

    async fn wait(&self, max: usize, deadline: Option<Instant>) -> Result<Vec<Delivery>, Error> {
        coop::consume_budget().await;
        loop {
            let woken = self.wake.notified();
            let due = match self.take(max)? {
                Ok(deliveries) => return Ok(deliveries),
                Err(due) => due,
            };
            let until = due.into_iter().chain(deadline).min();
            let abandoned = PassOn(&self.wake);
            match until {
                None => woken.await,
                Some(until) => tokio::select! {
                    biased;
                    () = woken => {}
                    () = sleep_until(until) => {}
                },
            }
            std::mem::forget(abandoned);
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(self.take(max)?.unwrap_or_default());
            }
        }
    }
}

/// Wakes another handle when the one that was to watch the time is dropped while it waits.
struct PassOn<'a>(&'a Notify);

impl Drop for PassOn<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[async_trait]
impl Consumer for Handle {
    async fn next(&mut self) -> Result<Delivery, Error> {
        let mut deliveries = self.wait(1, None).await?;
        Ok(deliveries
            .pop()
            .expect("without a deadline the wait ends with a delivery"))
    }

    async fn next_batch(&mut self, max: usize, wait: Duration) -> Result<Vec<Delivery>, Error> {
        self.wait(max.max(1), Some(Instant::now() + wait)).await
    }
}

struct Receipt {
    bus: Arc<Inner>,
    stream: Stream,
    name: Arc<str>,
    sequence: u64,
    deliveries: u32,
}

#[async_trait]
impl Settle for Receipt {
    async fn settle(&self, verdict: Verdict) -> Result<(), Error> {
        let mut log = self.bus.log(self.stream).lock();
        if verdict == Verdict::Ack
            && let (Some(chaos), Some(entry)) = (&self.bus.options.chaos, log.entry(self.sequence))
            && chaos.on_ack(&entry.message(self.stream, self.sequence, self.deliveries))
                == AckFault::Lost
        {
            return Ok(());
        }
        let Some(cursor) = log.consumers.get_mut(&self.name) else {
            return Ok(());
        };
        if cursor.settle(self.sequence, self.deliveries, verdict, Instant::now())
            && self.stream.is_work_queue()
        {
            log.remove(self.sequence);
        }
        Ok(())
    }
}
