//! The sorted, chunked, persistent map under [`Json::Object`].

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use super::json::Json;

/// Entries per chunk. An edit copies one chunk and the list of chunks, so the best size for
/// 100,000 entries is near the root of that.
const CHUNK_ENTRIES_MAX: usize = 256;

/// Keys longer than this are not shared. Bytes.
const SHARED_KEY_MAX: usize = 48;
/// Keys that each thread keeps to share. Kubernetes' field names, labels and annotations are fewer.
const SHARED_KEYS_MAX: usize = 1024;

thread_local! {
    static SHARED_KEYS: RefCell<HashSet<Arc<str>>> = RefCell::default();
}

/// The key as shared text: most objects have the same few hundred keys. Those with digits are names, not fields.
pub(super) fn shared_key(key: &str) -> Arc<str> {
    if key.len() > SHARED_KEY_MAX || key.bytes().any(|b| b.is_ascii_digit()) {
        return Arc::from(key);
    }
    SHARED_KEYS.with_borrow_mut(|keys| match keys.get(key) {
        Some(known) => Arc::clone(known),
        None => {
            let new: Arc<str> = Arc::from(key);
            if keys.len() < SHARED_KEYS_MAX {
                keys.insert(Arc::clone(&new));
            }
            new
        }
    })
}

type Entry = (Arc<str>, Json);
type Chunk = Arc<Vec<Entry>>;

/// A sorted map from text to JSON; clones are pointer copies. No chunk is empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Map {
    chunks: Arc<Vec<Chunk>>,
    len: usize,
}

impl Map {
    /// Builds from entries in any order; the last of equal keys wins.
    pub fn from_entries(mut entries: Vec<Entry>) -> Self {
        let sorted = entries.windows(2).all(|w| w[0].0 < w[1].0);
        if !sorted {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            let mut unique: Vec<Entry> = Vec::with_capacity(entries.len());
            for entry in entries {
                match unique.last_mut() {
                    Some(last) if last.0 == entry.0 => *last = entry,
                    _ => unique.push(entry),
                }
            }
            entries = unique;
        }
        let len = entries.len();
        if len <= CHUNK_ENTRIES_MAX {
            let chunks = if len == 0 {
                Vec::new()
            } else {
                entries.shrink_to_fit();
                vec![Arc::new(entries)]
            };
            return Map { chunks: Arc::new(chunks), len };
        }
        let mut chunks = Vec::with_capacity(len / CHUNK_ENTRIES_MAX + 1);
        let mut rest = entries.into_iter();
        loop {
            let chunk: Vec<Entry> = rest.by_ref().take(CHUNK_ENTRIES_MAX).collect();
            if chunk.is_empty() {
                break;
            }
            chunks.push(Arc::new(chunk));
        }
        Map { chunks: Arc::new(chunks), len }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The chunk that holds or would hold `key`, and its place there.
    fn locate(&self, key: &str) -> (usize, Result<usize, usize>) {
        let chunk = self.chunks.partition_point(|c| c[0].0.as_ref() <= key).saturating_sub(1);
        let place = match self.chunks.get(chunk) {
            Some(c) => c.binary_search_by(|entry| entry.0.as_ref().cmp(key)),
            None => Err(0),
        };
        (chunk, place)
    }

    pub fn get(&self, key: &str) -> Option<&Json> {
        match self.locate(key) {
            (chunk, Ok(place)) => Some(&self.chunks[chunk][place].1),
            _ => None,
        }
    }

    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Json> {
        let (chunk, place) = self.locate(key);
        let place = place.ok()?;
        let chunk = Arc::make_mut(&mut Arc::make_mut(&mut self.chunks)[chunk]);
        Some(&mut chunk[place].1)
    }

    /// The value of `key`, `Null` being inserted when absent.
    pub fn get_or_insert_mut(&mut self, key: &str) -> &mut Json {
        if !self.contains_key(key) {
            self.insert(key, Json::Null);
        }
        self.get_mut(key).expect("inserted above")
    }

    pub fn insert(&mut self, key: &str, value: Json) {
        let (chunk, place) = self.locate(key);
        let chunks = Arc::make_mut(&mut self.chunks);
        match place {
            Ok(place) => Arc::make_mut(&mut chunks[chunk])[place].1 = value,
            Err(_) if chunks.is_empty() => {
                chunks.push(Arc::new(vec![(shared_key(key), value)]));
                self.len = 1;
            }
            Err(place) => {
                let entries = Arc::make_mut(&mut chunks[chunk]);
                entries.insert(place, (shared_key(key), value));
                if entries.len() > CHUNK_ENTRIES_MAX {
                    // Keys mostly grow at the end; leave little room to the left then.
                    let at = if place + 1 == entries.len() { CHUNK_ENTRIES_MAX * 3 / 4 } else { entries.len() / 2 };
                    let right = entries.split_off(at);
                    chunks.insert(chunk + 1, Arc::new(right));
                }
                self.len += 1;
            }
        }
    }

    pub fn remove(&mut self, key: &str) -> Option<Json> {
        let (chunk, place) = self.locate(key);
        let place = place.ok()?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let entries = Arc::make_mut(&mut chunks[chunk]);
        let (_, value) = entries.remove(place);
        if entries.is_empty() {
            chunks.remove(chunk);
        }
        self.len -= 1;
        Some(value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter().map(|(k, v)| (k.as_ref(), v)))
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(k, _)| k)
    }

    pub fn same(&self, other: &Map) -> bool {
        Arc::ptr_eq(&self.chunks, &other.chunks)
    }

    /// Calls `visit(key, in self, in other)` for every key whose value is not shared by both.
    pub fn differences<'a>(
        &'a self,
        other: &'a Map,
        visit: &mut dyn FnMut(&'a str, Option<&'a Json>, Option<&'a Json>),
    ) {
        if self.same(other) {
            return;
        }
        let (mut a, mut b) = (Cursor::new(self), Cursor::new(other));
        loop {
            if let (Some(x), Some(y)) = (a.whole_chunk(), b.whole_chunk())
                && Arc::ptr_eq(x, y)
            {
                a.skip_chunk();
                b.skip_chunk();
                continue;
            }
            match (a.entry(), b.entry()) {
                (None, None) => return,
                (Some((key, value)), None) => {
                    visit(key, Some(value), None);
                    a.advance();
                }
                (None, Some((key, value))) => {
                    visit(key, None, Some(value));
                    b.advance();
                }
                (Some((ka, va)), Some((kb, vb))) => match ka.cmp(kb) {
                    Ordering::Less => {
                        visit(ka, Some(va), None);
                        a.advance();
                    }
                    Ordering::Greater => {
                        visit(kb, None, Some(vb));
                        b.advance();
                    }
                    Ordering::Equal => {
                        if !va.same(vb) {
                            visit(ka, Some(va), Some(vb));
                        }
                        a.advance();
                        b.advance();
                    }
                },
            }
        }
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Map) -> bool {
        if self.len != other.len {
            return false;
        }
        let mut equal = true;
        self.differences(other, &mut |_, a, b| equal = equal && a == b);
        equal
    }
}

struct Cursor<'a> {
    chunks: &'a [Chunk],
    chunk: usize,
    place: usize,
}

impl<'a> Cursor<'a> {
    fn new(map: &'a Map) -> Self {
        Cursor { chunks: &map.chunks, chunk: 0, place: 0 }
    }

    fn whole_chunk(&self) -> Option<&'a Chunk> {
        if self.place == 0 { self.chunks.get(self.chunk) } else { None }
    }

    fn skip_chunk(&mut self) {
        self.chunk += 1;
    }

    fn entry(&self) -> Option<(&'a str, &'a Json)> {
        let (key, value) = self.chunks.get(self.chunk)?.get(self.place)?;
        Some((key, value))
    }

    fn advance(&mut self) {
        self.place += 1;
        if self.place >= self.chunks[self.chunk].len() {
            self.chunk += 1;
            self.place = 0;
        }
    }
}
