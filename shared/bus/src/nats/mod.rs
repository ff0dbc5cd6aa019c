//! The bus on NATS JetStream.
//!
//! Needs a server of version 2.12 or newer: older ones ignore the filter of a fence without a word.

mod consumer;
mod leases;
mod read;
mod setup;

use std::path::PathBuf;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, Context, stream};
use async_nats::{Client, HeaderMap, header};
use async_trait::async_trait;

use crate::check::check_publish;
use crate::subject::Filter;
use crate::{Ack, Bus, Consumer, ConsumerSpec, Error, Lease, Message, Publish, Stream};

/// Messages that [`Bus::publish_all`] sends ahead of the oldest unanswered one.
const IN_FLIGHT_MAX: usize = 256;
/// Room for the headers that the bus adds to a message, within the server's largest payload.
const OWN_HEADER_BYTES: usize = 256;
/// Names the subjects an expectation speaks of, when they are not just the message's own.
const EXPECTED_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";

/// Where a stream keeps its messages on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storage {
    /// In files.
    #[default]
    File,
    /// In memory, lost with the server.
    Memory,
}

/// Settings of the NATS bus.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name of the connection, shown by the server's monitoring. `argosy`.
    pub name: String,
    /// Credentials file (JWT and seed). None.
    pub credentials_file: Option<PathBuf>,
    /// File of PEM certificates trusted in addition to the system's; turns TLS on. None.
    pub root_certificates: Option<PathBuf>,
    /// Certificate and key files of the client. None.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// Copies of each stream and of the leases: 1, 3 or 5. 1.
    pub replicas: usize,
    /// Storage of the streams. Files.
    pub storage: Storage,
    /// Largest stream in bytes; an append beyond it is refused as `Full`. None: the server's limits.
    pub stream_bytes_max: Option<u64>,
    /// How long an answer may take. 5 s.
    pub request_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "argosy".to_owned(),
            credentials_file: None,
            root_certificates: None,
            client_certificate: None,
            replicas: 1,
            storage: Storage::File,
            stream_bytes_max: None,
            request_timeout: Duration::from_secs(5),
        }
    }
}

/// The bus on a NATS server. Cloning shares the connection.
#[derive(Clone)]
pub struct Nats {
    client: Client,
    context: Context,
}

impl Nats {
    /// Connects, and creates or updates the streams and the bucket of leases.
    ///
    /// `url` may list servers with commas between; user, password or token go into the URL.
    /// Errors: `Unavailable` when no server answers; `Refused` when it is too old, rejects the credentials or the streams.
    pub async fn connect(url: &str, options: Options) -> Result<Self, Error> {
        let client = setup::connect(url, &options).await?;
        let context = jetstream::context::ContextBuilder::new().timeout(options.request_timeout).build(client.clone());
        setup::create(&context, &options).await?;
        Ok(Self { client, context })
    }

    async fn stream(&self, stream: Stream) -> Result<stream::Stream<()>, Error> {
        let found = self.context.get_stream_no_info(stream.name()).await;
        found.map_err(|source| Error::Refused { doing: "name a stream", source: source.into() })
    }

    async fn send(&self, message: Publish) -> Result<Sent, Error> {
        let limit = self.client.max_payload();
        check_publish(&message, limit.saturating_sub(OWN_HEADER_BYTES))?;
        let Publish { stream, subject, id, headers, payload, expect } = message;
        let size = payload.len();
        let mut all = HeaderMap::new();
        for (name, value) in &headers {
            all.insert(name.as_str(), value.as_str());
        }
        all.insert(header::NATS_MESSAGE_ID, id.as_str());
        all.insert(header::NATS_EXPECTED_STREAM, stream.name());
        let fence = expect.map(|expect| (expect.filter, expect.last_sequence));
        if let Some((filter, sequence)) = &fence {
            all.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, sequence.to_string());
            if *filter != subject {
                all.insert(EXPECTED_SUBJECT, filter.as_str());
            }
        }
        let publish = PublishMessage::build().payload(payload).headers(all);
        let mut sent = Sent { stream, subject, id, size, limit, fence, answer: None };
        match self.context.send_publish(sent.subject.clone(), publish).await {
            Ok(answer) => sent.answer = Some(answer),
            Err(error) => return Err(sent.error(error)),
        }
        Ok(sent)
    }

    /// The server looks at the fence before the id. An append that went through, and whose answer was lost, is the first
    /// message behind its own fence.
    async fn look_behind_fence(&self, stream: Stream, id: &str, refusal: Error) -> Result<Ack, Error> {
        let Error::Fenced { filter, expected } = &refusal else {
            return Err(refusal);
        };
        match self.read(stream, filter, *expected, 1).await?.first() {
            Some(message) if message.id == id => Ok(Ack { sequence: message.sequence, duplicate: true }),
            _ => Err(refusal),
        }
    }
}

/// A message on its way.
struct Sent {
    stream: Stream,
    subject: String,
    id: String,
    size: usize,
    limit: usize,
    fence: Option<(String, u64)>,
    answer: Option<PublishAckFuture>,
}

impl Sent {
    async fn answer(mut self, nats: &Nats) -> Result<Ack, Error> {
        let answer = self.answer.take().expect("set when the message was sent");
        match answer.await {
            Ok(ack) => Ok(Ack { sequence: ack.sequence, duplicate: ack.duplicate }),
            Err(error) => {
                let (stream, id) = (self.stream, std::mem::take(&mut self.id));
                nats.look_behind_fence(stream, &id, self.error(error)).await
            }
        }
    }

    fn error(self, error: PublishError) -> Error {
        let code = error_code(&error);
        match error.kind() {
            _ if is_wrong_sequence(&error) => {
                let (filter, expected) = self.fence.unwrap_or((self.subject, 0));
                Error::Fenced { filter, expected }
            }
            kind if kind == PublishErrorKind::MaxPayloadExceeded
                || code == Some(ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM) =>
            {
                Error::TooLarge { subject: self.subject, size: self.size, limit: self.limit }
            }
            PublishErrorKind::Other if code == Some(ErrorCode::STREAM_STORE_FAILED) && mentions(&error, "maximum") => {
                Error::Full { stream: self.stream }
            }
            PublishErrorKind::Other if code.is_some_and(is_final) => {
                Error::Refused { doing: "publish", source: error.into() }
            }
            _ => Error::Unavailable { doing: "publish", source: Some(error.into()) },
        }
    }
}

/// Whether an expected sequence did not hold. Clusters have a second code for it, which the client does not know.
fn is_wrong_sequence(error: &PublishError) -> bool {
    error.kind() == PublishErrorKind::WrongLastSequence
        || error_code(error) == Some(ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT)
}

/// JetStream's own code in the chain of an error.
fn error_code(error: &(dyn std::error::Error + 'static)) -> Option<ErrorCode> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<jetstream::Error>() {
            return Some(found.error_code());
        }
        next = error.source();
    }
    None
}

fn mentions(error: &(dyn std::error::Error + 'static), word: &str) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.to_string().contains(word) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Whether an answer of the server will be the same next time. Those left out speak of elections, load or a race.
fn is_final(code: ErrorCode) -> bool {
    let passing = [
        ErrorCode::CLUSTER_NOT_AVAILABLE,
        ErrorCode::CLUSTER_NOT_LEADER,
        ErrorCode::CLUSTER_NOT_ACTIVE,
        ErrorCode::CLUSTER_NOT_ASSIGNED,
        ErrorCode::CONSUMER_OFFLINE,
        ErrorCode::STREAM_OFFLINE,
        ErrorCode::INSUFFICIENT_RESOURCES,
        ErrorCode::STORAGE_RESOURCES_EXCEEDED,
        ErrorCode::MEMORY_RESOURCES_EXCEEDED,
        ErrorCode::STREAM_STORE_FAILED,
        ErrorCode::STREAM_DUPLICATE_MESSAGE_CONFLICT,
    ];
    !passing.contains(&code)
}

/// An error of a request: refused when the server said so for good, otherwise no answer.
fn failed(doing: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    if error_code(&error).is_some_and(is_final) {
        Error::Refused { doing, source: Box::new(error) }
    } else {
        Error::Unavailable { doing, source: Some(Box::new(error)) }
    }
}

#[async_trait]
impl Bus for Nats {
    async fn publish(&self, message: Publish) -> Result<Ack, Error> {
        self.send(message).await?.answer(self).await
    }

    async fn publish_all(&self, messages: Vec<Publish>) -> Result<Vec<Ack>, Error> {
        let mut acks = Vec::with_capacity(messages.len());
        let mut in_flight = std::collections::VecDeque::new();
        for message in messages {
            let fenced = message.expect.is_some();
            let room = if fenced { 0 } else { IN_FLIGHT_MAX - 1 };
            while in_flight.len() > room {
                let oldest: Sent = in_flight.pop_front().expect("longer than zero");
                acks.push(oldest.answer(self).await?);
            }
            let sent = self.send(message).await?;
            if fenced { acks.push(sent.answer(self).await?) } else { in_flight.push_back(sent) }
        }
        for sent in in_flight {
            acks.push(sent.answer(self).await?);
        }
        Ok(acks)
    }

    async fn last_sequence(&self, stream: Stream, filter: &str) -> Result<u64, Error> {
        read::last_sequence(&self.stream(stream).await?, &Filter::of(stream, filter)?).await
    }

    async fn read(&self, stream: Stream, filter: &str, after: u64, limit: usize) -> Result<Vec<Message>, Error> {
        read::read(self, stream, &Filter::of(stream, filter)?, after, limit).await
    }

    async fn consume(&self, spec: ConsumerSpec) -> Result<Box<dyn Consumer>, Error> {
        Ok(Box::new(consumer::open(self, spec).await?))
    }

    async fn forget(&self, stream: Stream, consumer: &str) -> Result<(), Error> {
        match self.stream(stream).await?.delete_consumer(consumer).await {
            Err(error) if consumer::code(&error.kind()) != Some(ErrorCode::CONSUMER_NOT_FOUND) => {
                Err(consumer::failed(&error.kind(), "remove a consumer"))
            }
            _ => Ok(()),
        }
    }

    async fn purge(&self, stream: Stream, subject: &str, up_to: u64) -> Result<(), Error> {
        let filter = Filter::of(stream, subject)?;
        let purge = self.stream(stream).await?.purge().filter(filter.as_str()).sequence(up_to.saturating_add(1));
        purge.await.map(drop).map_err(|error| failed("purge", error))
    }

    async fn acquire(&self, lease: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, Error> {
        leases::acquire(&self.context, lease, holder, ttl).await
    }

    async fn renew(&self, lease: &Lease) -> Result<Lease, Error> {
        leases::renew(&self.context, lease).await
    }

    async fn release(&self, lease: Lease) -> Result<(), Error> {
        leases::release(&self.context, &lease).await
    }
}
