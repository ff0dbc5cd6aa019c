//! The state as it is kept in the log, in parts that fit into messages.

use std::collections::BTreeMap;

use argosy_api::message::{LockEntry, LockFact, LockStage};

use crate::Locks;

/// A part takes about so many bytes of JSON.
const PART_BYTES_MAX: usize = 128 * 1024;
/// What JSON puts around the texts of an entry, at most.
const ENTRY_AROUND: usize = 320;

impl Locks {
    /// The state after the facts up to `up_to`.
    pub(crate) fn kept(&self, up_to: u64) -> Vec<LockFact> {
        let mut chunks = vec![Vec::new()];
        let mut bytes = 0;
        for entry in self.entries() {
            let size = bytes_of(entry);
            if bytes > 0 && bytes + size > PART_BYTES_MAX {
                chunks.push(Vec::new());
                bytes = 0;
            }
            bytes += size;
            if let Some(chunk) = chunks.last_mut() {
                chunk.push(entry.clone());
            }
        }
        let (parts, known) = (chunks.len(), self.limits());
        let part = |(part, entries): (usize, Vec<LockEntry>)| {
            let wanted = entries.iter().flat_map(|entry| &entry.want.locks);
            let limits = wanted.filter_map(|name| Some((name.clone(), *known.get(name)?))).collect();
            LockFact::Kept { up_to, part, parts, limits, entries }
        };
        chunks.into_iter().enumerate().map(part).collect()
    }

    /// The locks as the newest state says that is whole among these facts, and up to where that is; none if there is no such
    /// state. Then nothing is known, and they begin with [`Locks::default`].
    pub fn restore(facts: impl IntoIterator<Item = LockFact>) -> Option<(Self, u64)> {
        type Parts = BTreeMap<usize, (BTreeMap<String, u32>, Vec<LockEntry>)>;
        let mut states: BTreeMap<u64, (usize, Parts)> = BTreeMap::new();
        for fact in facts {
            if let LockFact::Kept { up_to, part, parts, limits, entries } = fact {
                states.entry(up_to).or_insert_with(|| (parts, Parts::new())).1.insert(part, (limits, entries));
            }
        }
        let (up_to, (_, parts)) = states.into_iter().rev().find(|(_, (parts, known))| known.len() == *parts)?;
        let (mut all_limits, mut all) = (BTreeMap::new(), Vec::new());
        for (limits, entries) in parts.into_values() {
            all_limits.extend(limits);
            all.extend(entries);
        }
        Some((Self::restored(all_limits, all, up_to), up_to))
    }
}

fn bytes_of(entry: &LockEntry) -> usize {
    let LockEntry { workflow, want, came: _, stage: LockStage::Asking | LockStage::Waiting | LockStage::Holding } =
        entry;
    let texts = [&workflow.uid, &workflow.namespace, &workflow.name, &want.holder].into_iter();
    // Each name stands in the limits, too.
    ENTRY_AROUND
        + texts.map(String::len).sum::<usize>()
        + want.locks.iter().map(|name| 2 * name.len() + 24).sum::<usize>()
}
