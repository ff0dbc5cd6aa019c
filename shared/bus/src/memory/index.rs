//! Sequences by subject and by shard.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::subject::Filter;

/// Finds the sequences of a subject, a shard or a pattern without a look at other messages.
#[derive(Default)]
pub(super) struct Index {
    /// By the first three tokens with their dots, such as `argosy.event.3.`.
    shards: BTreeMap<Box<str>, Shard>,
}

#[derive(Default)]
struct Shard {
    all: BTreeSet<u64>,
    subjects: BTreeMap<Arc<str>, Subject>,
}

struct Subject {
    name: Arc<str>,
    sequences: BTreeSet<u64>,
}

impl Index {
    /// Adds a sequence; gives the shared copy of the subject.
    pub(super) fn insert(&mut self, subject: &str, sequence: u64) -> Arc<str> {
        let key = shard_key(subject);
        if !self.shards.contains_key(key) {
            self.shards.insert(key.into(), Shard::default());
        }
        let shard = self.shards.get_mut(key).expect("inserted above when it was missing");
        shard.all.insert(sequence);
        if let Some(known) = shard.subjects.get_mut(subject) {
            known.sequences.insert(sequence);
            return Arc::clone(&known.name);
        }
        let name: Arc<str> = subject.into();
        let sequences = BTreeSet::from([sequence]);
        let known = Subject { name: Arc::clone(&name), sequences };
        shard.subjects.insert(Arc::clone(&name), known);
        name
    }

    /// Takes a sequence away. Subjects and shards without messages take no room.
    pub(super) fn remove(&mut self, subject: &str, sequence: u64) {
        let key = shard_key(subject);
        let Some(shard) = self.shards.get_mut(key) else {
            return;
        };
        shard.all.remove(&sequence);
        if let Some(known) = shard.subjects.get_mut(subject) {
            known.sequences.remove(&sequence);
            if known.sequences.is_empty() {
                shard.subjects.remove(subject);
            }
        }
        if shard.all.is_empty() {
            self.shards.remove(key);
        }
    }

    /// Newest sequence under a filter.
    pub(super) fn last(&self, filter: &Filter) -> Option<u64> {
        let mut newest = None;
        self.visit(filter, &mut |sequences| newest = newest.max(sequences.last().copied()));
        newest
    }

    /// Up to `limit` sequences under a filter from `low` to `high`, both included, oldest first.
    pub(super) fn range(&self, filter: &Filter, low: u64, high: u64, limit: usize) -> Vec<u64> {
        let mut found = Vec::new();
        if low > high {
            return found;
        }
        let mut sets = 0;
        self.visit(filter, &mut |sequences| {
            sets += 1;
            found.extend(sequences.range(low..=high).take(limit));
        });
        if sets > 1 {
            found.sort_unstable();
            found.truncate(limit);
        }
        found
    }

    /// How many sequences are under a filter from `low` to `high`, both included.
    pub(super) fn count(&self, filter: &Filter, low: u64, high: u64) -> usize {
        let mut found = 0;
        if low <= high {
            self.visit(filter, &mut |sequences| found += sequences.range(low..=high).count());
        }
        found
    }

    /// Subjects under a filter, in order.
    pub(super) fn subjects(&self, filter: &Filter) -> Vec<String> {
        let subjects = self.shards.values().flat_map(|shard| shard.subjects.keys());
        let mut found: Vec<String> =
            subjects.filter(|subject| filter.matches(subject)).map(|subject| subject.to_string()).collect();
        found.sort();
        found
    }

    /// First sequence after `after`, for filters that name one subject or one whole shard; others are told to scan.
    pub(super) fn next(&self, filter: &Filter, after: u64) -> Next {
        let key = shard_key(filter.literal());
        let set = if filter.is_exact() {
            self.shards.get(key).and_then(|shard| shard.subjects.get(filter.as_str())).map(|subject| &subject.sequences)
        } else if filter.is_tail() && key == filter.literal() && key.matches('.').count() == 3 {
            self.shards.get(key).map(|shard| &shard.all)
        } else {
            return Next::Scan;
        };
        let after = (Bound::Excluded(after), Bound::Unbounded);
        set.and_then(|sequences| sequences.range(after).next()).map_or(Next::None, |sequence| Next::At(*sequence))
    }

    fn visit<'a>(&'a self, filter: &Filter, visitor: &mut dyn FnMut(&'a BTreeSet<u64>)) {
        let literal = filter.literal();
        let from = (Bound::Included(literal), Bound::Unbounded);
        let key = shard_key(literal);
        if filter.is_exact() || key.matches('.').count() == 3 {
            let Some(shard) = self.shards.get(key) else {
                return;
            };
            if filter.is_exact() {
                if let Some(subject) = shard.subjects.get(literal) {
                    visitor(&subject.sequences);
                }
            } else if filter.is_tail() && key == literal {
                visitor(&shard.all);
            } else {
                let subjects =
                    shard.subjects.range::<str, _>(from).take_while(|(subject, _)| subject.starts_with(literal));
                subjects
                    .filter(|(subject, _)| filter.matches(subject))
                    .for_each(|(_, subject)| visitor(&subject.sequences));
            }
            return;
        }
        for (_, shard) in self.shards.range::<str, _>(from).take_while(|(key, _)| key.starts_with(literal)) {
            if filter.is_tail() {
                visitor(&shard.all);
            } else {
                let subjects = shard.subjects.iter().filter(|(subject, _)| filter.matches(subject));
                subjects.for_each(|(_, subject)| visitor(&subject.sequences));
            }
        }
    }
}

/// Answer of [`Index::next`].
pub(super) enum Next {
    /// This one.
    At(u64),
    /// There is none.
    None,
    /// Not indexed: look at the messages themselves.
    Scan,
}

fn shard_key(text: &str) -> &str {
    let third = text.bytes().enumerate().filter(|(_, byte)| *byte == b'.').nth(2);
    third.map_or(text, |(dot, _)| &text[..=dot])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        let mut index = Index::default();
        let subjects = ["e.x.1.n.a.T", "e.x.1.n.b.T", "e.x.2.n.c.T", "e.x.1.n.a.U", "e.x.1.n.ab.T", "e.x.10.n.d.T"];
        for (number, subject) in subjects.iter().enumerate() {
            index.insert(subject, number as u64 + 1);
        }
        index
    }

    #[test]
    fn every_kind_of_filter_finds_its_messages_in_order() {
        let index = index();
        for (filter, expected) in [
            ("e.x.1.n.a.T", &[1][..]),
            ("e.x.1.n.a.>", &[1, 4]),
            ("e.x.1.*.a.*", &[1, 4]),
            ("e.x.1.>", &[1, 2, 4, 5]),
            ("e.x.*.n.*.T", &[1, 2, 3, 5, 6]),
            ("e.x.>", &[1, 2, 3, 4, 5, 6]),
            ("e.x.3.>", &[]),
        ] {
            let filter = Filter::new(filter).unwrap();
            assert_eq!(index.range(&filter, 1, 9, 9), expected, "{filter:?}");
            assert_eq!(index.last(&filter), expected.last().copied(), "{filter:?}");
            let two: Vec<u64> = expected.iter().copied().filter(|s| (2..=4).contains(s)).take(2).collect();
            assert_eq!(index.range(&filter, 2, 4, 2), two, "{filter:?}");
            assert_eq!(index.count(&filter, 2, 4), index.range(&filter, 2, 4, 9).len(), "{filter:?}");
        }
    }

    #[test]
    fn removal_leaves_nothing_behind() {
        let mut index = index();
        index.remove("e.x.1.n.a.U", 4);
        assert_eq!(index.last(&Filter::new("e.x.1.n.a.>").unwrap()), Some(1));
        index.remove("e.x.2.n.c.T", 3);
        assert!(!index.shards.contains_key("e.x.2."));
        assert_eq!(index.shards["e.x.1."].subjects.len(), 3);
    }
}
