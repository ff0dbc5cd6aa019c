//! Reading stored messages without a consumer.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream::stream::{self, LastRawMessageErrorKind};
use async_nats::{HeaderMap, StatusCode, header};
use futures::StreamExt;
use serde::Serialize;
use tokio::time::{sleep, timeout};

use super::{Nats, failed};
use crate::subject::Filter;
use crate::{Error, Message, Stream};

/// Messages asked for at once.
const BATCH_MAX: usize = 1024;
/// Tries while a replica lags behind the leader.
const TRIES_MAX: u32 = 20;
/// How long to wait for the next message of an answer.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// Asks the leader, never a replica that may lag.
pub(super) async fn last_sequence(stream: &stream::Stream<()>, filter: &Filter) -> Result<u64, Error> {
    match stream.get_last_raw_message_by_subject(filter.as_str()).await {
        Ok(message) => Ok(message.sequence),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(0),
        Err(error) => Err(failed("ask for the last sequence", error)),
    }
}

/// Reads batches from whichever replica answers, until what the leader had at the start is there.
pub(super) async fn read(
    nats: &Nats,
    stream: Stream,
    filter: &Filter,
    after: u64,
    limit: usize,
) -> Result<Vec<Message>, Error> {
    let leader = nats.stream(stream).await?;
    let mut found: Vec<Message> = Vec::new();
    let mut target = last_sequence(&leader, filter).await?;
    let mut tries = 0;
    loop {
        let reached = found.last().map_or(after, |message| message.sequence);
        if found.len() >= limit || reached >= target {
            return Ok(found);
        }
        let batch = direct_get(nats, stream, filter, reached + 1, BATCH_MAX.min(limit - found.len())).await?;
        if !batch.is_empty() {
            found.extend(batch);
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

/// A batched direct get, see ADR-31 of the NATS architecture.
#[derive(Serialize)]
struct Request<'a> {
    seq: u64,
    next_by_subj: &'a str,
    batch: usize,
}

async fn direct_get(
    nats: &Nats,
    stream: Stream,
    filter: &Filter,
    from: u64,
    batch: usize,
) -> Result<Vec<Message>, Error> {
    let request = serde_json::to_vec(&Request { seq: from, next_by_subj: filter.as_str(), batch });
    let request = request.expect("numbers and a string are valid JSON");
    let inbox = nats.client.new_inbox();
    let mut answers = nats.client.subscribe(inbox.clone()).await.map_err(|error| failed("read", error))?;
    let subject = format!("$JS.API.DIRECT.GET.{}", stream.name());
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
                return Err(Error::Unavailable { doing: "read", source: None });
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
        let (Some(sequence), Some(subject)) = (sequence, headers.get_last(header::NATS_SUBJECT)) else {
            return Err(Error::Refused { doing: "read", source: "an answer without sequence or subject".into() });
        };
        let subject = subject.as_str().to_owned();
        found.push(message(stream, subject, sequence, &headers, answer.payload, 0));
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
