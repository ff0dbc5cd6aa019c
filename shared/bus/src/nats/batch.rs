//! Batches that are stored whole or not at all, see ADR-50 of the NATS architecture.
//!
//! What the server does (read from version 2.15, and the suite runs against it): messages of a batch are staged until the
//! one with the commit header comes; then ids and the fence are looked at, message by message, each id before the fence; one
//! that fails makes the whole batch fail. A batch that is not committed is dropped after 10 s, or at the first gap. Stored
//! messages have consecutive sequences, and the answer has that of the last. A stream with one copy stages in files of its
//! own and syncs them, so a batch costs as much as the disk takes for that; one with several copies stages in memory.
//!
//! The server refuses a batch that holds an id it knows, and does not say which. So an answer that was lost is found right
//! behind the fence; and an id that was stored at another time is found by asking for it alone, with a fence that cannot hold.

use std::time::Duration;

use async_nats::StatusCode;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::response::Response;
use futures::StreamExt;
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout_at};

use super::{Nats, failed, is_full, setup};
use crate::check::check_batch;
use crate::{Ack, Bus, Error, Fence, Publish, Stream};

const BATCH_ID: &str = "Nats-Batch-Id";
const BATCH_SEQUENCE: &str = "Nats-Batch-Sequence";
const BATCH_COMMIT: &str = "Nats-Batch-Commit";
/// A sequence that no stream reaches.
const NEVER: u64 = i64::MAX as u64;
/// Tries, each with less of the batch or after something was mended.
const ROUNDS_MAX: u32 = 6;
/// Pause when the server has too many batches in hand.
const BUSY_WAIT: Duration = Duration::from_millis(50);
/// Messages older than this are not known by their ids any more.
const IDS_KNOWN: Duration = Duration::from_secs(2 * setup::DEDUP_WINDOW.as_secs());

/// What became of a try.
enum Outcome {
    /// Stored; the last message has this sequence.
    Stored(u64),
    /// The only message was stored before, with this sequence.
    Repeated(u64),
    /// Nothing is stored: the fence does not hold.
    Fenced,
    /// Nothing is stored: at least one id is known.
    Known,
    /// Nothing is stored; the server has too many batches in hand.
    Busy,
    /// Nothing is stored: the stream takes no batches, as it was set up by an older version of this program.
    Disabled,
}

/// See [`Bus::append`].
pub(super) async fn append(nats: &Nats, batch: Vec<Publish>, fence: Fence) -> Result<Vec<Ack>, Error> {
    let Some(stream) = batch.first().map(|message| message.stream) else {
        return Ok(Vec::new());
    };
    check_batch(&batch, &fence, nats.client.max_payload())?;
    nats.make_sure_of_room(stream, batch.iter().all(|message| message.urgent)).await?;
    let mut acks: Vec<Option<Ack>> = vec![None; batch.len()];
    let mut last = fence.last;
    for round in 1.. {
        let left: Vec<usize> = (0..batch.len()).filter(|index| acks[*index].is_none()).collect();
        if left.is_empty() {
            break;
        }
        if round > ROUNDS_MAX {
            return Err(Error::Unavailable { doing: "append", source: Some("the batch was tried too often".into()) });
        }
        let messages: Vec<&Publish> = left.iter().map(|index| &batch[*index]).collect();
        let outcome = match messages.as_slice() {
            [message] => send_one(nats, message, &fence.filter, last).await?,
            messages => send(nats, messages, &fence.filter, last).await?,
        };
        match outcome {
            Outcome::Repeated(sequence) => {
                left.into_iter().for_each(|index| acks[index] = Some(Ack { sequence, duplicate: true }));
                continue;
            }
            Outcome::Stored(newest) => {
                for (sequence, index) in (1..=newest).rev().zip(left.into_iter().rev()) {
                    acks[index] = Some(Ack { sequence, duplicate: false });
                }
                continue;
            }
            Outcome::Busy => {
                sleep(BUSY_WAIT * round).await;
                continue;
            }
            Outcome::Disabled => {
                tracing::warn!(%stream, "the stream takes no batches: setting it up again");
                setup::create(&nats.context, &nats.shared.options).await?;
                continue;
            }
            Outcome::Fenced | Outcome::Known => {}
        }
        // What an earlier try of this batch has stored stands right behind the fence.
        let behind = Bus::read(nats, stream, &fence.filter, last, messages.len()).await?;
        let mut found = false;
        for ((message, index), stored) in messages.iter().zip(&left).zip(&behind) {
            if message.id != stored.id {
                break;
            }
            acks[*index] = Some(Ack { sequence: stored.sequence, duplicate: true });
            (last, found) = (stored.sequence, true);
        }
        if found {
            continue;
        }
        let is_known = known(nats, &messages, &fence.filter).await?;
        for ((message, index), _) in messages.iter().zip(&left).zip(&is_known).filter(|(_, is_known)| **is_known) {
            acks[*index] = Some(Ack { sequence: sequence_of(nats, message).await?, duplicate: true });
            found = true;
        }
        if !found && matches!(outcome, Outcome::Fenced) {
            return Err(Error::Fenced { filter: fence.filter, expected: fence.last });
        }
    }
    Ok(acks.into_iter().flatten().collect())
}

/// Sends a message by itself, which costs the server far less than a batch of one.
async fn send_one(nats: &Nats, message: &Publish, filter: &str, last: u64) -> Result<Outcome, Error> {
    let mut sent = nats.send(message.clone().expect(filter, last)).await?;
    let answer = sent.answer.take().expect("set when the message was sent");
    match answer.await {
        Ok(ack) if ack.duplicate => Ok(Outcome::Repeated(ack.sequence)),
        Ok(ack) => Ok(Outcome::Stored(ack.sequence)),
        Err(error) => match sent.error(error) {
            Error::Fenced { .. } => Ok(Outcome::Fenced),
            error => Err(error),
        },
    }
}

/// Sends the messages as one batch.
async fn send(nats: &Nats, messages: &[&Publish], filter: &str, last: u64) -> Result<Outcome, Error> {
    let inbox = nats.client.new_inbox();
    let id = inbox.rsplit('.').next().unwrap_or(&inbox).to_owned();
    let mut answers = nats.client.subscribe(inbox.clone()).await.map_err(|error| failed("append", error))?;
    for (index, message) in messages.iter().enumerate() {
        // One fence for all: nothing comes between them.
        let fence = (index == 0).then_some((filter, last));
        let mut headers = nats.headers(message, fence);
        headers.insert(BATCH_ID, id.as_str());
        headers.insert(BATCH_SEQUENCE, (index + 1).to_string());
        if index + 1 == messages.len() {
            headers.insert(BATCH_COMMIT, "1");
        }
        let subject = nats.prefix().wrap(&message.subject);
        let sent = nats.client.publish_with_reply_and_headers(subject, inbox.clone(), headers, message.payload.clone());
        sent.await.map_err(|error| failed("append", error))?;
    }
    let deadline = Instant::now() + nats.shared.options.request_timeout;
    loop {
        let next = timeout_at(deadline, answers.next()).await;
        let Ok(Some(answer)) = next else {
            return Err(Error::Unavailable { doing: "append", source: None });
        };
        // An empty answer means that a message is staged.
        if let Some(outcome) = outcome(messages, &answer)? {
            return Ok(outcome);
        }
    }
}

/// Which ids the server knows. Nothing can be stored by this: no fence holds.
async fn known(nats: &Nats, messages: &[&Publish], filter: &str) -> Result<Vec<bool>, Error> {
    let inbox = nats.client.new_inbox();
    let id = inbox.rsplit('.').next().unwrap_or(&inbox).to_owned();
    let mut answers = nats.client.subscribe(format!("{inbox}.*")).await.map_err(|error| failed("append", error))?;
    for (index, message) in messages.iter().enumerate() {
        let mut headers = nats.headers(message, Some((filter, NEVER)));
        headers.insert(BATCH_ID, format!("{id}-{index}"));
        headers.insert(BATCH_SEQUENCE, "1");
        headers.insert(BATCH_COMMIT, "1");
        let (subject, reply) = (nats.prefix().wrap(&message.subject), format!("{inbox}.{index}"));
        let sent = nats.client.publish_with_reply_and_headers(subject, reply, headers, bytes::Bytes::new());
        sent.await.map_err(|error| failed("append", error))?;
    }
    let mut known = vec![None; messages.len()];
    let deadline = Instant::now() + nats.shared.options.request_timeout;
    while known.iter().any(Option::is_none) {
        let next = timeout_at(deadline, answers.next()).await;
        let Ok(Some(answer)) = next else {
            return Err(Error::Unavailable { doing: "append", source: None });
        };
        let place = answer.subject.rsplit('.').next().and_then(|index| index.parse::<usize>().ok());
        let Some(place) = place.and_then(|index| known.get_mut(index)) else { continue };
        match outcome(messages, &answer)? {
            Some(Outcome::Known) => *place = Some(true),
            Some(Outcome::Fenced) => *place = Some(false),
            Some(Outcome::Busy | Outcome::Disabled) | None => {
                return Err(Error::Unavailable { doing: "append", source: None });
            }
            Some(Outcome::Stored(sequence) | Outcome::Repeated(sequence)) => {
                let source = format!("a message whose fence cannot hold was stored as {sequence}");
                return Err(Error::Refused { doing: "append", source: source.into() });
            }
        }
    }
    Ok(known.into_iter().map(|known| known == Some(true)).collect())
}

/// Where the first copy of a message is stored; 0 when it is no longer.
async fn sequence_of(nats: &Nats, message: &Publish) -> Result<u64, Error> {
    let after = nats.older_than(message.stream, &message.subject, IDS_KNOWN).await?;
    let stored = Bus::read(nats, message.stream, &message.subject, after, usize::MAX).await?;
    Ok(stored.iter().find(|stored| stored.id == message.id).map_or(0, |stored| stored.sequence))
}

/// The server's word on a batch.
#[derive(Deserialize)]
struct Stored {
    seq: u64,
}

/// What an answer says; `None` when it says only that a message is staged.
fn outcome(messages: &[&Publish], answer: &async_nats::Message) -> Result<Option<Outcome>, Error> {
    if answer.status == Some(StatusCode::NO_RESPONDERS) {
        return Err(Error::Unavailable { doing: "append", source: Some(super::NO_STREAM.into()) });
    }
    if answer.payload.is_empty() {
        return Ok(None);
    }
    let error = match serde_json::from_slice::<Response<Stored>>(&answer.payload) {
        Ok(Response::Ok(stored)) => return Ok(Some(Outcome::Stored(stored.seq))),
        Ok(Response::Err { error }) => error,
        Err(error) => return Err(Error::Unavailable { doing: "append", source: Some(error.into()) }),
    };
    let first = messages.first().map_or((String::new(), Stream::Events), |first| (first.subject.clone(), first.stream));
    let size = || messages.iter().map(|message| crate::check::size_of(message)).sum::<usize>();
    match error.error_code() {
        ErrorCode::STREAM_WRONG_LAST_SEQUENCE | ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT => {
            Ok(Some(Outcome::Fenced))
        }
        ErrorCode::ATOMIC_PUBLISH_CONTAINS_DUPLICATE_MESSAGE => Ok(Some(Outcome::Known)),
        ErrorCode::ATOMIC_PUBLISH_TOO_MANY_INFLIGHT => Ok(Some(Outcome::Busy)),
        ErrorCode::ATOMIC_PUBLISH_DISABLED => Ok(Some(Outcome::Disabled)),
        ErrorCode::ATOMIC_PUBLISH_TOO_LARGE_BATCH => {
            let limit = error.to_string();
            Err(Error::BatchTooLarge { messages: messages.len(), bytes: size(), limit })
        }
        // A gap: something was lost on the way, or the batch lay for too long.
        ErrorCode::ATOMIC_PUBLISH_INCOMPLETE_BATCH => {
            Err(Error::Unavailable { doing: "append", source: Some(error.into()) })
        }
        ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM => {
            let largest = messages.iter().map(|message| crate::check::size_of(message)).max().unwrap_or(0);
            Err(Error::TooLarge { subject: first.0, size: largest, limit: largest })
        }
        code if is_full(code, &error) => Err(Error::Full { stream: first.1 }),
        _ => Err(failed("append", error)),
    }
}
