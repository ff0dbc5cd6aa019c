//! Reading stored messages without a consumer.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream::stream::{self, LastRawMessageErrorKind};
use async_nats::{HeaderMap, StatusCode, header};
use futures::StreamExt;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{sleep, timeout};

use super::{Nats, failed};
use crate::{Error, Message, Stream};

/// Messages asked for at once.
const BATCH_MAX: usize = 1024;
/// Tries while a replica lags behind the leader.
const TRIES_MAX: u32 = 20;
/// How long to wait for the next message of an answer.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// Asks the leader, never a replica that may lag.
pub(super) async fn last_sequence(stream: &stream::Stream<()>, filter: &str) -> Result<u64, Error> {
    match stream.get_last_raw_message_by_subject(filter).await {
        Ok(message) => Ok(message.sequence),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(0),
        Err(error) => Err(failed("ask for the last sequence", error)),
    }
}

/// Reads batches from whichever replica answers, until what the leader had at the start is there.
pub(super) async fn read(
    nats: &Nats,
    stream: Stream,
    filter: &str,
    after: u64,
    limit: usize,
) -> Result<Vec<Message>, Error> {
    let leader = nats.stream(stream).await?;
    let prefix = nats.prefix();
    let name = prefix.stream(stream);
    let mut found: Vec<Message> = Vec::new();
    let mut target = last_sequence(&leader, filter).await?;
    let mut tries = 0;
    loop {
        let reached = found.last().map_or(after, |message| message.sequence);
        if found.len() >= limit || reached >= target {
            return Ok(found);
        }
        let batch = BATCH_MAX.min(limit - found.len());
        let request =
            Request { seq: Some(reached + 1), next_by_subj: Some(filter), batch: Some(batch), ..Request::default() };
        let batch = direct_get(nats, &name, &request).await?;
        if !batch.is_empty() {
            let own = batch.into_iter().map(|entry| {
                message(stream, prefix.strip(&entry.subject), entry.sequence, &entry.headers, entry.payload, 0)
            });
            found.extend(own);
            continue;
        }
        // A lagging replica, or a purge since the leader was asked.
        tries += 1;
        if tries == TRIES_MAX {
            return Err(Error::Unavailable { doing: "read", source: None });
        }
        sleep(Duration::from_millis(10) * tries).await;
        target = last_sequence(&leader, filter).await?;
    }
}

/// Subjects under the server's `filter`.
pub(super) async fn subjects(nats: &Nats, stream: Stream, filter: &str) -> Result<Vec<String>, Error> {
    let info = nats.stream(stream).await?.info_with_subjects(filter).await;
    let mut pages = info.map_err(|error| failed("list subjects", error))?;
    let mut found = Vec::new();
    while let Some(entry) = pages.next().await {
        let (subject, _count) = entry.map_err(|error| failed("list subjects", error))?;
        found.push(nats.prefix().strip(&subject));
    }
    found.sort();
    Ok(found)
}

/// Sequence of the newest message under the server's `filter` that is at least `age` old, by the clock of this machine.
pub(super) async fn older_than(nats: &Nats, stream: Stream, filter: &str, age: Duration) -> Result<u64, Error> {
    let newest = last_sequence(&nats.stream(stream).await?, filter).await?;
    let Ok(since) = Timestamp::now().checked_sub(age) else {
        return Ok(0);
    };
    let start_time = since.to_string();
    let request =
        Request { start_time: Some(&start_time), next_by_subj: Some(filter), batch: Some(1), ..Request::default() };
    let younger = direct_get(nats, &nats.prefix().stream(stream), &request).await?;
    Ok(younger.first().map_or(newest, |entry| entry.sequence.saturating_sub(1)))
}

/// Everything under the server's `filter` in a stream that is not one of the three, oldest first, `page` messages at a time.
pub(super) async fn all(
    nats: &Nats,
    stream: &str,
    filter: &str,
    page: usize,
) -> Result<Vec<(HeaderMap, bytes::Bytes)>, Error> {
    let (mut found, mut reached) = (Vec::new(), 0);
    loop {
        let request =
            Request { seq: Some(reached + 1), next_by_subj: Some(filter), batch: Some(page), ..Request::default() };
        let entries = direct_get(nats, stream, &request).await?;
        let Some(last) = entries.last() else {
            return Ok(found);
        };
        reached = last.sequence;
        found.extend(entries.into_iter().map(|entry| (entry.headers, entry.payload)));
    }
}

/// The newest message of each subject under `pattern`, without its content.
pub(super) async fn newest_of_each(
    nats: &Nats,
    stream: &str,
    pattern: &str,
) -> Result<Vec<(String, HeaderMap)>, Error> {
    let request = Request { multi_last: Some([pattern]), ..Request::default() };
    let entries = direct_get(nats, stream, &request).await?;
    Ok(entries.into_iter().map(|entry| (entry.subject, entry.headers)).collect())
}

/// A batched direct get, see ADR-31 of the NATS architecture.
#[derive(Default, Serialize)]
struct Request<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_by_subj: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_last: Option<[&'a str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<usize>,
}

/// A stored message as the server has it.
struct Entry {
    subject: String,
    sequence: u64,
    headers: HeaderMap,
    payload: bytes::Bytes,
}

async fn direct_get(nats: &Nats, stream: &str, request: &Request<'_>) -> Result<Vec<Entry>, Error> {
    let request = serde_json::to_vec(request).expect("numbers and strings are valid JSON");
    let inbox = nats.client.new_inbox();
    let mut answers = nats.client.subscribe(inbox.clone()).await.map_err(|error| failed("read", error))?;
    let subject = format!("$JS.API.DIRECT.GET.{stream}");
    let sent = nats.client.publish_with_reply(subject, inbox, request.into()).await;
    sent.map_err(|error| failed("read", error))?;
    let mut found = Vec::new();
    loop {
        let next = timeout(ANSWER_WAIT, answers.next()).await;
        let Ok(Some(answer)) = next else {
            return Err(Error::Unavailable { doing: "read", source: None });
        };
        match answer.status {
            None | Some(StatusCode::OK) => {}
            Some(StatusCode::NO_RESPONDERS) => {
                return Err(Error::Unavailable { doing: "read", source: Some(super::NO_STREAM.into()) });
            }
            Some(status) if status.as_u16() == 204 || status == StatusCode::NOT_FOUND => {
                return Ok(found);
            }
            Some(status) => {
                let source = format!("{status} {}", answer.description.unwrap_or_default());
                return Err(Error::Refused { doing: "read", source: source.into() });
            }
        }
        let headers = answer.headers.unwrap_or_default();
        let sequence = headers.get_last(header::NATS_SEQUENCE).and_then(|value| value.as_str().parse().ok());
        let subject = headers.get_last(header::NATS_SUBJECT).map(|value| value.as_str().to_owned());
        let (Some(sequence), Some(subject)) = (sequence, subject) else {
            return Err(Error::Refused { doing: "read", source: "an answer without sequence or subject".into() });
        };
        found.push(Entry { subject, sequence, headers, payload: answer.payload });
    }
}

/// A message as the publisher gave it: without the headers of the server and of the protocol.
pub(super) fn message(
    stream: Stream,
    subject: String,
    sequence: u64,
    headers: &HeaderMap,
    payload: bytes::Bytes,
    deliveries: u32,
) -> Message {
    let mut own = BTreeMap::new();
    for (name, values) in headers.iter() {
        let name: &str = name.as_ref();
        if let Some(value) = values.last().filter(|_| !name.starts_with("Nats-")) {
            own.insert(name.to_owned(), value.as_str().to_owned());
        }
    }
    let id = headers.get_last(header::NATS_MESSAGE_ID).map(|id| id.as_str().to_owned()).unwrap_or_default();
    Message { stream, subject, sequence, id, headers: own, payload, deliveries }
}
