//! Where locks live.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use argosy_actor::{Clock, Failure, HEADER_ORIGIN, Host, Owned, own_shards};
use argosy_bus::memory::Memory;
use argosy_bus::{Bus as _, Message, Stream, subject};
use argosy_host::{Process, Settings, consumer_of, own};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::lock::{Fact, Granted, LockKey};
use crate::store::{Locks, told};

const ROLE: &str = "locksmith";
/// How long a shard stays with who does not answer.
pub const LEASE: Duration = Duration::from_secs(10);

pub struct World {
    pub bus: Arc<Memory>,
    clock: Clock,
    made: Arc<Mutex<BTreeSet<String>>>,
    told: AtomicU64,
}

/// A host that runs.
pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<Result<(), Failure>>,
}

impl Running {
    /// Has it end in order.
    pub async fn leave(self) {
        self.stop.cancel();
        self.task.await.expect("it ends").expect("it ends well");
    }

    /// Ends it without a word.
    pub async fn die(self) {
        self.task.abort();
        assert!(self.task.await.is_err_and(|error| error.is_cancelled()), "it lived until now");
    }
}

impl World {
    pub fn new() -> Self {
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().expect("a timestamp"));
        Self { bus: Arc::new(Memory::new()), clock, made: Arc::default(), told: AtomicU64::new(0) }
    }

    fn host(&self, holder: &str) -> Host {
        Host { clock: self.clock, ..Host::new(self.bus.clone(), holder, 1) }
    }

    fn process(&self, holder: &str) -> Arc<Process> {
        let (passivate, remind) = (Duration::from_secs(30), Duration::from_secs(300));
        Arc::new(Process::new(self.host(holder), Settings { role: ROLE, lease: LEASE, passivate, remind }))
    }

    /// A host that shares in the shards, of which there is one.
    pub fn start(&self, holder: &str) -> Running {
        let (host, made, process) = (self.host(holder), Arc::clone(&self.made), self.process(holder));
        let of = host.clone();
        let work = Arc::new(move |owned| {
            let (process, host, made) = (Arc::clone(&process), of.clone(), Arc::clone(&made));
            let work = own(process, owned, move |_| Locks { host, made });
            Box::pin(work) as Pin<Box<dyn Future<Output = _> + Send>>
        });
        let stop = CancellationToken::new();
        let (shutdown, leases) = (stop.clone(), argosy_actor::Settings { ttl: LEASE });
        let task = tokio::spawn(async move { own_shards(&host, ROLE, &leases, shutdown, work).await });
        Running { stop, task }
    }

    /// The owner of the shard under a lease that nobody renews, and whose end nobody tells it.
    pub async fn own(&self, holder: &str) -> JoinHandle<Result<(), Failure>> {
        let lease = self.bus.acquire(&format!("{ROLE}.0"), holder, LEASE).await.expect("the bus answers");
        let owned = Owned::new(0, lease.expect("it is free"), self.clock);
        let (host, made) = (self.host(holder), Arc::clone(&self.made));
        tokio::spawn(own(self.process(holder), owned, move |_| Locks { host, made }))
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Tells the log of a lock; gives the sequence of the message.
    pub async fn tell(&self, lock: &str, fact: Fact) -> u64 {
        if matches!(fact, Fact::Make { .. }) {
            self.made.lock().insert(lock.to_owned());
        }
        let (host, n) = (self.host("teller"), self.told.fetch_add(1, Ordering::Relaxed));
        let message = told(&host, &LockKey(lock.to_owned()), format!("told:{n}"), fact);
        self.bus.publish(message).await.expect("published").sequence
    }

    /// Tells what was made on the bus that began at `origin`.
    pub async fn tell_of(&self, origin: u64, lock: &str, fact: Fact) {
        let (host, n) = (self.host("teller"), self.told.fetch_add(1, Ordering::Relaxed));
        let message = told(&host, &LockKey(lock.to_owned()), format!("told:{n}"), fact);
        self.bus.publish(message.header(HEADER_ORIGIN, origin.to_string())).await.expect("published");
    }

    pub async fn log(&self, lock: &str) -> Vec<Message> {
        let log = self.host("reader").observed_subject(lock);
        self.bus.read(Stream::Observed, &log, 0, 1000).await.expect("readable")
    }

    /// Ids of all events.
    pub async fn events(&self) -> Vec<String> {
        let all = self.bus.read(Stream::Events, &subject::of_stream(Stream::Events), 0, 1000).await.expect("readable");
        all.into_iter().map(|message| message.id).collect()
    }

    async fn grants(&self, lock: &str) -> Vec<Granted> {
        let filter = subject::Event::of_workflow(0, "locks", lock);
        let all = self.bus.read(Stream::Events, &filter, 0, 1000).await.expect("readable");
        let grants = all.iter().filter(|message| message.id.contains(":granted."));
        grants.map(|message| serde_json::from_slice(&message.payload).expect("a grant")).collect()
    }

    /// Who was given the lock, in order.
    pub async fn granted(&self, lock: &str) -> Vec<String> {
        self.grants(lock).await.into_iter().map(|grant| grant.who).collect()
    }

    /// By owners of which epochs.
    pub async fn epochs(&self, lock: &str) -> Vec<u64> {
        self.grants(lock).await.into_iter().map(|grant| grant.epoch).collect()
    }

    pub async fn unacknowledged(&self) -> u64 {
        let lag = self.bus.lag(Stream::Observed, &consumer_of(ROLE, 0)).await.expect("a bus");
        lag.expect("a consumer").unacknowledged
    }

    pub async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        for _ in 0..10_000 {
            if is_so().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("waited in vain for {what}: {:?}", self.events().await);
    }
}
