//! An entity as an actor: what it does when its log has grown, and when nothing comes.

use std::time::Duration;

use argosy_actor::{Actor, Backoff, Failure, Next, poison};
use argosy_bus::Delivery;
use async_trait::async_trait;
use jiff::SignedDuration;
use tokio::time::Instant;

use crate::live::{Live, Reached, Read};
use crate::store::{Doing, Reading};
use crate::{Entity as _, Outgoing, Store};

/// Events that a live entity steps before its log is purged up to what is stored. Until then the bus holds them twice: here
/// and there.
const PURGE_EVERY: u64 = 128;
/// How often the log is read again for a message that was delivered and is not in it yet.
const READS_MAX: u32 = 5;
/// A timer that is due is reported within this.
const TIMER_LATE_MAX: SignedDuration = SignedDuration::from_secs(60);
/// The metric's label for work that the entity itself says it has missed.
const ENGINE: &str = "engine";
/// The metric's label for a timer that should be armed and is not.
const TIMER: &str = "timer";

#[async_trait]
impl<S: Store> Actor for Live<S> {
    type Message = Delivery;

    /// A delivery says that the log has grown; what is stepped is the log, in its order. Deliveries have an order of their own:
    /// one may be lost and come again behind newer ones, and a former owner may have taken some.
    async fn handle(&mut self, batch: Vec<Delivery>) -> Result<(), Failure> {
        let newest = batch.iter().map(|delivery| delivery.message.sequence).max().unwrap_or_default();
        self.stepped.clear();
        let mut backoff = Backoff::short();
        let mut tries = 0;
        let mut reached = self.catch_up_to(newest).await?;
        while reached == Reached::Part && tries < READS_MAX {
            // The replica of the log that was asked lags.
            backoff.wait().await;
            reached = self.catch_up_to(newest).await?;
            tries += 1;
        }
        for delivery in batch {
            let sequence = delivery.message.sequence;
            if self.stepped.contains(&sequence) {
                delivery.ack().await?;
                continue;
            }
            let is_stepped = sequence <= self.last;
            match self.read(&delivery.message) {
                Read::Own(Reading::Garbage(why)) => {
                    poison(&self.shard.process.host, S::KIND, delivery, &why).await;
                }
                passed @ (Read::Foreign | Read::Stray) => {
                    let meters = self.shard.store.meters();
                    let (counter, why) = match passed {
                        Read::Stray => (meters.strays, "it is of a bus that was lost"),
                        _ => (meters.foreign, "it names the entity by its uid, and another namespace or name"),
                    };
                    counter.inc();
                    self.shard.store.span(&self.key, Doing::Tell).in_scope(|| {
                        tracing::warn!(id = delivery.message.id.as_str(), kind = S::KIND, why, "message passed over");
                    });
                    delivery.ack().await?;
                }
                Read::Own(Reading::Fact { .. } | Reading::Newer) if is_stepped => delivery.ack().await?,
                // A newer process may know what the entity waits for here.
                Read::Own(Reading::Fact { .. } | Reading::Newer) if reached == Reached::Newer => {
                    delivery.hold().await?
                }
                // It comes again.
                Read::Own(Reading::Fact { .. } | Reading::Newer) => {}
            }
        }
        if self.unpurged >= PURGE_EVERY {
            self.unpurged = 0;
            self.purge_stored().await?;
        }
        // What is stored tells, at once, whether that still holds.
        let is_out_of_service = std::mem::take(&mut self.is_out_of_service);
        self.check_at = if is_out_of_service { Instant::now() } else { self.next_check() };
        Ok(())
    }

    /// Steps what the log holds behind the last event.
    async fn catch_up(&mut self) -> Result<(), Failure> {
        self.catch_up_to(0).await.map(|_| ())
    }

    async fn poke(&mut self) -> Result<(), Failure> {
        self.inquire(false).await
    }

    fn wake_at(&self) -> Option<Instant> {
        Some(self.check_at)
    }

    async fn wake(&mut self) -> Result<Next, Failure> {
        self.check_at = self.next_check();
        let Some(marks) = self.shard.store.look(&self.key).await? else {
            self.shard.timers.forget(&self.key);
            self.purge(self.last).await?;
            return Ok(Next::Stop);
        };
        if marks.is_out_of_service {
            // Its log stays, for the time when it is taken back.
            self.shard.timers.forget(&self.key);
            return Ok(Next::Stop);
        }
        if self.entity.is_over() {
            if marks.position < self.entity.published() {
                return Ok(Next::Continue);
            }
            self.purge(self.last).await?;
            return Ok(Next::Stop);
        }
        self.check().await?;
        Ok(Next::Continue)
    }
}

impl<S: Store> Live<S> {
    /// When to look after itself next: one that has ended leaves soon.
    pub fn next_check(&self) -> Instant {
        let settings = &self.shard.process.settings;
        let pause = if self.entity.is_over() { settings.passivate } else { settings.remind };
        Instant::now() + pause.max(Duration::from_secs(1))
    }

    /// Looks for what the entity waits for in vain. Whatever this finds is a bug, or was one in the version that the entity began
    /// with.
    async fn check(&mut self) -> Result<(), Failure> {
        self.purge_stored().await?;
        for found in self.entity.overlooked() {
            self.found(ENGINE, &found);
        }
        let now = self.shard.process.host.clock.now();
        for (timer, due) in self.entity.timers() {
            if !self.shard.timers.is_armed(&self.key, &timer)
                // One that is due may be on its way through the log.
                && (due > now || now.duration_since(due) > TIMER_LATE_MAX)
            {
                self.found(TIMER, &timer);
                self.shard.timers.arm(&self.key, timer, due, self.last);
            }
        }
        self.inquire(true).await
    }

    /// Asks after what the entity waits for. `is_check`: an answer that brings news was missed before.
    async fn inquire(&mut self, is_check: bool) -> Result<(), Failure> {
        let at = self.shard.process.host.clock.now();
        let id = format!("c{}.{}.{}", self.shard.epoch, self.last, at.as_second());
        let commands = self.entity.inquire(is_check);
        let cause = self.shard.cause(&self.key, self.last, id, at);
        let mut out = Outgoing::default();
        self.entity.stamp(&cause, commands, &mut out);
        self.send(out).await
    }

    /// Drops of the log what is stored elsewhere.
    async fn purge_stored(&mut self) -> Result<(), Failure> {
        if let Some(marks) = self.shard.store.look(&self.key).await? {
            self.purge(marks.sequence.min(self.last)).await?;
        }
        Ok(())
    }
}
