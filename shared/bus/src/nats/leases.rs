//! Leases: keys of a bucket that the server drops when their time is over.
//!
//! The epoch is the sequence of the write that took the lease, so it grows with each taking; renewals carry it along.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_nats::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{Nats, failed, is_wrong_sequence, read};
use crate::check::{TTL_MIN, check_lease};
use crate::{Error, Lease};

/// Tries against others who write the same key. With the pauses between them they take less than 2 s.
const RACES_MAX: u32 = 32;

/// What to wait after each try: a server of a cluster refuses also what comes while another write is on its way.
fn pauses() -> impl Iterator<Item = Duration> {
    (1..=RACES_MAX).map(|number| Duration::from_millis(5) * number.min(12))
}

/// Content of a key.
#[derive(Serialize, Deserialize)]
struct Value {
    holder: String,
    /// Missing in the write that took the lease: its sequence is the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    /// For how long the write holds. Older versions did not say.
    #[serde(default)]
    ttl_ms: u64,
}

impl Value {
    fn new(holder: &str, epoch: Option<u64>, ttl: Duration) -> Self {
        Self { holder: holder.to_owned(), epoch, ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX) }
    }
}

/// What the bucket says about a lease.
struct Slot {
    revision: u64,
    held: Option<Held>,
}

struct Held {
    holder: String,
    epoch: u64,
    /// For how long the write holds, when it says so.
    ttl: Duration,
}

/// A bucket of leases.
#[derive(Clone, Copy)]
pub(super) struct Bucket<'a> {
    pub context: &'a Context,
    /// Its name on the server.
    pub name: &'a str,
}

pub(super) async fn acquire(
    bucket: Bucket<'_>,
    name: &str,
    holder: &str,
    ttl: Duration,
) -> Result<Option<Lease>, Error> {
    check_lease(name, holder)?;
    let ttl = ttl.max(TTL_MIN);
    let asked = Instant::now();
    let lease = |epoch, revision| {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        Some(Lease { name, holder, epoch, ttl, expires: asked + ttl, revision })
    };
    let mut first_seen = None;
    for pause in pauses() {
        let slot = look(bucket, name).await?;
        let epoch = match slot.held {
            Some(other) if other.holder != holder => return Ok(None),
            Some(own) if first_seen.is_some_and(|first| first != slot.revision) && own.ttl >= ttl => {
                return Ok(lease(own.epoch, slot.revision));
            }
            held => held.map(|own| own.epoch),
        };
        first_seen = first_seen.or(Some(slot.revision));
        let value = Value::new(holder, epoch, ttl);
        if let Some(revision) = write(bucket, name, Some((&value, ttl)), slot.revision).await? {
            return Ok(lease(epoch.unwrap_or(revision), revision));
        }
        sleep(pause).await;
    }
    Err(Error::Unavailable { doing: "take a lease", source: Some("many take it at once".into()) })
}

/// A process may renew one lease from several places: whoever is beaten by another renewal of the same holding has it
/// renewed too, once that is seen to be newer than this call.
pub(super) async fn renew(bucket: Bucket<'_>, old: &Lease) -> Result<Lease, Error> {
    let asked = Instant::now();
    let lost = || Error::LeaseLost { lease: old.name.clone(), holder: old.holder.clone() };
    let value = Value::new(&old.holder, Some(old.epoch), old.ttl);
    let renewed = |revision| Lease { expires: asked + old.ttl, revision, ..old.clone() };
    let (mut revision, mut first_seen) = (old.revision, None);
    for pause in pauses() {
        if let Some(revision) = write(bucket, &old.name, Some((&value, old.ttl)), revision).await? {
            return Ok(renewed(revision));
        }
        // Another renewal was faster, maybe an earlier one whose answer was lost. Or the holding is over.
        let slot = look(bucket, &old.name).await?;
        match slot.held {
            Some(own) if own.holder == old.holder && own.epoch == old.epoch => {
                if first_seen.is_some_and(|first| first != slot.revision) && own.ttl >= old.ttl {
                    return Ok(renewed(slot.revision));
                }
            }
            _ => return Err(lost()),
        }
        (revision, first_seen) = (slot.revision, first_seen.or(Some(slot.revision)));
        sleep(pause).await;
    }
    Err(Error::Unavailable { doing: "renew a lease", source: Some("many renew it at once".into()) })
}

pub(super) async fn release(bucket: Bucket<'_>, old: &Lease) -> Result<(), Error> {
    let slot = look(bucket, &old.name).await?;
    if slot.held.is_some_and(|own| own.holder == old.holder && own.epoch == old.epoch) {
        write(bucket, &old.name, None, slot.revision).await?;
    }
    Ok(())
}

/// Reads the key from the leader.
async fn look(bucket: Bucket<'_>, name: &str) -> Result<Slot, Error> {
    let stream = bucket.context.get_stream_no_info(bucket.stream()).await;
    let stream = stream.map_err(|error| failed("read a lease", error))?;
    let message = match stream.get_last_raw_message_by_subject(&bucket.key(name)).await {
        Ok(message) => message,
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
            return Ok(Slot { revision: 0, held: None });
        }
        Err(error) => return Err(failed("read a lease", error)),
    };
    let revision = message.sequence;
    if is_removal(&message.headers) {
        return Ok(Slot { revision, held: None });
    }
    let value: Value = serde_json::from_slice(&message.payload)
        .map_err(|error| Error::Refused { doing: "read a lease", source: error.into() })?;
    let (epoch, ttl) = (value.epoch.unwrap_or(revision), Duration::from_millis(value.ttl_ms));
    Ok(Slot { revision, held: Some(Held { holder: value.holder, epoch, ttl }) })
}

/// Writes the key if it still has `expected`; `None` when it has not. Without a value it is marked as removed.
async fn write(
    bucket: Bucket<'_>,
    name: &str,
    value: Option<(&Value, Duration)>,
    expected: u64,
) -> Result<Option<u64>, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected.to_string());
    let payload = match value {
        Some((value, ttl)) => {
            headers.insert(header::NATS_MESSAGE_TTL, ttl.as_millis().div_ceil(1000).to_string());
            serde_json::to_vec(value).expect("strings and numbers are valid JSON")
        }
        None => {
            headers.insert("KV-Operation", "DEL");
            Vec::new()
        }
    };
    let answer = match bucket.context.publish_with_headers(bucket.key(name), headers, payload.into()).await {
        Ok(answer) => answer.await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(ack) => Ok(Some(ack.sequence)),
        Err(error) if is_wrong_sequence(&error) => Ok(None),
        Err(error) => Err(failed("write a lease", error)),
    }
}

fn is_removal(headers: &HeaderMap) -> bool {
    ["KV-Operation", header::NATS_MARKER_REASON.as_ref()].iter().any(|name| headers.get_last(*name).is_some())
}

/// Names of the keys under `group` that have a value: one answer holds the newest entry of each.
pub(super) async fn held(nats: &Nats, bucket: Bucket<'_>, group: &str) -> Result<Vec<String>, Error> {
    let pattern = bucket.key(&format!("{group}.>"));
    let start = bucket.key("");
    let entries = read::newest_of_each(nats, &bucket.stream(), &pattern).await?;
    let held = entries.into_iter().filter(|(_, headers)| !is_removal(headers));
    let mut names: Vec<String> =
        held.filter_map(|(subject, _)| subject.strip_prefix(start.as_str()).map(str::to_owned)).collect();
    names.sort();
    Ok(names)
}

impl Bucket<'_> {
    /// The stream behind it.
    pub(super) fn stream(&self) -> String {
        format!("KV_{}", self.name)
    }

    fn key(&self, name: &str) -> String {
        format!("$KV.{}.{name}", self.name)
    }
}
