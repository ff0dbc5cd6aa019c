//! How a shard publishes what its entities' steps ask for. Gathers what its actors publish at the same time into one append,
//! fences EVENTS, and learns of another owner. Reports to logs (timers, answers) need no fence and go to the bus directly.

use std::sync::Arc;

use argosy_actor::{Backoff, Failure, Host, Owned};
use argosy_bus::{Class, Error as BusError, Fence, Publish, Stream, subject};
use tokio::sync::{mpsc, oneshot};

use crate::Meters;

/// Requests gathered into one append.
const GATHER: usize = 64;

const STOPPED: Error = Error::Stopped(argosy_actor::Stopped);

/// The door. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Outbox {
    sender: mpsc::Sender<Request>,
    meters: Meters,
}

struct Request {
    messages: Vec<Publish>,
    done: oneshot::Sender<Result<(), Error>>,
}

/// Nothing, or not everything, was published.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The shard is no longer ours.
    #[error("the shard has another owner, or stops")]
    Stopped(#[source] argosy_actor::Stopped),
    /// The bus will never take it.
    #[error("refused by the bus")]
    Refused(#[source] Arc<BusError>),
}

impl Outbox {
    /// Claims the shard: from then on a former owner's events are refused.
    pub async fn claim(host: Host, owned: &Owned, meters: Meters) -> Result<(Self, Task), Failure> {
        let (sender, receiver) = mpsc::channel(GATHER * 4);
        let filter = subject::Event::of_shard(owned.shard);
        let mut task = Task { host, owned: owned.clone(), filter, last: 0, receiver, meters };
        let subject = subject::Event::claim(owned.shard);
        let id = format!("claim:{}:{}", owned.shard, owned.lease.epoch);
        task.refresh().await?;
        let claim = Publish::new(Stream::Events, subject.to_string(), id, Vec::new()).urgent();
        task.append_events(vec![claim]).await?;
        Ok((Self { sender, meters }, task))
    }

    /// Publishes, wishes before facts, and returns when the bus has all of it. Whether the shard is still ours is known then,
    /// also when there is nothing to publish: what led to this may be acknowledged.
    pub async fn publish(&self, messages: Vec<Publish>) -> Result<(), Error> {
        let _timer = self.meters.publish_seconds.start_timer();
        let (done, answer) = oneshot::channel();
        self.sender.send(Request { messages, done }).await.map_err(|_| STOPPED)?;
        answer.await.unwrap_or(Err(STOPPED))
    }
}

/// Does the appending.
pub(crate) struct Task {
    host: Host,
    owned: Owned,
    filter: String,
    /// Sequence of the newest event of the shard.
    last: u64,
    receiver: mpsc::Receiver<Request>,
    meters: Meters,
}

impl Task {
    /// Appends what is asked for until the last door is closed. Errors: another owner writes, or the lease is lost.
    pub async fn run(mut self) -> Result<(), Failure> {
        let mut requests = Vec::new();
        while self.receiver.recv_many(&mut requests, GATHER).await > 0 {
            let all = requests.iter().flat_map(|request| request.messages.iter().cloned()).collect();
            match self.append(all).await {
                Ok(()) => requests.drain(..).for_each(|request| _ = request.done.send(Ok(()))),
                Err(Error::Stopped(_)) => return Err(STOPPED.into()),
                // One of them is at fault: each for itself.
                Err(Error::Refused(_)) => {
                    for request in requests.drain(..) {
                        let result = self.append(request.messages).await;
                        let is_over = matches!(result, Err(Error::Stopped(_)));
                        _ = request.done.send(result);
                        if is_over {
                            return Err(STOPPED.into());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    async fn append(&mut self, messages: Vec<Publish>) -> Result<(), Error> {
        let (facts, wishes): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| message.stream == Stream::Events);
        if !wishes.is_empty() {
            self.host.publish(wishes).await.map_err(|error| Error::Refused(Arc::new(error)))?;
        }
        if facts.is_empty() { self.confirm().await } else { self.append_events(facts).await }
    }

    /// Finds out whether the shard is still ours, where no fence tells: a new owner's claim is an event.
    async fn confirm(&mut self) -> Result<(), Error> {
        match self.host.bus.last_sequence(Stream::Events, &self.filter).await {
            Ok(last) if last == self.last => Ok(()),
            // Another wrote, or our history was purged, or the bus does not answer: the lease tells.
            Ok(_) | Err(_) => self.refresh().await,
        }
    }

    /// Appends events behind a fence: all of a batch are stored or none. Repeats of what is stored pass it.
    async fn append_events(&mut self, events: Vec<Publish>) -> Result<(), Error> {
        for batch in argosy_bus::batches(events) {
            self.append_batch(batch).await?;
        }
        Ok(())
    }

    async fn append_batch(&mut self, batch: Vec<Publish>) -> Result<(), Error> {
        let mut backoff = Backoff::short();
        loop {
            let fence = Fence { filter: self.filter.clone(), last: self.last };
            match self.host.bus.append(batch.clone(), fence.clone()).await {
                Ok(acks) => {
                    self.last = fence.after(&acks).last;
                    return Ok(());
                }
                Err(error) if error.is_fenced() => {
                    self.meters.fenced.inc();
                    self.refresh().await?;
                    backoff.wait().await;
                }
                Err(error) if error.class() == Class::Transient => {
                    tracing::warn!(
                        shard = self.owned.shard,
                        error = &error as &dyn std::error::Error,
                        "publish not answered, trying again"
                    );
                    backoff.wait().await;
                    // It may be stored: then the fence has moved by our own doing.
                    self.refresh().await?;
                }
                Err(error) => return Err(Error::Refused(Arc::new(error))),
            }
        }
    }

    /// Reads where the shard's events end, provided the lease is still ours: its holder is the only writer.
    async fn refresh(&mut self) -> Result<(), Error> {
        let mut backoff = Backoff::short();
        loop {
            let last = match self.host.bus.last_sequence(Stream::Events, &self.filter).await {
                Ok(last) => last,
                Err(error) if error.class() == Class::Transient => {
                    backoff.wait().await;
                    continue;
                }
                Err(error) => return Err(Error::Refused(Arc::new(error))),
            };
            // After the read: a lease that holds now held when it was made.
            match self.host.bus.renew(&self.owned.lease).await {
                Ok(_) => {
                    self.last = last;
                    return Ok(());
                }
                Err(error) if error.class() == Class::Transient => backoff.wait().await,
                Err(error) => {
                    tracing::warn!(
                        shard = self.owned.shard,
                        error = &error as &dyn std::error::Error,
                        "another owner writes"
                    );
                    self.owned.stop.cancel();
                    return Err(STOPPED);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
