//! Brings what a shard's consumer hands out to the actors of the shard. Never waits for an actor, and outlives a bus that
//! does not answer for a while: the actors know nothing of it.

use std::time::Duration;

use argosy_bus::{Consumer, ConsumerSpec, Delivery, Error};
use tokio_util::sync::CancellationToken;

use crate::actor::{Inbound as _, MessageOf};
use crate::router::Offer;
use crate::set_aside::poison;
use crate::{Backoff, Factory, Failure, Host, Owned, Router, lag, metrics};

/// Messages taken at once.
const BATCH: usize = 256;
/// How long a consumer waits in one go.
const WAIT: Duration = Duration::from_secs(5);
/// A message that finds its mailbox full comes again after this.
const FULL_PAUSE: Duration = Duration::from_secs(2);

/// Where a delivery goes.
pub enum Routed<F: Factory> {
    /// To an actor.
    To(F::Key, MessageOf<F>),
    /// Nowhere: it is dealt with.
    Done(Delivery),
    /// Nowhere yet: this process does not know what it says, a newer one may.
    Newer(Delivery),
    /// Nowhere, ever; with the reason.
    Poison(Delivery, String),
}

/// What becomes of a message whose actor has a full mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It is handed out again later, behind newer ones.
    Again,
    /// It is acknowledged; the actor reads it in the log, in order, when it comes to it.
    Skip,
}

/// Feeds `router` until the shard is left, then drains it. What was not taken from the consumer is given back for the next
/// owner.
///
/// Errors: those of the bus that do not pass, and the end of the router.
pub async fn feed<F: Factory>(
    host: &Host,
    owned: &Owned,
    spec: ConsumerSpec,
    router: &Router<F>,
    when_full: WhenFull,
    mut route: impl FnMut(Delivery) -> Routed<F>,
) -> Result<(), Failure> {
    let lag = lag::tell(host, &spec);
    let work = work(host, owned, spec.clone(), router, when_full, &mut route);
    tokio::select! {
        biased;
        result = work => result,
        never = lag => match never {},
    }
}

async fn work<F: Factory>(
    host: &Host,
    owned: &Owned,
    spec: ConsumerSpec,
    router: &Router<F>,
    when_full: WhenFull,
    mut route: impl FnMut(Delivery) -> Routed<F>,
) -> Result<(), Failure> {
    let mut source = Source { host, spec, leave: owned.leave.clone(), backoff: Backoff::short() };
    let mut consumer = source.open().await?;
    while let Some(batch) = source.next(&mut consumer).await? {
        for delivery in batch {
            match route(delivery) {
                Routed::To(key, message) => offer(router, &key, message, when_full).await?,
                Routed::Done(delivery) => answered(delivery.ack().await),
                Routed::Newer(delivery) => answered(delivery.hold().await),
                Routed::Poison(delivery, why) => poison(host, router.name(), delivery, &why).await,
            }
        }
    }
    router.drain().await;
    Ok(())
}

async fn offer<F: Factory>(
    router: &Router<F>,
    key: &F::Key,
    message: MessageOf<F>,
    when_full: WhenFull,
) -> Result<(), Failure> {
    let Offer::Full(message) = router.offer(key, message)? else { return Ok(()) };
    metrics::BUSY.with_label_values(&[router.name()]).inc();
    let Some(delivery) = message.into_delivery() else { return Ok(()) };
    match when_full {
        WhenFull::Again => answered(delivery.nak(FULL_PAUSE).await),
        WhenFull::Skip => {
            router.skip(key)?;
            answered(delivery.ack().await);
        }
    }
    Ok(())
}

/// An answer that did not get through is no harm: the message comes again.
fn answered(result: Result<(), Error>) {
    if let Err(error) = result {
        tracing::debug!(error = &error as &dyn std::error::Error, "delivery not answered, it comes again");
    }
}

struct Source<'a> {
    host: &'a Host,
    spec: ConsumerSpec,
    leave: CancellationToken,
    backoff: Backoff,
}

impl Source<'_> {
    async fn open(&mut self) -> Result<Box<dyn Consumer>, Error> {
        loop {
            match self.host.bus.consume(self.spec.clone()).await {
                Err(error) if error.class() == argosy_bus::Class::Transient => self.hiccup(&error).await,
                result => return result,
            }
        }
    }

    /// The next messages; perhaps none. `None` once the shard is to be left.
    async fn next(&mut self, consumer: &mut Box<dyn Consumer>) -> Result<Option<Vec<Delivery>>, Error> {
        loop {
            let result = tokio::select! {
                biased;
                () = self.leave.cancelled() => break,
                result = consumer.next_batch(BATCH, WAIT) => result,
            };
            match result {
                Ok(batch) => {
                    self.backoff.reset();
                    return Ok(Some(batch));
                }
                Err(error) if error.class() == argosy_bus::Class::Transient => self.hiccup(&error).await,
                Err(error @ Error::ConsumerGone { .. }) => {
                    self.hiccup(&error).await;
                    *consumer = self.open().await?;
                }
                Err(error) => return Err(error),
            }
        }
        if let Err(error) = consumer.close().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "messages not given back, they come again later");
        }
        Ok(None)
    }

    async fn hiccup(&mut self, error: &Error) {
        metrics::HICCUPS.inc();
        tracing::warn!(
            consumer = self.spec.name,
            error = error as &dyn std::error::Error,
            "consumer does not answer, asking again"
        );
        self.backoff.wait().await;
    }
}

#[cfg(test)]
mod tests;
