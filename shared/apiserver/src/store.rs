//! The objects, on one revisioned log.
//!
//! Every change takes the next revision, replaces one object and appends one event to a bounded
//! history, from which watches are served. With a [`Log`] a change becomes visible to watches, and
//! its writer is answered, only once it is on disk.

use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};

use super::byte_cache::ByteCache;
use super::durable::Log;
use super::failure::{Failure, Result};
use super::json::Json;
use super::kinds::Kind;
use super::object::Object;
use super::signals::{Signals, Wake};
use super::size;
use super::sources::{Clock, UidSource};
use super::state::{Change, Event, State};

/// The store behind one server.
pub(crate) struct Store {
    state: Mutex<State>,
    signals: Arc<Signals>,
    cache: ByteCache,
    clock: Arc<dyn Clock>,
    uids: Arc<dyn UidSource>,
    limits: Limits,
    log: Option<Log>,
}

/// How much the store keeps.
pub(crate) struct Limits {
    /// Events kept for watches.
    pub history_events_max: usize,
    /// Largest object, encoded.
    pub object_bytes_max: Option<usize>,
}

/// The outcome of a write, and the revision it must be durable at before it is answered.
#[derive(Debug)]
pub(crate) struct Written<T> {
    pub value: T,
    pub revision: u64,
}

/// A list taken at one revision.
pub(crate) struct Snapshot {
    pub revision: u64,
    pub objects: Vec<Arc<Object>>,
    /// How many more there are after the last.
    pub remaining: usize,
}

impl Store {
    pub fn new(
        state: State,
        signals: Arc<Signals>,
        clock: Arc<dyn Clock>,
        uids: Arc<dyn UidSource>,
        limits: Limits,
        log: Option<Log>,
    ) -> Self {
        signals.publish(state.revision, 0);
        Store { state: Mutex::new(state), signals, cache: ByteCache::default(), clock, uids, limits, log }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The encoded form of an object, made once while it is in use.
    pub fn encoded(&self, object: &Arc<Object>) -> Bytes {
        self.cache.encoded(object)
    }

    /// Waits until everything up to `revision` is on disk.
    pub async fn settled(&self, revision: u64) -> Result<()> {
        match &self.log {
            None => Ok(()),
            Some(log) => log
                .settled(revision)
                .await
                .map_err(|error| Failure::internal(format!("the log of the store cannot be written: {error}"))),
        }
    }

    /// Changes objects in one step. With `dry` nothing is kept.
    /// `change` must make every check before its first write.
    pub fn write<T>(&self, dry: bool, change: impl FnOnce(&mut Txn<'_>) -> Result<T>) -> Result<Written<T>> {
        if self.log.as_ref().is_some_and(Log::has_failed) {
            return Err(Failure::unavailable("the log of the store cannot be written"));
        }
        let mut txn =
            Txn { state: self.state.lock(), store: self, dry, touched: 0, records: Vec::new(), measured: None };
        let value = change(&mut txn);
        let revision = txn.finish();
        Ok(Written { value: value?, revision })
    }

    pub fn get(&self, kind: &Kind, key: &str) -> Option<Arc<Object>> {
        self.state.lock().objects[kind.index].get(key).cloned()
    }

    pub fn revision(&self) -> u64 {
        self.state.lock().revision
    }

    /// The newest revision watches may see.
    pub fn visible(&self) -> u64 {
        self.signals.visible()
    }

    /// The oldest revision that can still be listed or watched from.
    pub fn oldest(&self) -> u64 {
        self.state.lock().floor
    }

    /// Lists a kind, all namespaces or one, at the current revision or at an older one.
    /// `after` is the key of the last object of the page before.
    pub fn list(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        at: Option<u64>,
        after: Option<&str>,
        limit: usize,
        wanted: &dyn Fn(&Object) -> bool,
    ) -> Result<Snapshot> {
        let older;
        let current;
        let (revision, objects) = {
            let state = self.state.lock();
            match at {
                Some(at) if at < state.revision => {
                    older = state.objects_at(kind, at).ok_or_else(|| Failure::too_old(at, state.floor))?;
                    drop(state);
                    (at, &older)
                }
                _ => {
                    current = state;
                    (current.revision, &current.objects[kind.index])
                }
            }
        };
        let prefix = namespace.map(|ns| format!("{ns}/"));
        let start = after.or(prefix.as_deref()).unwrap_or("");
        let mut found = objects
            .range::<str, _>((std::ops::Bound::Excluded(start), std::ops::Bound::Unbounded))
            .take_while(|(key, _)| prefix.as_deref().is_none_or(|p| key.starts_with(p)))
            .map(|(_, object)| object)
            .filter(|object| wanted(object));
        let page: Vec<Arc<Object>> = found.by_ref().take(limit).cloned().collect();
        let remaining = if page.len() == limit { found.count() } else { 0 };
        Ok(Snapshot { revision, objects: page, remaining })
    }

    /// The visible events of a kind after `revision`, at most `limit`, and the revision up to
    /// which they are complete. Refused when the history no longer reaches back that far.
    pub fn events(&self, kind: &Kind, revision: u64, limit: usize) -> Result<(Vec<Event>, u64)> {
        let visible = self.signals.visible();
        let state = self.state.lock();
        if revision < state.floor {
            return Err(Failure::too_old(revision, state.floor));
        }
        let skip = usize::try_from(revision - state.floor).unwrap_or(usize::MAX);
        let mut events = Vec::new();
        let mut upto = revision.max(visible.min(state.revision));
        for event in state.history.iter().skip(skip) {
            if event.revision > visible {
                break;
            }
            if event.object.kind.index == kind.index {
                events.push(event.clone());
                if events.len() == limit {
                    upto = event.revision;
                    break;
                }
            }
        }
        Ok((events, upto))
    }

    /// Tells of new visible revisions of a kind.
    pub fn subscribe(&self, kind: &Kind) -> Wake {
        self.signals.subscribe(kind)
    }

    /// Forgets the history, as a compaction of the real store does.
    pub fn compact(&self) {
        let mut state = self.state.lock();
        state.floor = state.revision;
        state.history.clear();
    }
}

/// A change in the making: the lock is held.
pub(crate) struct Txn<'a> {
    state: MutexGuard<'a, State>,
    store: &'a Store,
    dry: bool,
    touched: u64,
    records: Vec<u8>,
    /// Bytes of the object that was checked last and is to be put.
    measured: Option<usize>,
}

impl Txn<'_> {
    pub fn now(&self) -> Timestamp {
        self.store.now()
    }

    pub fn next_uid(&self) -> uuid::Uuid {
        self.store.uids.next_uid()
    }

    pub fn revision(&self) -> u64 {
        self.state.revision
    }

    pub fn get(&self, kind: &Kind, key: &str) -> Option<Arc<Object>> {
        self.state.objects[kind.index].get(key).cloned()
    }

    pub fn by_uid(&self, uid: &str) -> Option<Arc<Object>> {
        let (kind, key) = self.state.by_uid.get(uid)?;
        self.state.objects[*kind].get(key).cloned()
    }

    /// Objects that name `uid` as an owner.
    pub fn dependents(&self, uid: &str) -> Vec<Arc<Object>> {
        let Some(places) = self.state.dependents.get(uid) else {
            return Vec::new();
        };
        places.iter().filter_map(|(kind, key)| self.state.objects[*kind].get(key).cloned()).collect()
    }

    /// All objects of a namespace, of every kind.
    pub fn of_namespace(&self, namespace: &str) -> Vec<Arc<Object>> {
        let prefix = format!("{namespace}/");
        self.state
            .objects
            .iter()
            .flat_map(|objects| {
                objects
                    .range::<str, _>((std::ops::Bound::Excluded(prefix.as_str()), std::ops::Bound::Unbounded))
                    .take_while(|(key, _)| key.starts_with(&prefix))
                    .map(|(_, object)| object.clone())
            })
            .collect()
    }

    /// All objects of a kind.
    pub fn all_of_kind(&self, kind: &Kind) -> Vec<Arc<Object>> {
        self.state.objects[kind.index].values().cloned().collect()
    }

    /// Whether old objects of a kind were last looked for a while ago; if so, they are now.
    pub fn is_due(&mut self, kind: &Kind, now: Timestamp, pause: SignedDuration) -> bool {
        let last = self.state.looked_for_old.get(&kind.index);
        let is_due = last.is_none_or(|last| now.duration_since(*last) >= pause);
        if is_due {
            self.state.looked_for_old.insert(kind.index, now);
        }
        is_due
    }

    /// All objects of a kind in a namespace.
    pub fn of_kind(&self, kind: &Kind, namespace: &str) -> Vec<Arc<Object>> {
        let prefix = format!("{namespace}/");
        self.state.objects[kind.index]
            .range::<str, _>((std::ops::Bound::Excluded(prefix.as_str()), std::ops::Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(&prefix))
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// Refuses an object that is too large to store, new or in place of `old`. The next to be [put](Self::put).
    pub fn check_size(&mut self, old: Option<&Object>, tree: &Json) -> Result<()> {
        let Some(limit) = self.store.limits.object_bytes_max else { return Ok(()) };
        let bytes = match old {
            Some(old) => old.bytes().saturating_add_signed(size::grown(&old.tree, tree)),
            None => size::encoded(tree),
        };
        if bytes > limit {
            return Err(Failure::object_too_large());
        }
        self.measured = Some(bytes);
        Ok(())
    }

    /// Stores a new or changed object at the next revision.
    pub fn put(&mut self, kind: &'static Kind, mut tree: Json) -> Arc<Object> {
        let measured = self.measured.take();
        if self.dry {
            return Arc::new(Object::new(kind, self.state.revision, tree));
        }
        let revision = self.state.revision + 1;
        stamp(&mut tree, revision);
        let object = Object::new(kind, revision, tree);
        if let Some(bytes) = measured {
            object.bytes.get_or_init(|| bytes);
        }
        let object = Arc::new(object);
        let previous = self.state.objects[kind.index].insert(object.key.clone(), Arc::clone(&object));
        if let Some(previous) = &previous {
            self.state.unindex(previous);
        }
        self.state.index(&object);
        if self.store.log.is_some() {
            super::durable::record_put(&mut self.records, previous.as_deref(), &object);
        }
        let change = match previous {
            Some(_) => Change::Modified,
            None => Change::Added,
        };
        self.commit(change, Arc::clone(&object), previous);
        object
    }

    /// Removes an object; the returned revision of it carries the deletion's revision.
    pub fn remove(&mut self, object: &Arc<Object>) -> Arc<Object> {
        if self.dry {
            return Arc::clone(object);
        }
        let revision = self.state.revision + 1;
        let mut tree = object.tree.clone();
        stamp(&mut tree, revision);
        let last = Arc::new(Object::new(object.kind, revision, tree));
        let previous = self.state.objects[object.kind.index].remove(&object.key);
        if let Some(previous) = &previous {
            self.state.unindex(previous);
        }
        if self.store.log.is_some() {
            super::durable::record_remove(&mut self.records, &last);
        }
        self.commit(Change::Deleted, Arc::clone(&last), previous);
        last
    }

    fn commit(&mut self, change: Change, object: Arc<Object>, previous: Option<Arc<Object>>) {
        self.state.revision = object.revision;
        self.touched |= 1 << object.kind.index;
        let event = Event { revision: object.revision, change, object, previous };
        self.state.record(event, self.store.limits.history_events_max);
    }

    fn finish(self) -> u64 {
        let revision = self.state.revision;
        if self.touched != 0 {
            match &self.store.log {
                Some(log) => log.append(self.records, revision, self.touched, || self.state.objects.clone()),
                None => self.store.signals.publish(revision, self.touched),
            }
        }
        revision
    }
}

fn stamp(tree: &mut Json, revision: u64) {
    tree.set(&["metadata", "resourceVersion"], Json::string(revision.to_string()));
}
