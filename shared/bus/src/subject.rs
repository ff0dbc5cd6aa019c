//! Subjects: typed builders and parsers, and filters.
//!
//! | Stream | Subject |
//! |---|---|
//! | OBSERVED | `argosy.observed.<shard>.<uid>` |
//! | COMMANDS | `argosy.command.<shard>.<uid>.<node-id>` |
//! | EVENTS | `argosy.event.<shard>.<namespace>.<uid>.<type>` |
//! | NODES | `argosy.nodes.<shard>.<uid>.<version>` |
//!
//! A token may hold any text: bytes other than ASCII letters, digits, `-` and `_` are written as `%xx`, since object names
//! (and so node ids) may contain dots.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use crate::{Error, Stream};

/// Longest subject or filter, in bytes. NATS allows 4,096 for a whole protocol line.
pub const LENGTH_MAX: usize = 1024;

/// `argosy.observed.<shard>.<uid>`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Observed {
    /// Shard of `uid`.
    pub shard: u16,
    /// Workflow (or cron workflow, or lock) the fact belongs to.
    pub uid: String,
}

/// `argosy.command.<shard>.<uid>.<node-id>`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Command {
    /// Shard of `uid`.
    pub shard: u16,
    /// Workflow.
    pub uid: String,
    /// Node of the workflow.
    pub node: String,
}

/// `argosy.event.<shard>.<namespace>.<uid>.<type>`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Event {
    /// Shard of `uid`.
    pub shard: u16,
    /// Namespace of the workflow.
    pub namespace: String,
    /// Workflow.
    pub uid: String,
    /// Type of the event.
    pub kind: String,
}

/// `argosy.nodes.<shard>.<uid>.<version>`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nodes {
    /// Shard of `uid`.
    pub shard: u16,
    /// Workflow.
    pub uid: String,
    /// Version of its nodes.
    pub version: String,
}

impl Nodes {
    /// All nodes of a shard.
    pub fn of_shard(shard: u16) -> String {
        of_shard(Stream::Nodes, shard)
    }
}

impl fmt::Display for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "argosy.nodes.{}.{}.{}", self.shard, Token(&self.uid), Token(&self.version))
    }
}

impl FromStr for Nodes {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (shard, [uid, version]) = parse(text, Stream::Nodes)?;
        Ok(Self { shard, uid, version })
    }
}

impl Observed {
    /// All observations of a shard.
    pub fn of_shard(shard: u16) -> String {
        of_shard(Stream::Observed, shard)
    }
}

impl Command {
    /// All commands of a shard.
    pub fn of_shard(shard: u16) -> String {
        of_shard(Stream::Commands, shard)
    }

    /// All commands of a workflow.
    pub fn of_workflow(shard: u16, uid: &str) -> String {
        format!("{}.{shard}.{}.>", Stream::Commands.prefix(), Token(uid))
    }
}

impl Event {
    /// Where a new owner of a shard claims it. The id of the message ends with the epoch of its lease.
    pub fn claim(shard: u16) -> Self {
        Self { shard, namespace: String::new(), uid: String::new(), kind: "claim".to_owned() }
    }

    /// All events of a shard.
    pub fn of_shard(shard: u16) -> String {
        of_shard(Stream::Events, shard)
    }

    /// All events of a workflow.
    pub fn of_workflow(shard: u16, namespace: &str, uid: &str) -> String {
        format!("{}.{shard}.{}.{}.>", Stream::Events.prefix(), Token(namespace), Token(uid))
    }
}

/// Everything in one shard of a stream, such as `argosy.event.3.>`.
pub fn of_shard(stream: Stream, shard: u16) -> String {
    format!("{}.{shard}.>", stream.prefix())
}

/// Everything in a stream, such as `argosy.event.>`.
pub fn of_stream(stream: Stream) -> String {
    format!("{}.>", stream.prefix())
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "argosy.observed.{}.{}", self.shard, Token(&self.uid))
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "argosy.command.{}.{}.{}", self.shard, Token(&self.uid), Token(&self.node))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (namespace, uid, kind) = (Token(&self.namespace), Token(&self.uid), Token(&self.kind));
        write!(f, "argosy.event.{}.{namespace}.{uid}.{kind}", self.shard)
    }
}

impl FromStr for Observed {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (shard, [uid]) = parse(text, Stream::Observed)?;
        Ok(Self { shard, uid })
    }
}

impl FromStr for Command {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (shard, [uid, node]) = parse(text, Stream::Commands)?;
        Ok(Self { shard, uid, node })
    }
}

impl FromStr for Event {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (shard, [namespace, uid, kind]) = parse(text, Stream::Events)?;
        Ok(Self { shard, namespace, uid, kind })
    }
}

/// Text as one token of a subject.
pub(crate) fn token(text: &str) -> impl fmt::Display + '_ {
    Token(text)
}

/// Writes text as one token. The empty text becomes `%`, as a token cannot be empty.
struct Token<'a>(&'a str);

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_char('%');
        }
        if self.0.bytes().all(is_plain) {
            return f.write_str(self.0);
        }
        for byte in self.0.bytes() {
            if is_plain(byte) { f.write_char(char::from(byte))? } else { write!(f, "%{byte:02x}")? }
        }
        Ok(())
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn parse<const N: usize>(text: &str, stream: Stream) -> Result<(u16, [String; N]), Error> {
    let bad = |reason| Error::BadSubject { subject: text.to_owned(), reason };
    let rest = text.strip_prefix(stream.prefix()).and_then(|rest| rest.strip_prefix('.'));
    let mut tokens = rest.ok_or_else(|| bad("belongs to another stream"))?.split('.');
    let shard = tokens.next().and_then(|token| token.parse().ok()).ok_or_else(|| bad("the shard is not a number"))?;
    let names: Vec<String> = tokens.map(decode).collect::<Option<_>>().ok_or_else(|| bad("a token is not valid"))?;
    let names = names.try_into().map_err(|_| bad("wrong number of tokens"))?;
    Ok((shard, names))
}

fn decode(token: &str) -> Option<String> {
    if token == "%" {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(is_plain(*first).then_some(*first)?);
            rest = tail;
        }
    }
    if bytes.is_empty() { None } else { String::from_utf8(bytes).ok() }
}

/// A subject, or a pattern of subjects: `*` stands for one token, a final `>` for one or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// No wildcard.
    Exact,
    /// Only a final `>`; the number is the length of the text before it, the dot included.
    Tail(usize),
    /// Anything else; the number is the length of the text before the first wildcard.
    Pattern(usize),
}

impl Filter {
    /// Checks and classifies a filter. Errors: `BadSubject`.
    pub fn new(text: &str) -> Result<Self, Error> {
        let bad = |reason| Error::BadSubject { subject: text.to_owned(), reason };
        if text.len() > LENGTH_MAX {
            return Err(bad("too long"));
        }
        let mut kind = Kind::Exact;
        let mut at = 0;
        for token in text.split('.') {
            let end = at + token.len();
            match token {
                "" => return Err(bad("empty token")),
                ">" if end != text.len() => return Err(bad("`>` must be the last token")),
                ">" if kind == Kind::Exact => kind = Kind::Tail(at),
                ">" => {}
                "*" if kind == Kind::Exact => kind = Kind::Pattern(at),
                "*" => {}
                _ if token.bytes().any(|byte| byte <= b' ' || matches!(byte, b'*' | b'>' | 0x7f)) => {
                    return Err(bad("a token holds a wildcard, a space or a control character"));
                }
                _ => {}
            }
            at = end + 1;
        }
        Ok(Self { text: text.to_owned(), kind })
    }

    /// A filter for `stream`. Errors: `BadSubject`, also when it can match no subject of the stream.
    pub fn of(stream: Stream, text: &str) -> Result<Self, Error> {
        let filter = Self::new(text)?;
        if filter.literal().starts_with(stream.prefix())
            && filter.text.as_bytes().get(stream.prefix().len()) == Some(&b'.')
        {
            Ok(filter)
        } else {
            Err(Error::BadSubject { subject: text.to_owned(), reason: "belongs to another stream" })
        }
    }

    /// The text it was made from.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it has no wildcard.
    pub fn is_exact(&self) -> bool {
        self.kind == Kind::Exact
    }

    /// Whether `>` at the end is its only wildcard: then it matches everything longer than [`Filter::literal`].
    pub fn is_tail(&self) -> bool {
        matches!(self.kind, Kind::Tail(_))
    }

    /// The text before the first wildcard; each matching subject starts with it.
    pub fn literal(&self) -> &str {
        match self.kind {
            Kind::Exact => &self.text,
            Kind::Tail(length) | Kind::Pattern(length) => &self.text[..length],
        }
    }

    /// Whether `subject` (without wildcards) fits.
    pub fn matches(&self, subject: &str) -> bool {
        match self.kind {
            Kind::Exact => self.text == subject,
            Kind::Tail(length) => subject.len() > length && subject.starts_with(&self.text[..length]),
            Kind::Pattern(_) => {
                let (mut patterns, mut tokens) = (self.text.split('.'), subject.split('.'));
                loop {
                    match (patterns.next(), tokens.next()) {
                        (Some(">"), Some(_)) | (None, None) => return true,
                        (Some("*"), Some(_)) => {}
                        (Some(pattern), Some(token)) if pattern == token => {}
                        _ => return false,
                    }
                }
            }
        }
    }

    /// Whether some subject fits both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (mut left, mut right) = (self.text.split('.'), other.text.split('.'));
        loop {
            match (left.next(), right.next()) {
                (Some(">"), Some(_)) | (Some(_), Some(">")) | (None, None) => return true,
                (Some("*"), Some(_)) | (Some(_), Some("*")) => {}
                (Some(left), Some(right)) if left == right => {}
                _ => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_survive_a_round_trip() {
        let command = Command { shard: 3, uid: "5f0d-1".into(), node: "my.flow-123 ü%>".into() };
        assert_eq!(command.to_string(), "argosy.command.3.5f0d-1.my%2eflow-123%20%c3%bc%25%3e");
        assert_eq!(command.to_string().parse::<Command>().unwrap(), command);
        let event = Event { shard: 15, namespace: "argo".into(), uid: String::new(), kind: "NodeStarted".into() };
        assert_eq!(event.to_string(), "argosy.event.15.argo.%.NodeStarted");
        assert_eq!(event.to_string().parse::<Event>().unwrap(), event);
        let observed = Observed { shard: 0, uid: "u".into() };
        assert_eq!(observed.to_string().parse::<Observed>().unwrap(), observed);
        let nodes = Nodes { shard: 1, uid: "u".into(), version: "fnv:7".into() };
        assert_eq!(nodes.to_string(), "argosy.nodes.1.u.fnv%3a7");
        assert_eq!(nodes.to_string().parse::<Nodes>().unwrap(), nodes);
    }

    #[test]
    fn wrong_subjects_are_named() {
        for (text, reason) in [
            ("argosy.event.1.u", "belongs to another stream"),
            ("argosy.observed.x.u", "the shard is not a number"),
            ("argosy.observed.70000.u", "the shard is not a number"),
            ("argosy.observed.1.u.v", "wrong number of tokens"),
            ("argosy.observed.1.", "a token is not valid"),
            ("argosy.observed.1.%zz", "a token is not valid"),
            ("argosy.observed.1.%4", "a token is not valid"),
            ("argosy.observed.1.*", "a token is not valid"),
        ] {
            let Err(Error::BadSubject { reason: found, .. }) = text.parse::<Observed>() else { panic!("{text}") };
            assert_eq!(found, reason, "{text}");
        }
    }

    #[test]
    fn filters_match_like_nats() {
        let matches = |filter: &str, subject: &str| Filter::new(filter).unwrap().matches(subject);
        assert!(matches("a.>", "a.b.c") && !matches("a.>", "a") && !matches("a.>", "ab.c"));
        assert!(matches("a.*.c", "a.b.c") && !matches("a.*.c", "a.b.d") && !matches("a.*", "a.b.c"));
        assert!(matches("a.*.>", "a.b.c") && !matches("a.*.>", "a.b") && matches(">", "a"));
        assert!(matches("a.b", "a.b") && !matches("a.b", "a.b.c"));
        for bad in ["", "a..b", "a.>.b", "a.b*", "a b", ".a", "a."] {
            assert!(Filter::new(bad).is_err(), "{bad}");
        }
        assert!(Filter::of(Stream::Events, "argosy.event.3.>").is_ok());
        for bad in ["argosy.events.3", "argosy.event", "argosy.*.3", ">"] {
            assert!(Filter::of(Stream::Events, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn overlap_is_symmetric() {
        for (left, right, expected) in [
            ("a.1.>", "a.2.>", false),
            ("a.>", "a.2.b", true),
            ("a.*.c", "a.b.*", true),
            ("a.b", "a.b.c", false),
            ("a.b", "a.b", true),
        ] {
            let (left, right) = (Filter::new(left).unwrap(), Filter::new(right).unwrap());
            assert_eq!((left.overlaps(&right), right.overlaps(&left)), (expected, expected), "{left:?} {right:?}");
        }
    }
}
