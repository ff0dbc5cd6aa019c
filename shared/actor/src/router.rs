//! Keyed actors: one per key, each with a bounded mailbox; built on the first message, gone when it says so, built again
//! when it fails.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Backoff, Failure};

/// Messages that wait for one actor; a sender waits while it is full.
const MAILBOX: usize = 256;
/// Messages handed over at once.
const BATCH: usize = 64;

/// What an actor does after it was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    Continue,
    /// Nothing is left to do: drop it. A later message builds it again.
    Stop,
}

/// One actor. It owns its state; nobody else sees it.
#[async_trait]
pub trait Actor: Send + 'static {
    /// What is sent to it.
    type Message: Send + 'static;

    /// Deals with messages, in order of arrival. Never empty. An error, or a panic, drops the actor, which is built anew.
    async fn handle(&mut self, batch: Vec<Self::Message>) -> Result<(), Failure>;

    /// When [`Actor::wake`] is due; asked after every call.
    fn wake_at(&self) -> Option<Instant>;

    /// The time of [`Actor::wake_at`] has come and no message waits.
    async fn wake(&mut self) -> Result<Next, Failure>;

    /// Nothing more will come, as another process takes over: what was put off has to be done now. Does nothing unless an
    /// actor has something to put off.
    async fn leave(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// Builds actors.
#[async_trait]
pub trait Factory: Send + Sync + 'static {
    /// What tells actors apart.
    type Key: Ord + Clone + Debug + Send + Sync + 'static;
    /// What is built.
    type Actor: Actor;

    /// Builds, or rebuilds, the actor from what is stored. `None`: there is nothing by that key.
    async fn build(&self, key: &Self::Key) -> Result<Option<Self::Actor>, Failure>;

    /// Deals with messages for which there is no actor; with none when it was only touched.
    async fn refuse(&self, key: &Self::Key, batch: Vec<<Self::Actor as Actor>::Message>) -> Result<(), Failure>;
}

type MessageOf<F> = <<F as Factory>::Actor as Actor>::Message;

/// The router has been stopped.
#[derive(Debug, thiserror::Error)]
#[error("the actors have been stopped")]
pub struct Stopped;

/// Brings messages to their actors. Cheap to clone.
pub struct Router<F: Factory> {
    shared: Arc<Shared<F>>,
}

impl<F: Factory> Clone for Router<F> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

struct Shared<F: Factory> {
    factory: F,
    mailboxes: Mutex<BTreeMap<F::Key, Mailbox<MessageOf<F>>>>,
    /// Numbers the incarnations, so that an actor removes only its own mailbox.
    incarnation: AtomicU64,
    failures: AtomicU64,
    /// Nothing more is taken, see [`Router::drain`].
    draining: AtomicBool,
    stop: CancellationToken,
    tasks: TaskTracker,
}

struct Mailbox<M> {
    incarnation: u64,
    sender: mpsc::Sender<M>,
}

impl<F: Factory> Router<F> {
    /// Without actors yet. They end when `stop` is cancelled, at their next await point.
    pub fn new(factory: F, stop: CancellationToken) -> Self {
        let shared = Shared {
            factory,
            mailboxes: Mutex::new(BTreeMap::new()),
            incarnation: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            stop,
            tasks: TaskTracker::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Sends, and waits while the mailbox is full.
    ///
    /// Errors: `Stopped`; the message is lost.
    pub async fn send(&self, key: &F::Key, mut message: MessageOf<F>) -> Result<(), Stopped> {
        loop {
            if self.is_stopped() {
                return Err(Stopped);
            }
            let sender = self.mailbox(key);
            match sender.send(message).await {
                Ok(()) => return Ok(()),
                // It passivated in between: the next turn builds a new one.
                Err(mpsc::error::SendError(back)) => message = back,
            }
        }
    }

    /// Builds the actor if it does not live, without a message for it.
    ///
    /// Errors: `Stopped`.
    pub fn touch(&self, key: &F::Key) -> Result<(), Stopped> {
        if self.is_stopped() {
            return Err(Stopped);
        }
        self.mailbox(key);
        Ok(())
    }

    /// Keys of the actors that live.
    pub fn keys(&self) -> Vec<F::Key> {
        self.shared.mailboxes.lock().keys().cloned().collect()
    }

    /// How many actors live.
    pub fn live(&self) -> usize {
        self.shared.mailboxes.lock().len()
    }

    /// How often an actor failed or panicked.
    pub fn failures(&self) -> u64 {
        self.shared.failures.load(Ordering::Relaxed)
    }

    /// Takes nothing more, lets the actors deal with what they were sent, and waits for their end.
    pub async fn drain(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
        // An actor whose mailbox has no sender left ends when it is empty.
        drop(std::mem::take(&mut *self.shared.mailboxes.lock()));
        self.join().await;
    }

    fn is_stopped(&self) -> bool {
        self.shared.stop.is_cancelled() || self.shared.draining.load(Ordering::Relaxed)
    }

    /// Waits for all actors to end, after the stop token was cancelled.
    pub async fn join(&self) {
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    fn mailbox(&self, key: &F::Key) -> mpsc::Sender<MessageOf<F>> {
        let mut mailboxes = self.shared.mailboxes.lock();
        if let Some(mailbox) = mailboxes.get(key).filter(|mailbox| !mailbox.sender.is_closed()) {
            return mailbox.sender.clone();
        }
        let (sender, receiver) = mpsc::channel(MAILBOX);
        let incarnation = self.shared.incarnation.fetch_add(1, Ordering::Relaxed);
        mailboxes.insert(key.clone(), Mailbox { incarnation, sender: sender.clone() });
        let run = Run { shared: Arc::clone(&self.shared), key: key.clone(), incarnation, receiver, actor: None };
        self.shared.tasks.spawn(run.run());
        sender
    }
}

struct Run<F: Factory> {
    shared: Arc<Shared<F>>,
    key: F::Key,
    incarnation: u64,
    receiver: mpsc::Receiver<MessageOf<F>>,
    actor: Option<F::Actor>,
}

impl<F: Factory> Run<F> {
    async fn run(mut self) {
        let stop = self.shared.stop.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = self.live() => {}
        }
        self.remove();
    }

    async fn live(&mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(60));
        let mut batch = Vec::new();
        loop {
            match self.turn(&mut batch).await {
                Ok(Next::Continue) => backoff.reset(),
                Ok(Next::Stop) => {
                    self.remove();
                    self.receiver.close();
                    // What slipped in before the mailbox closed goes to the next incarnation.
                    let router = Router { shared: Arc::clone(&self.shared) };
                    while let Ok(message) = self.receiver.try_recv() {
                        if router.send(&self.key, message).await.is_err() {
                            return;
                        }
                    }
                    return;
                }
                Err(error) => {
                    self.actor = None;
                    self.shared.failures.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(key = ?self.key, error, "actor failed, it is built again");
                    backoff.wait().await;
                }
            }
        }
    }

    /// One message batch, or one wake.
    async fn turn(&mut self, batch: &mut Vec<MessageOf<F>>) -> Result<Next, String> {
        if self.actor.is_none() {
            self.actor = guarded(self.shared.factory.build(&self.key)).await?;
        }
        let Some(actor) = &mut self.actor else {
            while let Ok(message) = self.receiver.try_recv() {
                batch.push(message);
            }
            guarded(self.shared.factory.refuse(&self.key, std::mem::take(batch))).await?;
            return Ok(if self.receiver.is_empty() { Next::Stop } else { Next::Continue });
        };
        tokio::select! {
            biased;
            count = self.receiver.recv_many(batch, BATCH) => {
                if count == 0 {
                    return guarded(actor.leave()).await.map(|()| Next::Stop);
                }
                guarded(actor.handle(std::mem::take(batch))).await?;
                Ok(Next::Continue)
            }
            () = sleep_until(actor.wake_at()) => guarded(actor.wake()).await,
        }
    }

    fn remove(&self) {
        let mut mailboxes = self.shared.mailboxes.lock();
        if mailboxes.get(&self.key).is_some_and(|mailbox| mailbox.incarnation == self.incarnation) {
            mailboxes.remove(&self.key);
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Turns a panic into an error, and an error into its text with all causes.
async fn guarded<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, String> {
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(chain(&*error)),
        Err(panic) => Err(format!("panic: {}", panic_text(&*panic))),
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}

#[cfg(test)]
mod tests;
