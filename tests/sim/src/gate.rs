//! What stands between one incarnation of a service and the world: it counts writes, and before or after a chosen one
//! the incarnation dies or freezes. To the dead nothing is answered, and nothing of theirs gets out.

use std::{
    future::{Future, pending},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::faults::{Faults, PodName};

/// A place to crash: the write with this number, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    pub at: u64,
    pub when: When,
}

/// On which side of the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Before,
    After,
    /// After it the bus is lost; who wrote lives on.
    BusLost,
}

/// A bug put in on purpose, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// The scheduler acknowledges an event when it gets it, not when it has published what follows from it. The log of
    /// events is kept and replayed, so this alone must do no harm.
    AckBeforePublish,
    /// The status service acknowledges an event when it gets it, not when it has written it into the object.
    AckBeforeWrite,
    /// Pods are not deleted, though the answer says so.
    KeepsPods,
    /// Pods get a finalizer that nobody takes away.
    LeavesFinalizer,
    /// Each write of the API is made twice.
    WritesTwice,
    /// Somebody writes although nothing changes.
    Restless,
    /// The node leaves pods alone.
    IdleNode,
    /// What the pod-runner reports of pods that have ended does not reach the log, though the answer says so.
    LosesReports,
    /// A pod that was deleted is created again.
    RecreatesPods,
    /// Pods run under another service account than their workflow's.
    WrongAccount,
}

/// One incarnation's gate.
pub struct Gate {
    /// Such as `scheduler-0.2`: role, replica, incarnation.
    pub name: String,
    pub plant: Option<Plant>,
    crash: Option<Crash>,
    faults: Arc<Faults>,
    state: Mutex<State>,
    died: Notify,
}

#[derive(Debug)]
struct State {
    writes: u64,
    api_writes: u64,
    is_dead: bool,
    frozen_until: Option<Instant>,
}

impl Gate {
    pub fn new(name: String, crash: Option<Crash>, plant: Option<Plant>, faults: Arc<Faults>) -> Self {
        let state = Mutex::new(State { writes: 0, api_writes: 0, is_dead: false, frozen_until: None });
        Self { name, plant, crash, faults, state, died: Notify::new() }
    }

    /// How many writes were begun.
    pub fn writes(&self) -> u64 {
        self.state.lock().writes
    }

    /// How many requests changed the API, or tried to.
    pub fn api_writes(&self) -> u64 {
        self.state.lock().api_writes
    }

    /// One more of them.
    pub fn count_api_write(&self) {
        self.state.lock().api_writes += 1;
    }

    /// Waits for the end of this incarnation.
    pub async fn died(&self) {
        self.died.notified().await;
    }

    /// Lets nothing more through.
    pub fn close(&self) {
        self.state.lock().is_dead = true;
    }

    /// The faults of the world.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Something that changes nothing.
    pub async fn read<T>(&self, op: impl Future<Output = T>) -> T {
        self.alive().await;
        let result = op.await;
        self.alive().await;
        result
    }

    /// Something that others will see.
    pub async fn write<T: Send + 'static>(&self, what: &str, op: impl Future<Output = T> + Send + 'static) -> T {
        self.create(what, None, op).await
    }

    /// The same, perhaps the creation of `pod`.
    pub async fn create<T: Send + 'static>(
        &self,
        what: &str,
        pod: Option<PodName>,
        op: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let decided = Instant::now();
        self.alive().await;
        let number = {
            let mut state = self.state.lock();
            state.writes += 1;
            state.writes - 1
        };
        self.faults.trace(&self.name, number, what);
        if self.crashes(number, When::Before, what) {
            if let Some(delay) = self.faults.on_the_wire() {
                self.faults.note(&format!("{} had sent it: {what} arrives after {} ms", self.name, delay.as_millis()));
                self.faults.delay_create(pod, Instant::now() + delay);
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    op.await;
                });
            }
            return pending().await;
        }
        if let Some(pause) = self.faults.freeze(&self.name) {
            self.faults.note(&format!("{} freezes for {} ms before {what}", self.name, pause.as_millis()));
            self.state.lock().frozen_until = Some(Instant::now() + pause);
        }
        self.alive().await;
        let now = Instant::now();
        if now > decided {
            self.faults.delay_create(pod, now);
        }
        let result = op.await;
        if self.crash == Some(Crash { at: number, when: When::BusLost }) {
            self.faults.lose_bus();
        }
        if self.crashes(number, When::After, what) {
            return pending().await;
        }
        self.alive().await;
        result
    }

    fn crashes(&self, number: u64, when: When, what: &str) -> bool {
        let is_planned = self.crash == Some(Crash { at: number, when });
        let crashes = is_planned || self.faults.crash(&self.name);
        if crashes {
            self.faults.note(&format!("{} crashes {when:?} write {number}: {what}", self.name));
            self.state.lock().is_dead = true;
            self.died.notify_one();
        }
        crashes
    }

    async fn alive(&self) {
        loop {
            let (is_dead, frozen_until) = {
                let state = self.state.lock();
                (state.is_dead, state.frozen_until)
            };
            if is_dead {
                pending::<()>().await;
            }
            match frozen_until {
                Some(until) if until > Instant::now() => sleep_until(until).await,
                Some(_) | None => return,
            }
        }
    }
}

/// The longest freeze: past any lease.
pub const FREEZE_MAX: Duration = Duration::from_secs(25);
