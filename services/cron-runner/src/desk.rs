//! When each CronWorkflow is looked at: by the clock, when it changes, and again when a look failed. One look at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use argosy_actor::Backoff;
use jiff::Timestamp;

use crate::context::Error;
use crate::tend::Tended;
use crate::watch::{Changed, Key};

/// After a panic, which is a bug, and is likely to come again.
const AFTER_PANIC: Duration = Duration::from_secs(60);

/// What is remembered of the CronWorkflows.
#[derive(Default)]
pub(crate) struct Desk {
    all: BTreeMap<Key, Entry>,
}

struct Entry {
    /// Moments up to this are decided.
    decided: Option<Timestamp>,
    wake: Option<Timestamp>,
    /// A look is under way.
    is_busy: bool,
    /// Something has changed since it began.
    is_changed: bool,
    /// The version that our own last write gave.
    written: Option<String>,
    backoff: Backoff,
}

impl Entry {
    fn new() -> Self {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
        Self { decided: None, wake: None, is_busy: false, is_changed: false, written: None, backoff }
    }
}

impl Desk {
    /// Notes a change; our own writes are none.
    pub fn note(&mut self, changed: Changed) {
        let entry = self.all.entry(changed.key).or_insert_with(Entry::new);
        let is_own = changed.version.is_some() && changed.version == entry.written;
        entry.is_changed |= !is_own;
    }

    /// Takes one that is to be looked at now, with what is decided of it.
    pub fn take(&mut self, now: Timestamp) -> Option<(Key, Option<Timestamp>)> {
        let is_due = |entry: &Entry| entry.is_changed || entry.wake.is_some_and(|wake| wake <= now);
        let (key, entry) = self.all.iter_mut().find(|(_, entry)| !entry.is_busy && is_due(entry))?;
        (entry.is_busy, entry.is_changed, entry.wake) = (true, false, None);
        Some((key.clone(), entry.decided))
    }

    /// When one has to be looked at by the clock.
    pub fn wake(&self) -> Option<Timestamp> {
        self.all.values().filter(|entry| !entry.is_busy).filter_map(|entry| entry.wake).min()
    }

    /// A look has ended.
    pub fn done(&mut self, key: &Key, result: Result<Option<Tended>, Error>, now: Timestamp) {
        let Some(entry) = self.all.get_mut(key) else { return };
        entry.is_busy = false;
        match result {
            Ok(None) if !entry.is_changed => _ = self.all.remove(key),
            Ok(None) => {}
            Ok(Some(tended)) => {
                (entry.decided, entry.wake) = (tended.decided, tended.wake);
                if tended.written.is_some() {
                    entry.written = tended.written;
                }
                entry.backoff.reset();
            }
            Err(_) => entry.wake = now.checked_add(entry.backoff.delay()).ok(),
        }
    }

    /// A look has ended in a panic.
    pub fn panicked(&mut self, key: &Key, now: Timestamp) {
        let Some(entry) = self.all.get_mut(key) else { return };
        (entry.is_busy, entry.is_changed) = (false, false);
        entry.wake = now.checked_add(AFTER_PANIC).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn key() -> Key {
        Key { namespace: "n".to_owned(), name: "c".to_owned() }
    }

    fn change(version: Option<&str>) -> Changed {
        Changed { key: key(), version: version.map(str::to_owned) }
    }

    fn tended(wake: i64, written: Option<&str>) -> Result<Option<Tended>, Error> {
        Ok(Some(Tended { decided: Some(at(1)), wake: Some(at(wake)), written: written.map(str::to_owned) }))
    }

    #[test]
    fn one_look_at_a_time_and_none_for_our_own_writes() {
        let mut desk = Desk::default();
        desk.note(change(Some("1")));
        assert_eq!(desk.take(at(0)), Some((key(), None)));
        desk.note(change(None));
        assert_eq!(desk.take(at(0)), None, "one is under way");
        desk.done(&key(), tended(60, Some("2")), at(0));
        assert_eq!(desk.take(at(0)), Some((key(), Some(at(1)))), "something changed meanwhile");
        desk.done(&key(), tended(60, None), at(0));
        desk.note(change(Some("2")));
        assert_eq!(desk.take(at(59)), None, "that was our own");
        assert_eq!(desk.wake(), Some(at(60)));
        assert!(desk.take(at(60)).is_some());
        desk.done(&key(), Err(Error::Conflict), at(60));
        assert_eq!(desk.take(at(60)), None, "not at once");
        assert!(desk.take(at(61)).is_some());
        desk.done(&key(), Ok(None), at(61));
        assert_eq!((desk.take(at(99)), desk.wake()), (None, None), "it is gone");
    }
}
