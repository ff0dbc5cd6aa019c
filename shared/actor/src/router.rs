//! Keyed actors: one per key, each with a bounded mailbox; built on the first message, gone when it says so, built again
//! when it fails, and put out of service when it fails again and again for reasons of its own.
//!
//! Nothing here ever waits for one actor on behalf of another: a full mailbox is an answer, not a pause.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::actor::{Actor, Factory, Inbound, MessageOf, Next};
use crate::failure::{self, Stopped, chain};
use crate::{Backoff, Failure, metrics};

/// Messages handed over at once.
const BATCH: usize = 64;
/// Failures in a row, none of which passes by itself, after which an actor is put out of service.
pub const FAILURES_MAX: u32 = 5;

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
    name: &'static str,
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
    state: Arc<MailboxState>,
}

/// What sender and actor know of a mailbox besides its messages.
#[derive(Default)]
struct MailboxState {
    /// Sequences that are queued or in hand.
    in_flight: Mutex<BTreeSet<u64>>,
    /// Messages were acknowledged that the actor has to read for itself.
    skipped: AtomicBool,
    /// Somebody wants the actor to ask how the world is.
    poked: Notify,
}

/// What became of an offered message.
#[derive(Debug)]
pub enum Offer<M> {
    /// It is queued.
    Taken,
    /// The same message is queued, or in hand, since an earlier delivery.
    Known,
    /// The mailbox is full.
    Full(M),
}

impl<F: Factory> Router<F> {
    /// Without actors yet. They end when `stop` is cancelled, at their next await point. `name` says in metrics what the
    /// actors are.
    pub fn new(name: &'static str, factory: F, stop: CancellationToken) -> Self {
        let shared = Shared {
            name,
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

    /// Queues the message for its actor; never waits.
    ///
    /// Errors: `Stopped`; the message is lost.
    pub fn offer(&self, key: &F::Key, message: MessageOf<F>) -> Result<Offer<MessageOf<F>>, Stopped> {
        let mut message = message;
        loop {
            if self.is_stopped() {
                return Err(Stopped);
            }
            let (sender, state) = self.mailbox(key);
            let sequence = message.sequence();
            if let Some(sequence) = sequence
                && !state.in_flight.lock().insert(sequence)
            {
                return Ok(Offer::Known);
            }
            let back = match sender.try_send(message) {
                Ok(()) => return Ok(Offer::Taken),
                Err(back) => back,
            };
            if let Some(sequence) = sequence {
                state.in_flight.lock().remove(&sequence);
            }
            match back {
                mpsc::error::TrySendError::Full(back) => return Ok(Offer::Full(back)),
                // It passivated in between: the next turn builds a new one.
                mpsc::error::TrySendError::Closed(back) => message = back,
            }
        }
    }

    /// Has the actor read for itself what is kept behind the last message that it was handed: its mailbox was full.
    ///
    /// Errors: `Stopped`.
    pub fn skip(&self, key: &F::Key) -> Result<(), Stopped> {
        if self.is_stopped() {
            return Err(Stopped);
        }
        self.mailbox(key).1.skipped.store(true, Ordering::Release);
        Ok(())
    }

    /// Has every actor that lives ask how the world is, see [`Actor::poke`].
    pub fn poke(&self) {
        self.shared.mailboxes.lock().values().for_each(|mailbox| mailbox.state.poked.notify_one());
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

    /// What the actors are, in metrics.
    pub fn name(&self) -> &'static str {
        self.shared.name
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

    fn mailbox(&self, key: &F::Key) -> (mpsc::Sender<MessageOf<F>>, Arc<MailboxState>) {
        let mut mailboxes = self.shared.mailboxes.lock();
        if let Some(mailbox) = mailboxes.get(key).filter(|mailbox| !mailbox.sender.is_closed()) {
            return (mailbox.sender.clone(), Arc::clone(&mailbox.state));
        }
        let (sender, receiver) = mpsc::channel(self.shared.factory.mailbox().max(1));
        let incarnation = self.shared.incarnation.fetch_add(1, Ordering::Relaxed);
        let state = Arc::<MailboxState>::default();
        mailboxes.insert(key.clone(), Mailbox { incarnation, sender: sender.clone(), state: Arc::clone(&state) });
        let shared = Arc::clone(&self.shared);
        let run = Run { shared, key: key.clone(), incarnation, receiver, state: Arc::clone(&state), actor: None };
        self.shared.tasks.spawn(run.run());
        (sender, state)
    }
}

struct Run<F: Factory> {
    shared: Arc<Shared<F>>,
    key: F::Key,
    incarnation: u64,
    receiver: mpsc::Receiver<MessageOf<F>>,
    state: Arc<MailboxState>,
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
        let mut failures = 0;
        loop {
            match self.turn().await {
                Ok(Next::Continue) => {
                    backoff.reset();
                    failures = 0;
                }
                Ok(Next::Stop) => {
                    self.remove();
                    self.receiver.close();
                    // What slipped in before the mailbox closed goes to the next incarnation.
                    let router = Router { shared: Arc::clone(&self.shared) };
                    while let Ok(message) = self.receiver.try_recv() {
                        // A message that finds the next mailbox full comes again after its time to acknowledge.
                        if router.offer(&self.key, message).is_err() {
                            return;
                        }
                    }
                    if self.state.skipped.load(Ordering::Acquire) {
                        _ = router.skip(&self.key);
                    }
                    return;
                }
                Err(failed) => {
                    self.actor = None;
                    self.shared.failures.fetch_add(1, Ordering::Relaxed);
                    metrics::FAILURES.with_label_values(&[self.shared.name]).inc();
                    if failed.is_panic {
                        metrics::PANICS.with_label_values(&[self.shared.name]).inc();
                        tracing::error!(key = ?self.key, error = failed.text, "actor panicked, it is built again");
                    } else {
                        tracing::warn!(key = ?self.key, error = failed.text, "actor failed, it is built again");
                    }
                    failures += u32::from(!failed.passes);
                    if failures >= FAILURES_MAX {
                        let factory = &self.shared.factory;
                        let quarantine = factory.quarantine(&self.key, failures, &failed.text);
                        match guarded(factory, quarantine).await {
                            Ok(true) => {
                                metrics::QUARANTINED.with_label_values(&[self.shared.name]).inc();
                                tracing::error!(key = ?self.key, failures, error = failed.text, "put out of service");
                                backoff.reset();
                                failures = 0;
                                continue;
                            }
                            Ok(false) => {}
                            Err(failed) => {
                                tracing::warn!(key = ?self.key, error = failed.text, "not put out of service, trying again");
                            }
                        }
                    }
                    backoff.wait().await;
                }
            }
        }
    }

    /// One message batch, or one wake.
    async fn turn(&mut self) -> Result<Next, Failed> {
        let factory = &self.shared.factory;
        if self.actor.is_none() {
            // Building reads all that is kept.
            self.state.skipped.store(false, Ordering::Release);
            self.actor = guarded(factory, factory.build(&self.key)).await?;
        }
        let mut batch = Vec::new();
        let Some(actor) = &mut self.actor else {
            while let Ok(message) = self.receiver.try_recv() {
                batch.push(message);
            }
            let sequences = sequences_of(&batch);
            let refused = guarded(factory, factory.refuse(&self.key, batch)).await;
            self.state.settle(&sequences);
            refused?;
            return Ok(if self.receiver.is_empty() { Next::Stop } else { Next::Continue });
        };
        if self.state.skipped.swap(false, Ordering::AcqRel) {
            guarded(factory, actor.catch_up()).await?;
        }
        tokio::select! {
            biased;
            count = self.receiver.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    return guarded(factory, actor.leave()).await.map(|()| Next::Stop);
                }
                let sequences = sequences_of(&batch);
                let handled = guarded(factory, actor.handle(batch)).await;
                self.state.settle(&sequences);
                handled.map(|()| Next::Continue)
            }
            () = self.state.poked.notified() => guarded(factory, actor.poke()).await.map(|()| Next::Continue),
            () = sleep_until(actor.wake_at()) => guarded(factory, actor.wake()).await,
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

impl MailboxState {
    /// These are no longer in hand.
    fn settle(&self, sequences: &[u64]) {
        let mut in_flight = self.in_flight.lock();
        for sequence in sequences {
            in_flight.remove(sequence);
        }
    }
}

fn sequences_of<M: Inbound>(batch: &[M]) -> Vec<u64> {
    batch.iter().filter_map(Inbound::sequence).collect()
}

/// Why a turn of an actor failed.
struct Failed {
    /// The error with all its causes, or the text of the panic.
    text: String,
    is_panic: bool,
    /// It may go well the next time though nothing about the actor changes: bus or API did not answer.
    passes: bool,
}

/// Turns a panic into an error, and an error into its text with all causes.
async fn guarded<T>(factory: &impl Factory, future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failed> {
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            let passes = failure::passes(&*error, |cause| factory.passes(cause));
            Err(Failed { text: chain(&*error), is_panic: false, passes })
        }
        Err(panic) => Err(Failed { text: format!("panic: {}", panic_text(&*panic)), is_panic: true, passes: false }),
    }
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
