//! A digest of a workflow's status, cheap to keep up to date.
//!
//! The digest is the wrapping sum of one 64-bit hash per entry: each node is an entry, and each other member of `status`.
//! So a changed node costs the hashes of its old and new text, however many nodes there are. The status service writes it
//! into the annotation [`crate::labels::WATERMARK`]; the watcher computes it over the status that it sees, and so tells
//! the status service's own writes from anyone else's.
//!
//! Members that are null, and numbers that are written differently (`1.0`, `1`), make no difference, since an API server
//! may drop or rewrite them.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// The annotation's value: how far the log is folded in, and the digest of the status that was written with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watermark {
    /// Last OBSERVED sequence folded into the status.
    pub sequence: u64,
    /// How many additions to that step are in: what a scheduler published that took the workflow up after it.
    pub additions: u32,
    /// Digest of the whole status.
    pub digest: u64,
}

impl Watermark {
    /// Reads the annotation of the object with this uid; `None` when it is not of the form
    /// `<sequence>[+<additions>]:<digest>:<uid>`, or came along from another object, as when somebody copies one whole.
    pub fn parse(text: &str, uid: &str) -> Option<Self> {
        let (position, rest) = text.split_once(':')?;
        let (digest, of) = rest.split_once(':')?;
        if of != uid {
            return None;
        }
        let Position { sequence, additions } = Position::parse(position)?;
        Some(Self { sequence, additions, digest: u64::from_str_radix(digest, 16).ok()? })
    }

    /// The annotation of the object with this uid.
    pub fn written(&self, uid: &str) -> String {
        format!("{}:{:016x}:{uid}", self.position(), self.digest)
    }

    /// How far the log is folded in.
    pub fn position(&self) -> Position {
        Position { sequence: self.sequence, additions: self.additions }
    }
}

/// A place in what was published about one workflow: a step, named by the OBSERVED sequence that caused it, and how many
/// additions were made to it. Each published change has one of its own and names the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The OBSERVED sequence of the step; 0 before the first.
    pub sequence: u64,
    /// Additions to it so far.
    #[serde(default)]
    pub additions: u32,
}

impl Position {
    /// The step itself, without additions.
    pub fn step(sequence: u64) -> Self {
        Self { sequence, additions: 0 }
    }

    /// Where a change that `sequence` caused comes when this was the last: an addition, unless the sequence is newer.
    pub fn next(self, sequence: u64) -> Self {
        if sequence > self.sequence {
            Self::step(sequence)
        } else {
            Self { sequence: self.sequence, additions: self.additions + 1 }
        }
    }

    /// Reads `<sequence>` or `<sequence>+<additions>`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once('+') {
            Some((sequence, additions)) => {
                Some(Self { sequence: sequence.parse().ok()?, additions: additions.parse().ok()? })
            }
            None => Some(Self::step(text.parse().ok()?)),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.additions {
            0 => write!(f, "{}", self.sequence),
            additions => write!(f, "{}+{additions}", self.sequence),
        }
    }
}

/// The share of one node in the digest.
pub fn of_node(id: &str, node: &Value) -> u64 {
    entry(b"n", id, node)
}

/// The share of one member of `status` other than `nodes`.
pub fn of_member(name: &str, value: &Value) -> u64 {
    entry(b"m", name, value)
}

/// The digest of a whole `status`; anything but an object is an empty one.
pub fn of_status(status: &Value) -> u64 {
    let Value::Object(members) = status else {
        return 0;
    };
    members.iter().fold(0_u64, |sum, (name, value)| match value {
        Value::Object(nodes) if name == "nodes" => {
            nodes.iter().fold(sum, |sum, (id, node)| sum.wrapping_add(of_node(id, node)))
        }
        _ => sum.wrapping_add(of_member(name, value)),
    })
}

fn entry(section: &[u8], key: &str, value: &Value) -> u64 {
    if value.is_null() {
        return 0;
    }
    let mut hash = Fnv(OFFSET);
    hash.bytes(section);
    hash.text(key);
    hash.value(value);
    // FNV spreads poorly into the high bits; a sum of entries needs them.
    let mixed = (hash.0 ^ (hash.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

struct Fnv(u64);

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes(&(text.len() as u64).to_le_bytes());
        self.bytes(text.as_bytes());
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.bytes(b"0"),
            Value::Bool(true) => self.bytes(b"t"),
            Value::Bool(false) => self.bytes(b"f"),
            Value::Number(number) => {
                self.bytes(b"#");
                match (number.as_i64(), number.as_f64()) {
                    (Some(n), _) => self.bytes(&n.to_le_bytes()),
                    // Exact for the whole numbers that a double can hold; a float API server writes `1` for `1.0`.
                    (None, Some(n)) if n.fract() == 0.0 && n.abs() < 9.0e15 => self.bytes(&(n as i64).to_le_bytes()),
                    (None, n) => self.bytes(&n.unwrap_or(f64::NAN).to_bits().to_le_bytes()),
                }
            }
            Value::String(text) => {
                self.bytes(b"s");
                self.text(text);
            }
            Value::Array(items) => {
                self.bytes(b"[");
                items.iter().for_each(|item| self.value(item));
                self.bytes(b"]");
            }
            Value::Object(members) => {
                self.bytes(b"{");
                for (key, member) in members.iter().filter(|(_, member)| !member.is_null()) {
                    self.text(key);
                    self.value(member);
                }
                self.bytes(b"}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_changed_node_changes_the_digest_by_its_share() {
        let before = json!({"phase": "Running", "nodes": {"a": {"phase": "Running"}, "b": {"phase": "Pending"}}});
        let after =
            json!({"phase": "Running", "nodes": {"a": {"phase": "Running"}, "b": {"phase": "Succeeded", "x": [1]}}});
        let moved = of_status(&before)
            .wrapping_sub(of_node("b", &json!({"phase": "Pending"})))
            .wrapping_add(of_node("b", &json!({"phase": "Succeeded", "x": [1]})));
        assert_eq!(moved, of_status(&after));
        assert_ne!(of_status(&before), of_status(&after));
    }

    #[test]
    fn only_meaning_counts() {
        assert_eq!(of_status(&json!({"a": 1.0, "b": null})), of_status(&json!({"a": 1})));
        assert_eq!(of_status(&json!({"a": {"x": null}})), of_status(&json!({"a": {}})));
        for (left, right) in [
            (json!({"a": "1"}), json!({"a": 1})),
            (json!({"a": ["x", "y"]}), json!({"a": ["xy"]})),
            (json!({"a": {"x": "y"}}), json!({"ax": "y"})),
            (json!({"nodes": {"a": {"x": 1}, "b": {"x": 2}}}), json!({"nodes": {"a": {"x": 2}, "b": {"x": 1}}})),
        ] {
            assert_ne!(of_status(&left), of_status(&right), "{left} {right}");
        }
    }

    #[test]
    fn additions_come_behind_their_step_and_before_the_next() {
        let step = Position::step(7);
        let added = step.next(7);
        assert_eq!(added.to_string(), "7+1");
        assert!(step < added && added < added.next(8));
        assert_eq!(added.next(9), Position::step(9));
        // A step that published nothing is no place: what is added then is added to the last that did.
        assert_eq!(added.next(5).to_string(), "7+2");
    }

    #[test]
    fn watermarks_survive_a_round_trip() {
        let mark = Watermark { sequence: 42, additions: 0, digest: 0xab };
        assert_eq!(mark.written("u"), "42:00000000000000ab:u");
        assert_eq!(Watermark::parse(&mark.written("u"), "u"), Some(mark));
        assert_eq!(Watermark::parse(&mark.written("u"), "v"), None, "copied from another object");
        let added = Watermark { additions: 2, ..mark };
        assert_eq!(added.written("u"), "42+2:00000000000000ab:u");
        assert_eq!(Watermark::parse(&added.written("u"), "u"), Some(added));
        for bad in ["", "42", "42:", ":1", "42:1", "42:1:", "x:1:u", "1:xyz:u", "1+:1:u", "+1:1:u"] {
            assert_eq!(Watermark::parse(bad, "u"), None, "{bad}");
        }
    }
}
