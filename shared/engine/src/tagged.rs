//! Whether something has tags at all, found out without building anything.

use std::io::{self, Write};

use serde::Serialize;

/// Whether any text in `value` may hold a tag: an opening `{{`. JSON has none outside of its texts.
pub(crate) fn mentions_tags(value: &impl Serialize) -> bool {
    let mut scan = Scan { ends_open: false, found: false };
    // Stopping at the first tag is no failure.
    let _ = serde_json::to_writer(&mut scan, value);
    scan.found
}

/// Takes JSON text and looks for `{{`.
struct Scan {
    /// The text so far ends with a brace.
    ends_open: bool,
    found: bool,
}

impl Write for Scan {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            let is_open = *byte == b'{';
            if is_open && self.ends_open {
                self.found = true;
                return Err(io::ErrorKind::Other.into());
            }
            self.ends_open = is_open;
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
}
