//! The objects, their indexes and their recent history: everything under the store's lock.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use super::kinds::{KINDS, Kind};
use super::object::Object;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Modified,
    Deleted,
}

/// One entry of the history.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub revision: u64,
    pub change: Change,
    /// The object after the change; of a deletion, its last state at the deletion's revision.
    pub object: Arc<Object>,
    /// The object before the change.
    pub previous: Option<Arc<Object>>,
}

pub(crate) type Objects = BTreeMap<Box<str>, Arc<Object>>;

/// Everything under the lock.
pub(crate) struct State {
    pub revision: u64,
    pub objects: Vec<Objects>,
    pub by_uid: HashMap<Box<str>, (usize, Box<str>)>,
    pub dependents: BTreeMap<Box<str>, BTreeSet<(usize, Box<str>)>>,
    pub history: VecDeque<Event>,
    /// The newest revision whose event is no longer in the history.
    pub floor: u64,
    /// When old objects of a kind, by its index, were last looked for.
    pub looked_for_old: HashMap<usize, Timestamp>,
}

impl State {
    pub fn new() -> Self {
        State {
            revision: 0,
            objects: KINDS.iter().map(|_| Objects::new()).collect(),
            by_uid: HashMap::new(),
            dependents: BTreeMap::new(),
            history: VecDeque::new(),
            floor: 0,
            looked_for_old: HashMap::new(),
        }
    }

    /// A state read back from disk; its history is gone.
    pub fn restored(revision: u64, objects: impl Iterator<Item = Object>) -> Self {
        let mut state = State::new();
        state.revision = revision;
        state.floor = revision;
        for object in objects {
            let object = Arc::new(object);
            state.index(&object);
            state.objects[object.kind.index].insert(object.key.clone(), object);
        }
        state
    }

    pub fn index(&mut self, object: &Object) {
        let place = (object.kind.index, object.key.clone());
        for owner in object.owner_uids() {
            match self.dependents.get_mut(owner) {
                Some(set) => {
                    set.insert(place.clone());
                }
                None => {
                    self.dependents.insert(owner.into(), BTreeSet::from([place.clone()]));
                }
            }
        }
        self.by_uid.insert(object.uid().into(), place);
    }

    pub fn unindex(&mut self, object: &Object) {
        let place = (object.kind.index, object.key.clone());
        for owner in object.owner_uids() {
            if let Some(set) = self.dependents.get_mut(owner) {
                set.remove(&place);
                if set.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
        self.by_uid.remove(object.uid());
    }

    pub fn record(&mut self, event: Event, history_events_max: usize) {
        self.history.push_back(event);
        while self.history.len() > history_events_max
            && let Some(old) = self.history.pop_front()
        {
            self.floor = old.revision;
        }
    }

    /// The objects of a kind as they were at `revision`; `None` when the history is too short.
    pub fn objects_at(&self, kind: &Kind, revision: u64) -> Option<Objects> {
        if revision < self.floor {
            return None;
        }
        let mut objects = self.objects[kind.index].clone();
        for event in self.history.iter().rev() {
            if event.revision <= revision {
                break;
            }
            if event.object.kind.index != kind.index {
                continue;
            }
            match &event.previous {
                Some(previous) => objects.insert(previous.key.clone(), previous.clone()),
                None => objects.remove(&event.object.key),
            };
        }
        Some(objects)
    }
}
