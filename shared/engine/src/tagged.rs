//! Whether something has tags at all, found out without building anything.

use std::io::{self, Write};

use serde::Serialize;

/// Whether any text in `value` may hold a tag: an opening `{{`. JSON has none outside of its texts.
pub(crate) fn mentions_tags(value: &impl Serialize) -> bool {
    mentions(value, b"{{")
}

/// Whether `word` stands anywhere in `value`, in a text or a name of a member. No proper end of `word` may be a beginning
/// of it again, but for repeats of its first byte.
pub(crate) fn mentions(value: &impl Serialize, word: &'static [u8]) -> bool {
    let mut scan = Scan { word, matched: 0 };
    // Stopping where the word is found is no failure.
    let _ = serde_json::to_writer(&mut scan, value);
    scan.matched == word.len()
}

/// Takes JSON text and looks for a word.
struct Scan {
    word: &'static [u8],
    /// So many bytes of the word stand at the end of the text so far.
    matched: usize,
}

impl Write for Scan {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            if *byte == self.word[self.matched] {
                self.matched += 1;
                if self.matched == self.word.len() {
                    return Err(io::ErrorKind::Other.into());
                }
            } else {
                self.matched = usize::from(*byte == self.word[0]);
            }
        }
        Ok(bytes.len())
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
        assert!(mentions(&json!({"a": "ououtputs"}), b"outputs"));
        assert!(mentions(&json!({"outputs": 1}), b"outputs"));
        assert!(!mentions(&json!({"out": "puts"}), b"outputs"));
    }
}
