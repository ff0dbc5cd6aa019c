//! Leases: keys of a bucket that the server drops when their time is over.
//!
//! The epoch is the sequence of the write that took the lease, so it grows with each taking; renewals carry it along.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_nats::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Nats, failed, is_wrong_sequence, read};
use crate::check::{TTL_MIN, check_lease};
use crate::{Error, Lease};

/// Tries against others who write the same key.
const RACES_MAX: usize = 32;

/// Tries of a renewal against other renewals of the same holding. Each time one of them gets through, so this is how many
/// may renew at once.
const RENEWALS_MAX: usize = 32;

/// Content of a key.
#[derive(Serialize, Deserialize)]
struct Value {
    holder: String,
    /// Missing in the write that took the lease: its sequence is the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
}

/// What the bucket says about a lease.
struct Slot {
    revision: u64,
    held: Option<(String, u64)>,
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
    for _ in 0..RACES_MAX {
        let asked = Instant::now();
        let slot = look(bucket, name).await?;
        let epoch = match slot.held {
            Some((other, _)) if other != holder => return Ok(None),
            Some((_, epoch)) => Some(epoch),
            None => None,
        };
        let value = Value { holder: holder.to_owned(), epoch };
        if let Some(revision) = write(bucket, name, Some((&value, ttl)), slot.revision).await? {
            let epoch = epoch.unwrap_or(revision);
            let (name, holder) = (name.to_owned(), holder.to_owned());
            return Ok(Some(Lease { name, holder, epoch, ttl, expires: asked + ttl, revision }));
        }
    }
    // Who holds it now is not known: those who were faster may be renewals of `holder`.
    Err(Error::Unavailable { doing: "take a lease", source: Some("many take it at once".into()) })
}

pub(super) async fn renew(bucket: Bucket<'_>, old: &Lease) -> Result<Lease, Error> {
    let asked = Instant::now();
    let lost = || Error::LeaseLost { lease: old.name.clone(), holder: old.holder.clone() };
    let value = Value { holder: old.holder.clone(), epoch: Some(old.epoch) };
    let mut revision = old.revision;
    for _ in 0..RENEWALS_MAX {
        if let Some(revision) = write(bucket, &old.name, Some((&value, old.ttl)), revision).await? {
            return Ok(Lease { expires: asked + old.ttl, revision, ..old.clone() });
        }
        // Another renewal of the same holding was faster, maybe an earlier one whose answer was lost. Or it is over.
        let slot = look(bucket, &old.name).await?;
        if slot.held.is_none_or(|(holder, epoch)| holder != old.holder || epoch != old.epoch) {
            return Err(lost());
        }
        revision = slot.revision;
    }
    // Each time somebody else renewed the same holding, so it is not lost.
    Err(Error::Unavailable { doing: "renew a lease", source: Some("many renew it at once".into()) })
}

pub(super) async fn release(bucket: Bucket<'_>, old: &Lease) -> Result<(), Error> {
    let slot = look(bucket, &old.name).await?;
    if slot.held.is_some_and(|(holder, epoch)| holder == old.holder && epoch == old.epoch) {
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
    Ok(Slot { revision, held: Some((value.holder, value.epoch.unwrap_or(revision))) })
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
