//! Timers of a shard: in memory, as a new owner of an entity arms them again.

use std::collections::BTreeMap;

use argosy_actor::Host;
use argosy_bus::Publish;
use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus::IntGauge;
use tokio::sync::Notify;

use crate::{EntityKey, Meters};

/// Timers fired at once.
const BATCH: usize = 256;

/// Makes the message that tells the log of an entity, under this id, that a timer of it has fired.
pub(crate) type Fired<K> = Box<dyn Fn(&K, String, &str) -> Publish + Send + Sync>;

pub(crate) struct Timers<K: EntityKey> {
    host: Host,
    fired: Fired<K>,
    meters: Meters,
    armed: Mutex<Armed<K>>,
    changed: Notify,
}

/// The timers of one shard, each counted in the gauge of the process as long as it is armed.
struct Armed<K: EntityKey> {
    /// With the last event that was known when it was armed.
    by_due: BTreeMap<(Timestamp, K, String), u64>,
    by_key: BTreeMap<(K, String), Timestamp>,
    gauge: &'static IntGauge,
}

impl<K: EntityKey> Armed<K> {
    fn insert(&mut self, entity: &K, key: String, due: Timestamp, after: u64) {
        self.remove(entity, &key);
        self.by_key.insert((entity.clone(), key.clone()), due);
        self.by_due.insert((due, entity.clone(), key), after);
        self.gauge.inc();
    }

    fn remove(&mut self, entity: &K, key: &str) {
        let Some(due) = self.by_key.remove(&(entity.clone(), key.to_owned())) else { return };
        self.by_due.remove(&(due, entity.clone(), key.to_owned()));
        self.gauge.dec();
    }
}

/// A shard that is given up has no timers any more.
impl<K: EntityKey> Drop for Armed<K> {
    fn drop(&mut self) {
        self.gauge.sub(i64::try_from(self.by_key.len()).unwrap_or(i64::MAX));
    }
}

impl<K: EntityKey> Timers<K> {
    pub fn new(host: Host, fired: Fired<K>, meters: Meters) -> Self {
        let armed = Armed { by_due: BTreeMap::new(), by_key: BTreeMap::new(), gauge: meters.timers };
        Self { host, fired, meters, armed: Mutex::new(armed), changed: Notify::new() }
    }

    /// Arms, or moves, a timer. `after`: the last event that was known then. It is part of the report's id: a timer that is
    /// armed again after its report gets a new id, and the bus does not drop its report as a repeat. That happens when a node
    /// was suspended while its timer fired, and a new owner arms it again.
    pub fn arm(&self, entity: &K, key: String, due: Timestamp, after: u64) {
        self.armed.lock().insert(entity, key, due, after);
        self.changed.notify_one();
    }

    /// Disarms a timer, if it is armed.
    pub fn disarm(&self, entity: &K, key: &str) {
        self.armed.lock().remove(entity, key);
    }

    /// Whether the timer is armed.
    pub fn is_armed(&self, entity: &K, key: &str) -> bool {
        self.armed.lock().by_key.contains_key(&(entity.clone(), key.to_owned()))
    }

    /// Disarms all timers of an entity.
    pub fn forget(&self, entity: &K) {
        let mut armed = self.armed.lock();
        let from = (entity.clone(), String::new());
        let of_entity = armed.by_key.range(from..).take_while(|((key, _), _)| key == entity);
        let keys: Vec<String> = of_entity.map(|((_, key), _)| key.clone()).collect();
        for key in keys {
            armed.remove(entity, &key);
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
        let due: Vec<((Timestamp, K, String), u64)> = {
            let armed = self.armed.lock();
            let due = armed.by_due.iter().take_while(|((due, ..), _)| *due <= now).take(BATCH);
            due.map(|(timer, after)| (timer.clone(), *after)).collect()
        };
        let messages = due.iter().map(|((due, entity, key), after)| self.report(entity, key, *due, *after));
        if let Err(error) = self.host.publish(messages.collect()).await {
            self.meters.poison.inc();
            tracing::error!(error = &error as &dyn std::error::Error, "timers not reported");
        }
        let mut armed = self.armed.lock();
        for ((due, entity, key), after) in due {
            // It may have been armed anew meanwhile.
            if armed.by_due.get(&(due, entity.clone(), key.clone())) == Some(&after) {
                armed.remove(&entity, &key);
            }
        }
    }

    /// The fact that a timer has fired, as [`Self::arm`] was told of it.
    pub fn report(&self, entity: &K, key: &str, due: Timestamp, after: u64) -> Publish {
        (self.fired)(entity, format!("{}:timer:{key}:{due}:{after}", entity.uid()), key)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use argosy_actor::Clock;
    use argosy_bus::{Bus as _, Message, Stream, subject};

    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Key(String);

    impl EntityKey for Key {
        fn uid(&self) -> &str {
            &self.0
        }

        fn named(&self) -> (&str, &str) {
            ("", "")
        }

        fn of_log(_: &Message) -> Option<Self> {
            None
        }
    }

    fn key(uid: &str) -> Key {
        Key(uid.to_owned())
    }

    fn timers() -> (Arc<argosy_bus::memory::Memory>, Clock, Timers<Key>) {
        let bus = Arc::new(argosy_bus::memory::Memory::new());
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().expect("a timestamp"));
        let host = Host { clock, ..Host::new(bus.clone(), "t", 1) };
        let of = host.clone();
        let fired = move |key: &Key, id, timer: &str| {
            Publish::new(Stream::Observed, of.observed_subject(key.uid()), id, timer.as_bytes().to_vec())
        };
        let timers = Timers::new(host, Box::new(fired), Meters::for_tests());
        (bus, clock, timers)
    }

    #[tokio::test(start_paused = true)]
    async fn timers_fire_in_order_once_and_can_be_moved() {
        let (bus, clock, timers) = timers();
        let at = |secs: u64| clock.now() + Duration::from_secs(secs);
        timers.arm(&key("u1"), "b".into(), at(20), 1);
        timers.arm(&key("u1"), "a".into(), at(10), 1);
        timers.arm(&key("u1"), "b".into(), at(5), 2);
        timers.arm(&key("u2"), "c".into(), at(7), 2);
        timers.forget(&key("u2"));
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
            timers.arm(&key("u1"), "a".into(), due, after);
            timers.fire().await;
            let fired =
                bus.read(Stream::Observed, &subject::of_stream(Stream::Observed), 0, 10).await.expect("readable");
            assert_eq!(fired.len(), reports);
            assert!(!timers.is_armed(&key("u1"), "a"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn armed_timers_are_counted_until_they_fire_or_are_disarmed_or_given_up() {
        let (_, clock, timers) = timers();
        let gauge = timers.meters.timers;
        let at = |secs: u64| clock.now() + Duration::from_secs(secs);
        for (entity, name) in [("u1", "a"), ("u1", "b"), ("u2", "a"), ("u2", "b"), ("u3", "a")] {
            timers.arm(&key(entity), name.into(), at(10), 1);
            timers.arm(&key(entity), name.into(), at(if entity == "u3" { 0 } else { 20 }), 1);
        }
        assert_eq!(gauge.get(), 5);
        timers.fire().await;
        assert_eq!(gauge.get(), 4);
        timers.disarm(&key("u1"), "a");
        timers.disarm(&key("u1"), "a");
        timers.forget(&key("u2"));
        assert_eq!(gauge.get(), 1);
        drop(timers);
        assert_eq!(gauge.get(), 0);
    }
}
