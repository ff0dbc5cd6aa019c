//! Handles of durable consumers and the receipts they give.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::task::coop;
use tokio::time::{Instant, sleep_until};

use super::Inner;
use super::chaos::AckFault;
use super::log::Log;
use crate::{Consumer, Delivery, Error, Message, Settle, Stream, Verdict};

pub(super) struct Handle {
    bus: Arc<Inner>,
    stream: Stream,
    name: Arc<str>,
    wake: Arc<Notify>,
}

impl Handle {
    pub(super) fn new(bus: Arc<Inner>, stream: Stream, name: Arc<str>, wake: Arc<Notify>) -> Self {
        Self { bus, stream, name, wake }
    }

    /// What can be taken now; otherwise when to look again.
    fn take(&self, max: usize) -> Result<Result<Vec<Delivery>, Option<Instant>>, Error> {
        let chaos = self.bus.options.chaos.as_deref();
        let mut log = self.bus.log(self.stream).lock();
        let Log { store, consumers, .. } = &mut *log;
        let gone = || Error::ConsumerGone { stream: self.stream, name: self.name.as_ref().to_owned() };
        let cursor = consumers.get_mut(&self.name).ok_or_else(gone)?;
        let messages = cursor.take(store, max, Instant::now(), chaos);
        let due = cursor.next_due();
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
        Delivery::new(message, Box::new(Receipt { bus, stream, name, sequence, deliveries }))
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
            let mut abandoned = PassOn(Some(&self.wake));
            match until {
                None => woken.await,
                Some(until) => tokio::select! {
                    biased;
                    () = woken => {}
                    () = sleep_until(until) => {}
                },
            }
            abandoned.0 = None;
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(self.take(max)?.unwrap_or_default());
            }
        }
    }
}

/// Wakes another handle when the one that was to watch the time is dropped while it waits.
struct PassOn<'a>(Option<&'a Notify>);

impl Drop for PassOn<'_> {
    fn drop(&mut self) {
        if let Some(wake) = self.0 {
            wake.notify_one();
        }
    }
}

#[async_trait]
impl Consumer for Handle {
    async fn next(&mut self) -> Result<Delivery, Error> {
        let mut deliveries = self.wait(1, None).await?;
        Ok(deliveries.pop().expect("without a deadline the wait ends with a delivery"))
    }

    async fn next_batch(&mut self, max: usize, wait: Duration) -> Result<Vec<Delivery>, Error> {
        self.wait(max.max(1), Some(Instant::now() + wait)).await
    }

    /// Nothing is handed out before it is asked for.
    async fn close(&mut self) -> Result<(), Error> {
        Ok(())
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
            && let (Some(chaos), Some(entry)) = (&self.bus.options.chaos, log.store.entry(self.sequence))
            && chaos.on_ack(&entry.message(self.stream, self.sequence, self.deliveries)) == AckFault::Lost
        {
            return Ok(());
        }
        log.settle(&self.name, self.sequence, self.deliveries, verdict);
        drop(log);
        self.bus.compact_if_grown();
        Ok(())
    }
}
