//! A text that was read, and places in it.

use std::ops::Range;

/// Most bytes of one file unless `ARGOSY_FILE_BYTES_MAX` says otherwise. An API server takes 1.5 MB an object.
pub const FILE_BYTES_MAX: u64 = 10 * 1024 * 1024;

/// One file (or standard input) as read.
#[derive(Debug)]
pub struct Source {
    /// Its name for messages.
    pub name: String,
    /// Its text, without a byte order mark.
    pub text: String,
    line_starts: Vec<usize>,
}

impl Source {
    /// Takes over `text`.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name: name.into(), text, line_starts }
    }

    /// Line and column, both from 1, of the byte `at`; columns count characters.
    pub fn position(&self, at: usize) -> (usize, usize) {
        let at = at.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= at) - 1;
        let start = self.line_starts[line];
        (line + 1, self.text.get(start..at).map_or(1, |before| before.chars().count() + 1))
    }
}

/// Where a value stands, and where its parts stand.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The key that leads to it (the same as `value` where there is none). Bytes of the source.
    pub key: Range<usize>,
    /// The value itself.
    pub value: Range<usize>,
    /// Its members or items.
    pub parts: Parts,
}

/// Places of the members of a mapping or of the items of a list.
#[derive(Clone, Debug, Default)]
pub enum Parts {
    /// A scalar.
    #[default]
    None,
    /// By key, as in the value.
    Map(std::collections::BTreeMap<String, Place>),
    /// By index.
    List(Vec<Place>),
}

impl Place {
    /// The member `key`.
    pub fn member(&self, key: &str) -> Option<&Place> {
        match &self.parts {
            Parts::Map(map) => map.get(key),
            Parts::None | Parts::List(_) => None,
        }
    }

    /// The item `index`.
    pub fn item(&self, index: usize) -> Option<&Place> {
        match &self.parts {
            Parts::List(list) => list.get(index),
            Parts::None | Parts::Map(_) => None,
        }
    }
}
