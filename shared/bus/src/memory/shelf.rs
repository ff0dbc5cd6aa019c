//! The quarantine held in memory.

use std::collections::BTreeMap;

use crate::quarantine::{Quarantined, check_key};
use crate::{Error, memory::Options};

/// Entries by the order in which they were put last.
#[derive(Default)]
pub(super) struct Shelf {
    last: u64,
    entries: BTreeMap<u64, Quarantined>,
    places: BTreeMap<String, u64>,
    bytes: u64,
}

impl Shelf {
    /// Puts an entry; gives it as it is now, and the keys of those that had to leave for it.
    pub(super) fn put(&mut self, entry: Quarantined, options: &Options) -> Result<(Quarantined, Vec<String>), Error> {
        let key = entry.key();
        check_key(&key)?;
        let before = self.places.get(&key).and_then(|place| self.entries.get(place));
        let entry = entry.after(before);
        entry.head()?;
        self.insert(key, entry.clone());
        let mut left = Vec::new();
        while self.entries.len() > options.quarantine_entries_max.max(1)
            || (self.bytes > options.quarantine_bytes_max && self.entries.len() > 1)
        {
            let Some(oldest) = self.entries.values().next().map(Quarantined::key) else {
                break;
            };
            self.remove(&oldest);
            left.push(oldest);
        }
        Ok((entry, left))
    }

    /// Puts an entry as it is.
    pub(super) fn insert(&mut self, key: String, entry: Quarantined) {
        self.remove(&key);
        self.last += 1;
        self.bytes += size_of(&entry);
        self.entries.insert(self.last, entry);
        self.places.insert(key, self.last);
    }

    pub(super) fn remove(&mut self, key: &str) -> bool {
        let entry = self.places.remove(key).and_then(|place| self.entries.remove(&place));
        self.bytes -= entry.as_ref().map_or(0, size_of);
        entry.is_some()
    }

    pub(super) fn get(&self, key: &str) -> Option<&Quarantined> {
        self.places.get(key).and_then(|place| self.entries.get(place))
    }

    /// In the order in which they were put last.
    pub(super) fn list(&self) -> impl Iterator<Item = &Quarantined> {
        self.entries.values()
    }

    /// Bytes that the entries take in a log, roughly.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn size_of(entry: &Quarantined) -> u64 {
    let head = entry.head().map_or(0, |head| head.len());
    (head + entry.payload().len()) as u64
}
