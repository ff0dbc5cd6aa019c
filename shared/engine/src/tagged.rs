//! What the texts in something mention, found out without building anything.

use std::io::{self, Write};

use serde::Serialize;

/// Whether any text in `value` may hold a tag: an opening `{{`. JSON has none outside of its texts.
pub(crate) fn mentions_tags(value: &impl Serialize) -> bool {
    scan(value, [Word::new(b"{{")])[0]
}

/// Whether any text in `value` may hold a tag, and whether it speaks of `outputs` anywhere.
pub(crate) fn mentions_tags_and_outputs(value: &impl Serialize) -> (bool, bool) {
    let [tags, outputs] = scan(value, [Word::new(b"{{"), Word::new(b"outputs")]);
    (tags, outputs)
}

/// Which of the words stand in the JSON text of `value`.
fn scan<const N: usize>(value: &impl Serialize, words: [Word; N]) -> [bool; N] {
    let mut scan = Scan { words };
    // Stopping once all words are found is no failure.
    let _ = serde_json::to_writer(&mut scan, value);
    scan.words.map(|word| word.is_found())
}

/// A word that is looked for. No proper end of it may be a beginning of it again, but for repeats of its first byte.
struct Word {
    bytes: &'static [u8],
    /// So many of them stand at the end of the text so far; all, once they have stood there.
    matched: usize,
}

impl Word {
    fn new(bytes: &'static [u8]) -> Self {
        Self { bytes, matched: 0 }
    }

    fn is_found(&self) -> bool {
        self.matched == self.bytes.len()
    }

    fn take(&mut self, text: &[u8]) {
        for byte in text {
            match self.bytes.get(self.matched) {
                Some(next) if byte == next => self.matched += 1,
                Some(_) => self.matched = usize::from(*byte == self.bytes[0]),
                None => return,
            }
        }
    }
}

/// Takes JSON text.
struct Scan<const N: usize> {
    words: [Word; N],
}

impl<const N: usize> Write for Scan<N> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.words.iter_mut().for_each(|word| word.take(text));
        if self.words.iter().all(Word::is_found) {
            return Err(io::ErrorKind::Other.into());
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tags_are_found_in_keys_and_values_and_braces_of_json_are_none() {
        assert!(mentions_tags(&json!({"a": ["x", {"b": "{{c}}"}]})));
        assert!(mentions_tags(&json!({"{{a}}": 1})));
        assert!(!mentions_tags(&json!({"a": {"b": {"c": {}}}, "d": "{ {x}}"})));
    }

    #[test]
    fn a_word_is_found_after_a_beginning_of_it() {
        assert_eq!(mentions_tags_and_outputs(&json!({"a": "ououtputs"})), (false, true));
        assert_eq!(mentions_tags_and_outputs(&json!({"outputs": "{{{"})), (true, true));
        assert_eq!(mentions_tags_and_outputs(&json!({"out": "puts {"})), (false, false));
    }
}
