//! Where a workflow and its messages wait for an operator when nobody could deal with them.
//!
//! An entry is found by its key, which tells the workflow and the message. Whoever acknowledges or terminates a message that
//! it could not deal with puts it here first, so that no fact is lost without a word.
//!
//! The place is bounded in entries and in bytes. When it is full the oldest entry leaves for the new one: what fails now is
//! what an operator looks for. Implementations log an error when that happens.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::subject::{LENGTH_MAX, token};
use crate::{Error, Message, Stream};

/// Largest payload that is kept. A larger one stays where its message is stored; the entry says where that is.
pub const PAYLOAD_BYTES_MAX: usize = 768 << 10;
/// Largest reason; what is longer is cut.
pub const REASON_BYTES_MAX: usize = 4 << 10;
/// Largest headers of a message that are kept, names and values together; larger ones are left out.
pub const HEADER_BYTES_MAX: usize = 16 << 10;
/// Longest namespace and name; what is longer is cut. Kubernetes allows 253.
const NAME_BYTES_MAX: usize = 1 << 10;
/// Largest entry without its payload: on NATS it is a header.
const HEAD_BYTES_MAX: usize = 60 << 10;
/// Of the id of a message that the bus did not take, so much is in its key: three times as much at most, as it is written.
pub const KEY_ID_BYTES_MAX: usize = 120;
/// Token of the entry that speaks of no message but of the workflow.
const WORKFLOW: &str = "WORKFLOW";

/// The place.
#[async_trait]
pub trait Quarantine: Send + Sync {
    /// Stores an entry. When its key has one already, that one's `count` goes up and its `first_at` stays. Gives the entry as
    /// it is stored.
    ///
    /// Errors: `BadSubject` when the workflow's uid is not fit for a key; `HeadersTooLarge` when the message's id is larger than
    /// an entry may be; `Unavailable`.
    async fn put(&self, entry: Quarantined) -> Result<Quarantined, Error>;

    /// The entries of one workflow, or all, in the order in which they were put last.
    async fn list(&self, uid: Option<&str>) -> Result<Vec<Quarantined>, Error>;

    /// The entry with this key.
    async fn get(&self, key: &str) -> Result<Option<Quarantined>, Error>;

    /// Takes the entry with this key away; whether there was one.
    async fn remove(&self, key: &str) -> Result<bool, Error>;
}

/// A workflow that nobody could deal with, or one message of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The workflow.
    pub uid: String,
    /// Its namespace; empty when not known.
    pub namespace: String,
    /// Its name; empty when not known.
    pub name: String,
    /// Why, for a person to read. At most [`REASON_BYTES_MAX`].
    pub reason: String,
    /// When it was put last.
    pub at: Timestamp,
    /// When it was put first.
    pub first_at: Timestamp,
    /// How often it was put. Set by the bus.
    pub count: u32,
    /// The message; `None` when the whole workflow is meant.
    pub message: Option<Kept>,
}

/// A message that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Stream it came on.
    pub stream: Stream,
    /// Its subject.
    pub subject: String,
    /// Its sequence in the stream; 0 when the bus did not take it.
    pub sequence: u64,
    /// Its id.
    pub id: String,
    /// Its headers. Left out when larger than [`HEADER_BYTES_MAX`].
    pub headers: BTreeMap<String, String>,
    /// Its content. `None` when larger than [`PAYLOAD_BYTES_MAX`]: then read it from the stream by its sequence.
    pub payload: Option<Bytes>,
    /// Size of the content, in bytes.
    pub payload_bytes: u64,
}

impl Quarantined {
    /// A whole workflow.
    pub fn workflow(uid: impl Into<String>, reason: impl Into<String>, at: Timestamp) -> Self {
        let (uid, reason) = (uid.into(), cut(reason.into(), REASON_BYTES_MAX));
        let (namespace, name) = (String::new(), String::new());
        Self { uid, namespace, name, reason, at, first_at: at, count: 1, message: None }
    }

    /// With namespace and name of the workflow.
    pub fn named(mut self, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        (self.namespace, self.name) = (cut(namespace.into(), NAME_BYTES_MAX), cut(name.into(), NAME_BYTES_MAX));
        self
    }

    /// With the message that could not be dealt with.
    pub fn message(mut self, message: &Message) -> Self {
        let header_bytes: usize = message.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let headers = if header_bytes > HEADER_BYTES_MAX { BTreeMap::new() } else { message.headers.clone() };
        self.message = Some(Kept {
            stream: message.stream,
            subject: message.subject.clone(),
            sequence: message.sequence,
            id: message.id.clone(),
            headers,
            payload: (message.payload.len() <= PAYLOAD_BYTES_MAX).then(|| message.payload.clone()),
            payload_bytes: message.payload.len() as u64,
        });
        self
    }

    /// What the entry is found by: `<uid>.<stream>.<sequence>`, or `<uid>.WORKFLOW.0`; for a message that has no sequence its
    /// id. The uid and the id are written as in subjects, the id cut after [`KEY_ID_BYTES_MAX`].
    pub fn key(&self) -> String {
        let uid = token(&self.uid);
        match &self.message {
            None => format!("{uid}.{WORKFLOW}.0"),
            Some(kept) if kept.sequence == 0 && !kept.id.is_empty() => {
                let id = cut(kept.id.clone(), KEY_ID_BYTES_MAX);
                format!("{uid}.{}.{}", kept.stream.name(), token(&id))
            }
            Some(kept) => format!("{uid}.{}.{}", kept.stream.name(), kept.sequence),
        }
    }

    /// What all keys of a workflow begin with.
    pub(crate) fn keys_of(uid: &str) -> String {
        format!("{}.", token(uid))
    }

    /// The entry as it is to be stored when `before` has its key.
    pub(crate) fn after(mut self, before: Option<&Self>) -> Self {
        if let Some(before) = before {
            (self.first_at, self.count) = (before.first_at, before.count.saturating_add(1));
        }
        self
    }

    /// Everything but the payload, as stored. The limits above keep it small in all but odd cases, which are refused.
    pub(crate) fn head(&self) -> Result<String, Error> {
        let message = self.message.as_ref().map(|kept| HeadMessage {
            stream: kept.stream.name().into(),
            subject: kept.subject.clone(),
            sequence: kept.sequence,
            id: kept.id.clone(),
            headers: kept.headers.clone(),
            payload_bytes: kept.payload_bytes,
            is_whole: kept.payload.is_some(),
        });
        let head = Head {
            uid: self.uid.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            reason: cut(self.reason.clone(), REASON_BYTES_MAX),
            at: self.at,
            first_at: self.first_at,
            count: self.count,
            message,
        };
        let head = serde_json::to_string(&head).expect("texts, numbers and times are valid JSON");
        if head.len() > HEAD_BYTES_MAX {
            return Err(Error::HeadersTooLarge { subject: self.key(), size: head.len(), limit: HEAD_BYTES_MAX });
        }
        Ok(head)
    }

    /// The entry that was stored as this.
    pub(crate) fn of(head: &str, payload: Bytes) -> Result<Self, Error> {
        let refused = |source: crate::error::Source| Error::Refused { doing: "read the quarantine", source };
        let head: Head = serde_json::from_str(head).map_err(|error| refused(error.into()))?;
        let message = match head.message {
            None => None,
            Some(message) => {
                let stream = Stream::ALL.into_iter().find(|stream| stream.name() == message.stream);
                let stream = stream.ok_or_else(|| refused(format!("there is no stream {}", message.stream).into()))?;
                Some(Kept {
                    stream,
                    subject: message.subject,
                    sequence: message.sequence,
                    id: message.id,
                    headers: message.headers,
                    payload: message.is_whole.then_some(payload),
                    payload_bytes: message.payload_bytes,
                })
            }
        };
        let Head { uid, namespace, name, reason, at, first_at, count, .. } = head;
        Ok(Self { uid, namespace, name, reason, at, first_at, count, message })
    }

    pub(crate) fn payload(&self) -> Bytes {
        self.message.as_ref().and_then(|kept| kept.payload.clone()).unwrap_or_default()
    }
}

/// Checks a key, and with it the entry it is of.
pub(crate) fn check_key(key: &str) -> Result<(), Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'%');
    let is_good = |token: &str| !token.is_empty() && token.bytes().all(plain);
    if key.len() <= LENGTH_MAX / 2 && key.split('.').count() == 3 && key.split('.').all(is_good) {
        return Ok(());
    }
    let reason = "a key of the quarantine is `<uid>.<stream>.<sequence>`, at most 512 bytes";
    Err(Error::BadSubject { subject: key.to_owned(), reason })
}

/// An entry as stored, but for the payload. Fields are only ever added.
#[derive(Serialize, Deserialize)]
struct Head {
    uid: String,
    namespace: String,
    name: String,
    reason: String,
    at: Timestamp,
    first_at: Timestamp,
    count: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<HeadMessage>,
}

#[derive(Serialize, Deserialize)]
struct HeadMessage {
    stream: String,
    subject: String,
    sequence: u64,
    id: String,
    headers: BTreeMap<String, String>,
    payload_bytes: u64,
    is_whole: bool,
}

/// At most `bytes_max` bytes of a text, cut between characters.
fn cut(mut text: String, bytes_max: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes_max));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_survives_being_stored() {
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let message = Message {
            stream: Stream::Observed,
            subject: "argosy.observed.3.u".into(),
            sequence: 7,
            id: "id".into(),
            headers: BTreeMap::from([("a".to_owned(), "ü\n".to_owned())]),
            payload: vec![0, 255, 1].into(),
            deliveries: 4,
        };
        let whole = Quarantined::workflow("u.1", "why", at).named("argo", "hello");
        let one = whole.clone().message(&message);
        let large = Message { payload: vec![7; PAYLOAD_BYTES_MAX + 1].into(), ..message.clone() };
        let large = whole.clone().message(&large);
        let unsent = |id: &str| whole.clone().message(&Message { sequence: 0, id: id.into(), ..message.clone() });
        assert_eq!(unsent("u:7:createPod.n").key(), "u%2e1.OBSERVED.u%3a7%3acreatePod%2en");
        check_key(&unsent(&"ü".repeat(400)).key()).unwrap();
        assert_eq!((whole.key(), one.key()), ("u%2e1.WORKFLOW.0".into(), "u%2e1.OBSERVED.7".into()));
        for entry in [whole, one, large] {
            check_key(&entry.key()).unwrap();
            assert_eq!(Quarantined::of(&entry.head().unwrap(), entry.payload()).unwrap(), entry);
        }
        assert!(Quarantined::workflow("u", "ü".repeat(REASON_BYTES_MAX), at).reason.len() <= REASON_BYTES_MAX);
    }

    #[test]
    fn keys_are_checked() {
        for bad in ["", "u", "u.OBSERVED", "u.OBSERVED.1.2", "u.*.1", "u.>", "u..1", "a b.OBSERVED.1"] {
            assert!(check_key(bad).is_err(), "{bad}");
        }
        assert!(check_key(&Quarantined::workflow("u".repeat(600), "", Timestamp::UNIX_EPOCH).key()).is_err());
    }
}
