//! The bus on NATS JetStream.
//!
//! Needs a server of version 2.12 or newer: older ones ignore the filter of a fence without a word.

mod batch;
mod consumer;
mod leases;
mod prefix;
mod read;
mod room;
mod setup;
mod shelf;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, Context, stream};
use async_nats::{Client, HeaderMap, header};
use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::check::{check_publish, size_of};
use crate::subject::Filter;
use leases::Bucket;
pub use prefix::Prefix;

use crate::{Ack, Bus, Consumer, ConsumerSpec, Error, Fence, Lag, Lease, Message, Publish, Quarantine, Stream};

/// Messages that [`Bus::publish_all`] sends ahead of the oldest unanswered one.
const IN_FLIGHT_MAX: usize = 256;
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
    /// Names the installation: streams, subjects and leases on the server carry it. `argosy`.
    pub prefix: Prefix,
    /// Credentials file (JWT and seed). None.
    pub credentials_file: Option<PathBuf>,
    /// File of PEM certificates trusted in addition to the system's; turns TLS on. None.
    pub root_certificates: Option<PathBuf>,
    /// Certificate and key files of the client. None.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// Number of shards of the installation, if it is to be the same for all that use it. None: not looked at.
    pub shards: Option<u16>,
    /// Copies of each stream and of the leases: 1, 3 or 5. 1.
    pub replicas: usize,
    /// Storage of the streams. Files.
    pub storage: Storage,
    /// Largest stream in bytes; an append beyond it is refused as `Full`, see also [`crate::RESERVE_PART`]. A stream that has
    /// a larger limit already keeps it. None: the limit that the stream has, for a new one none but the server's.
    pub stream_bytes_max: Option<u64>,
    /// Most entries of the quarantine; the oldest leaves for a new one. Counts when it is made. 10,000.
    pub quarantine_entries_max: u32,
    /// Most bytes of the quarantine; the oldest entries leave for a new one. Counts when it is made. 64 MiB.
    pub quarantine_bytes_max: u32,
    /// How long an answer may take. 5 s.
    pub request_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "argosy".to_owned(),
            prefix: Prefix::default(),
            credentials_file: None,
            root_certificates: None,
            client_certificate: None,
            shards: None,
            replicas: 1,
            storage: Storage::File,
            stream_bytes_max: None,
            quarantine_entries_max: 10_000,
            quarantine_bytes_max: 64 << 20,
            request_timeout: Duration::from_secs(5),
        }
    }
}

/// The bus on a NATS server. Cloning shares the connection.
#[derive(Clone)]
pub struct Nats {
    client: Client,
    context: Context,
    shared: Arc<Shared>,
}

/// What clones share.
struct Shared {
    options: Options,
    bucket: String,
    /// Held by the one who makes lost streams anew.
    mending: Mutex<()>,
    /// How full each stream is.
    rooms: [room::Room; Stream::COUNT],
}

impl Nats {
    /// Connects, and creates or updates the streams and the bucket of leases.
    ///
    /// `url` may list servers with commas between; user, password or token go into the URL.
    /// Errors: `Unavailable` when no server answers; `Refused` when it is too old, rejects the credentials or the streams, or
    /// when the streams were made for another number of shards.
    pub async fn connect(url: &str, options: Options) -> Result<Self, Error> {
        let client = setup::connect(url, &options).await?;
        let context = jetstream::context::ContextBuilder::new().timeout(options.request_timeout).build(client.clone());
        setup::create(&context, &options).await?;
        let (bucket, rooms) = (options.prefix.bucket(), Default::default());
        let shared = Arc::new(Shared { bucket, options, mending: Mutex::new(()), rooms });
        Ok(Self { client, context, shared })
    }

    /// Connects to an installation that is there, and changes nothing of it: for tools that only look.
    ///
    /// Errors: those of [`Nats::connect`]; `Refused` when the server has no installation of this name.
    pub async fn attach(url: &str, options: Options) -> Result<Self, Error> {
        let client = setup::connect(url, &options).await?;
        let context = jetstream::context::ContextBuilder::new().timeout(options.request_timeout).build(client.clone());
        setup::find(&context, &options).await?;
        let (bucket, rooms) = (options.prefix.bucket(), Default::default());
        let shared = Arc::new(Shared { bucket, options, mending: Mutex::new(()), rooms });
        Ok(Self { client, context, shared })
    }

    fn prefix(&self) -> &Prefix {
        &self.shared.options.prefix
    }

    fn bucket(&self) -> Bucket<'_> {
        Bucket { context: &self.context, name: &self.shared.bucket }
    }

    /// Makes the streams and the bucket anew when a failure says that the server has lost them. The operation is not
    /// repeated: whoever asked for it may hold something that was lost with them.
    async fn mended<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        match result {
            Err(error) if is_lost(&error) => {
                if let Ok(_only_one) = self.shared.mending.try_lock() {
                    let lost = setup::create(&self.context, &self.shared.options).await?;
                    if !lost.is_empty() {
                        tracing::error!(?lost, "the server has lost streams, they are made anew");
                    }
                }
                Err(Error::Unavailable { doing: "use a stream that was lost", source: Some(error.into()) })
            }
            result => result,
        }
    }

    async fn stream(&self, stream: Stream) -> Result<stream::Stream<()>, Error> {
        let found = self.context.get_stream_no_info(self.prefix().stream(stream)).await;
        found.map_err(|source| Error::Refused { doing: "name a stream", source: source.into() })
    }

    async fn send(&self, message: Publish) -> Result<Sent, Error> {
        let limit = self.client.max_payload();
        check_publish(&message, limit)?;
        self.make_sure_of_room(message.stream, message.urgent).await?;
        let fence = message.expect.as_ref().map(|expect| (expect.filter.as_str(), expect.last_sequence));
        let headers = self.headers(&message, fence);
        let size = size_of(&message);
        let Publish { stream, subject, id, payload, expect, .. } = message;
        let fence = expect.map(|expect| (expect.filter, expect.last_sequence));
        let publish = PublishMessage::build().payload(payload).headers(headers);
        let mut sent = Sent { stream, subject, id, size, limit, fence, answer: None };
        match self.context.send_publish(self.prefix().wrap(&sent.subject), publish).await {
            Ok(answer) => sent.answer = Some(answer),
            Err(error) => return Err(sent.error(error)),
        }
        Ok(sent)
    }

    /// The headers of a checked message, with those that the server reads.
    fn headers(&self, message: &Publish, fence: Option<(&str, u64)>) -> HeaderMap {
        let mut all = HeaderMap::new();
        for (name, value) in &message.headers {
            all.insert(name.as_str(), value.as_str());
        }
        all.insert(header::NATS_MESSAGE_ID, message.id.as_str());
        all.insert(header::NATS_EXPECTED_STREAM, self.prefix().stream(message.stream));
        if let Some((filter, sequence)) = fence {
            all.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, sequence.to_string());
            if filter != message.subject {
                all.insert(EXPECTED_SUBJECT, self.prefix().wrap(filter));
            }
        }
        all
    }

    /// A checked filter, as the server knows it.
    fn filter(&self, stream: Stream, text: &str) -> Result<String, Error> {
        Ok(self.prefix().wrap(Filter::of(stream, text)?.as_str()))
    }

    async fn send_all(&self, messages: Vec<Publish>) -> Result<Vec<Ack>, Error> {
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

    /// The server looks at the fence before the id. An append that went through, and whose answer was lost, is the first
    /// message behind its own fence.
    async fn look_behind_fence(&self, stream: Stream, id: &str, refusal: Error) -> Result<Ack, Error> {
        let Error::Fenced { filter, expected } = &refusal else {
            return Err(refusal);
        };
        match Bus::read(self, stream, filter, *expected, 1).await?.first() {
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
            PublishErrorKind::Other if code.is_some_and(|code| is_full(code, &error)) => {
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

/// What the server, and the client on its behalf, say of a stream that is not there. No single error type carries it.
const NO_STREAM: &str = "no stream found";

/// Whether a failure means that the stream is not there.
fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Unavailable { .. } | Error::Refused { .. })
        && (mentions(error, NO_STREAM) || mentions(error, "stream not found"))
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

/// Whether an answer says that there is no room: in the stream, in what the account may have, or on the server.
fn is_full(code: ErrorCode, error: &(dyn std::error::Error + 'static)) -> bool {
    let without_doubt = [
        ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
        ErrorCode::INSUFFICIENT_RESOURCES,
        ErrorCode::STORAGE_RESOURCES_EXCEEDED,
        ErrorCode::MEMORY_RESOURCES_EXCEEDED,
    ];
    without_doubt.contains(&code) || (code == ErrorCode::STREAM_STORE_FAILED && mentions(error, "maximum"))
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
        ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
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
        let answer = async { self.send(message).await?.answer(self).await };
        self.mended(answer.await).await
    }

    async fn publish_all(&self, messages: Vec<Publish>) -> Result<Vec<Ack>, Error> {
        self.mended(self.send_all(messages).await).await
    }

    async fn append(&self, batch: Vec<Publish>, fence: Fence) -> Result<Vec<Ack>, Error> {
        self.mended(batch::append(self, batch, fence).await).await
    }

    async fn origin(&self, stream: Stream) -> Result<u64, Error> {
        self.mended(setup::origin(&self.context, &self.prefix().stream(stream)).await).await
    }

    async fn last_sequence(&self, stream: Stream, filter: &str) -> Result<u64, Error> {
        let filter = self.filter(stream, filter)?;
        self.mended(read::last_sequence(&self.stream(stream).await?, &filter).await).await
    }

    async fn read(&self, stream: Stream, filter: &str, after: u64, limit: usize) -> Result<Vec<Message>, Error> {
        let filter = self.filter(stream, filter)?;
        self.mended(read::read(self, stream, &filter, after, limit).await).await
    }

    async fn consume(&self, spec: ConsumerSpec) -> Result<Box<dyn Consumer>, Error> {
        Ok(Box::new(self.mended(consumer::open(self, spec).await).await?))
    }

    async fn forget(&self, stream: Stream, consumer: &str) -> Result<(), Error> {
        match self.stream(stream).await?.delete_consumer(consumer).await {
            Err(error) if consumer::code(&error.kind()) != Some(ErrorCode::CONSUMER_NOT_FOUND) => {
                Err(consumer::failed(&error.kind(), "remove a consumer"))
            }
            _ => Ok(()),
        }
    }

    async fn subjects(&self, stream: Stream, filter: &str) -> Result<Vec<String>, Error> {
        let filter = self.filter(stream, filter)?;
        self.mended(read::subjects(self, stream, &filter).await).await
    }

    async fn settled(&self, stream: Stream, consumer: &str) -> Result<u64, Error> {
        self.mended(consumer::settled(self, stream, consumer).await).await
    }

    async fn lag(&self, stream: Stream, consumer: &str) -> Result<Option<Lag>, Error> {
        self.mended(consumer::lag(self, stream, consumer).await).await
    }

    fn quarantine(&self) -> &dyn Quarantine {
        self
    }

    async fn older_than(&self, stream: Stream, filter: &str, age: Duration) -> Result<u64, Error> {
        let filter = self.filter(stream, filter)?;
        self.mended(read::older_than(self, stream, &filter, age).await).await
    }

    async fn purge(&self, stream: Stream, subject: &str, up_to: u64) -> Result<(), Error> {
        let filter = self.filter(stream, subject)?;
        let purge = self.stream(stream).await?.purge().filter(filter).sequence(up_to.saturating_add(1));
        let purged = self.mended(purge.await.map(drop).map_err(|error| failed("purge", error))).await;
        self.look_again(stream);
        purged
    }

    async fn acquire(&self, lease: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, Error> {
        self.mended(leases::acquire(self.bucket(), lease, holder, ttl).await).await
    }

    async fn renew(&self, lease: &Lease) -> Result<Lease, Error> {
        self.mended(leases::renew(self.bucket(), lease).await).await
    }

    async fn release(&self, lease: Lease) -> Result<(), Error> {
        self.mended(leases::release(self.bucket(), &lease).await).await
    }

    async fn held(&self, group: &str) -> Result<Vec<String>, Error> {
        self.mended(leases::held(self, self.bucket(), group).await).await
    }
}
