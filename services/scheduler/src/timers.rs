//! Timers of a shard: in memory, as the engine arms them again after a rebuild.

use std::collections::BTreeMap;

use argosy_actor::Host;
use argosy_api::message::Observed;
use argosy_bus::Publish;
use argosy_workflows::{WorkflowKey, WorkflowLog as _};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::metrics;

/// Timers fired at once.
const BATCH: usize = 256;

pub(crate) struct Timers {
    host: Host,
    armed: Mutex<Armed>,
    changed: Notify,
}

#[derive(Default)]
struct Armed {
    /// With the last event that was known when it was armed.
    by_due: BTreeMap<(Timestamp, WorkflowKey, String), u64>,
    by_key: BTreeMap<(WorkflowKey, String), Timestamp>,
}

impl Timers {
    pub fn new(host: Host) -> Self {
        Self { host, armed: Mutex::default(), changed: Notify::new() }
    }

    /// Arms, or moves, a timer. `after`: the last event that was known then. A timer that is armed again, though its report is
    /// in the log before that event, is another one, and its report must not be taken for the first: a workflow that was
    /// suspended while its timer fired has it armed again by a new owner.
    pub fn arm(&self, workflow: &WorkflowKey, key: String, due: Timestamp, after: u64) {
        {
            let mut armed = self.armed.lock();
            if let Some(before) = armed.by_key.insert((workflow.clone(), key.clone()), due) {
                armed.by_due.remove(&(before, workflow.clone(), key.clone()));
            }
            armed.by_due.insert((due, workflow.clone(), key), after);
        }
        self.changed.notify_one();
    }

    /// Disarms a timer, if it is armed.
    pub fn disarm(&self, workflow: &WorkflowKey, key: String) {
        let mut armed = self.armed.lock();
        if let Some(due) = armed.by_key.remove(&(workflow.clone(), key.clone())) {
            armed.by_due.remove(&(due, workflow.clone(), key));
        }
    }

    /// Whether the timer is armed.
    pub fn is_armed(&self, workflow: &WorkflowKey, key: &str) -> bool {
        self.armed.lock().by_key.contains_key(&(workflow.clone(), key.to_owned()))
    }

    /// Disarms all timers of a workflow.
    pub fn forget(&self, workflow: &WorkflowKey) {
        let mut armed = self.armed.lock();
        let from = (workflow.clone(), String::new());
        let keys: Vec<_> = armed
            .by_key
            .range(from..)
            .take_while(|((key, _), _)| key == workflow)
            .map(|(k, due)| (k.clone(), *due))
            .collect();
        for ((workflow, key), due) in keys {
            armed.by_due.remove(&(due, workflow.clone(), key.clone()));
            armed.by_key.remove(&(workflow, key));
        }
    }

    /// Reports timers as they come due; for ever.
    pub async fn run(&self) {
        loop {
            let due = self.armed.lock().by_due.keys().next().map(|(due, ..)| *due);
            let sleep = async {
                match due {
                    Some(due) => self.host.clock.sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = sleep => self.fire().await,
                () = self.changed.notified() => {}
            }
        }
    }

    /// Reports what is due, and forgets it once the bus has it.
    async fn fire(&self) {
        let now = self.host.clock.now();
        let due: Vec<((Timestamp, WorkflowKey, String), u64)> = {
            let armed = self.armed.lock();
            metrics::TIMERS.set(i64::try_from(armed.by_due.len()).unwrap_or(i64::MAX));
            let due = armed.by_due.iter().take_while(|((due, ..), _)| *due <= now).take(BATCH);
            due.map(|(timer, after)| (timer.clone(), *after)).collect()
        };
        let messages = due.iter().map(|((due, workflow, key), after)| report(&self.host, workflow, key, *due, *after));
        if let Err(error) = self.host.publish(messages.collect()).await {
            metrics::POISON.inc();
            tracing::error!(error = &error as &dyn std::error::Error, "timers not reported");
        }
        let mut armed = self.armed.lock();
        for ((due, workflow, key), after) in due {
            let timer = (due, workflow.clone(), key.clone());
            if armed.by_due.get(&timer) == Some(&after) {
                armed.by_due.remove(&timer);
                armed.by_key.remove(&(workflow, key));
            }
        }
    }
}

/// The fact that a timer has fired, as [`Timers::arm`] was told of it.
pub(crate) fn report(host: &Host, workflow: &WorkflowKey, key: &str, due: Timestamp, after: u64) -> Publish {
    let id = format!("{}:timer:{key}:{due}:{after}", workflow.uid);
    host.fact(workflow, id, Observed::TimerFired { key: key.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use argosy_actor::Clock;
    use argosy_bus::{Bus as _, Stream, subject};

    use super::*;

    fn workflow(uid: &str) -> WorkflowKey {
        WorkflowKey { uid: uid.into(), namespace: "ns".into(), name: "w".into() }
    }

    fn timers() -> (Arc<argosy_bus::memory::Memory>, Clock, Timers) {
        let bus = Arc::new(argosy_bus::memory::Memory::new());
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().expect("a timestamp"));
        let timers = Timers::new(Host { clock, ..Host::new(bus.clone(), "t", 1) });
        (bus, clock, timers)
    }

    #[tokio::test(start_paused = true)]
    async fn timers_fire_in_order_once_and_can_be_moved() {
        let (bus, clock, timers) = timers();
        let at = |secs: u64| clock.now() + Duration::from_secs(secs);
        timers.arm(&workflow("u1"), "b".into(), at(20), 1);
        timers.arm(&workflow("u1"), "a".into(), at(10), 1);
        timers.arm(&workflow("u1"), "b".into(), at(5), 2);
        timers.arm(&workflow("u2"), "c".into(), at(7), 2);
        timers.forget(&workflow("u2"));
        let ran = tokio::time::timeout(Duration::from_secs(60), timers.run()).await;
        assert!(ran.is_err(), "runs for ever");
        let fired = bus.read(Stream::Observed, &subject::of_stream(Stream::Observed), 0, 10).await.expect("readable");
        let fired: Vec<_> = fired.iter().map(|message| message.id.as_str()).collect();
        assert_eq!(fired, ["u1:timer:b:2026-01-01T00:00:05Z:2", "u1:timer:a:2026-01-01T00:00:10Z:1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_is_armed_again_after_its_report_reports_again() {
        let (bus, clock, timers) = timers();
        let due = clock.now();
        for (after, reports) in [(1, 1), (1, 1), (4, 2)] {
            timers.arm(&workflow("u1"), "a".into(), due, after);
            timers.fire().await;
            let fired =
                bus.read(Stream::Observed, &subject::of_stream(Stream::Observed), 0, 10).await.expect("readable");
            assert_eq!(fired.len(), reports);
            assert!(!timers.is_armed(&workflow("u1"), "a"));
        }
    }
}
