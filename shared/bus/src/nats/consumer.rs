//! Durable pull consumers.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::pull::{BatchConfig, Config};
use async_nats::jetstream::consumer::{AckPolicy, Consumer as PullConsumer, DeliverPolicy};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::{ConsumerCreateStrictErrorKind, ConsumerErrorKind};
use async_nats::jetstream::{self, AckKind, message::Acker};
use async_nats::{HeaderMap, StatusCode, Subscriber};
use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Nats, is_final, read};
use crate::check::{OTHER_FILTER, OVERLAP, check_consumer};
use crate::{Consumer, ConsumerSpec, Deliver, Delivery, Error, Lag, Message, Settle, Stream, Verdict};

/// How long the server keeps a request for messages.
const PULL_EXPIRES: Duration = Duration::from_secs(30);
/// The server shows this often that it still knows the request.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How often a waiting handle looks whether the connection was made anew, which drops its request.
const CONNECTION_CHECK: Duration = Duration::from_millis(500);
/// First pause after a hiccup; it doubles with each that follows without a message between them.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Tries against others who create and remove the same consumer.
const RACES_MAX: u32 = 4;
/// How long a closing handle waits for what is on its way.
const CLOSE_WAIT: Duration = Duration::from_secs(1);
/// Most messages of one request.
const PULL_MAX: usize = 512;

pub(super) struct Handle {
    nats: Nats,
    stream: Stream,
    name: String,
    consumer: PullConsumer<Config>,
    inbox: String,
    answers: Subscriber,
    max_ack_pending: usize,
    /// Messages requested and not yet come.
    outstanding: usize,
    /// Last sign of life of the request.
    heard: Instant,
    /// Number of the connection the request was sent on.
    connection: u64,
    /// Whether `answers` has ended, with the connection or by a close.
    is_closed: bool,
    /// Hiccups of the bus that were waited out.
    hiccups: u64,
    /// Those since the last sign of life.
    in_a_row: u32,
    /// After a hiccup: when to ask again, and first whether the consumer is still there.
    again_at: Option<Instant>,
}

/// Opens the durable consumer, creating or updating it.
pub(super) async fn open(nats: &Nats, spec: ConsumerSpec) -> Result<Handle, Error> {
    let filter = nats.prefix().wrap(check_consumer(&spec)?.as_str());
    let conflict = |reason| Error::ConsumerConflict { stream: spec.stream, name: spec.name.clone(), reason };
    let stream = nats.stream(spec.stream).await?;
    let mut tries = 0;
    let consumer = loop {
        tries += 1;
        if tries > RACES_MAX {
            return Err(Error::Unavailable { doing: "open a consumer", source: None });
        }
        match stream.consumer_info(&spec.name).await {
            Ok(info) if info.config.filter_subject != filter => {
                return Err(conflict(OTHER_FILTER));
            }
            Ok(info) => {
                let mut config = wanted(&spec, &filter);
                config.deliver_policy = info.config.deliver_policy;
                if info.config.ack_wait == config.ack_wait && info.config.max_ack_pending == config.max_ack_pending {
                    break PullConsumer::new(config, info, nats.context.clone());
                }
                match stream.update_consumer(config).await {
                    Ok(consumer) => break consumer,
                    Err(error) => return Err(super::failed("update a consumer", error)),
                }
            }
            // A cluster that has just removed a consumer may give no answer.
            Err(error) if matches!(error.kind(), ConsumerInfoErrorKind::NotFound | ConsumerInfoErrorKind::TimedOut) => {
            }
            Err(error) => return Err(super::failed("look for a consumer", error)),
        }
        match stream.create_consumer_strict(wanted(&spec, &filter)).await {
            Ok(consumer) => break consumer,
            Err(error) => match error.kind() {
                ConsumerCreateStrictErrorKind::AlreadyExists => {}
                ConsumerCreateStrictErrorKind::JetStream(answer) => match answer.error_code() {
                    ErrorCode::CONSUMER_WQ_CONSUMER_NOT_UNIQUE | ErrorCode::CONSUMER_WQ_MULTIPLE_UNFILTERED => {
                        return Err(conflict(OVERLAP));
                    }
                    ErrorCode::CONSUMER_ALREADY_EXISTS | ErrorCode::CONSUMER_NAME_EXIST => {}
                    code if is_final(code) => {
                        return Err(Error::Refused { doing: "create a consumer", source: answer.into() });
                    }
                    _ => {
                        return Err(Error::Unavailable { doing: "create a consumer", source: Some(answer.into()) });
                    }
                },
                _ => return Err(super::failed("create a consumer", error)),
            },
        }
    };
    let inbox = nats.client.new_inbox();
    let answers =
        nats.client.subscribe(inbox.clone()).await.map_err(|error| super::failed("open a consumer", error))?;
    let (stream, name, max_ack_pending) = (spec.stream, spec.name, spec.max_ack_pending);
    let nats = nats.clone();
    let heard = Instant::now();
    Ok(Handle {
        nats,
        stream,
        name,
        consumer,
        inbox,
        answers,
        max_ack_pending,
        outstanding: 0,
        heard,
        connection: 0,
        is_closed: false,
        hiccups: 0,
        in_a_row: 0,
        again_at: None,
    })
}

fn wanted(spec: &ConsumerSpec, filter: &str) -> Config {
    Config {
        durable_name: Some(spec.name.clone()),
        deliver_policy: match spec.deliver {
            Deliver::All => DeliverPolicy::All,
            Deliver::New => DeliverPolicy::New,
            Deliver::After(sequence) => DeliverPolicy::ByStartSequence { start_sequence: sequence.saturating_add(1) },
        },
        ack_policy: AckPolicy::Explicit,
        ack_wait: spec.ack_wait,
        max_deliver: -1,
        filter_subject: filter.to_owned(),
        max_ack_pending: i64::try_from(spec.max_ack_pending).unwrap_or(i64::MAX),
        ..Config::default()
    }
}

/// How far the consumer is, without a gap.
pub(super) async fn settled(nats: &Nats, stream: Stream, name: &str) -> Result<u64, Error> {
    match nats.stream(stream).await?.consumer_info(name).await {
        Ok(info) => Ok(info.ack_floor.stream_sequence),
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(0),
        Err(error) => Err(super::failed("ask how far a consumer is", error)),
    }
}

/// What the consumer has not dealt with.
pub(super) async fn lag(nats: &Nats, stream: Stream, name: &str) -> Result<Option<Lag>, Error> {
    match nats.stream(stream).await?.consumer_info(name).await {
        Ok(info) => {
            let unacknowledged = u64::try_from(info.num_ack_pending).unwrap_or(u64::MAX);
            Ok(Some(Lag { pending: info.num_pending, unacknowledged }))
        }
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
        Err(error) => Err(super::failed("ask how much a consumer has to do", error)),
    }
}

/// JetStream's code of a consumer error.
pub(super) fn code(kind: &ConsumerErrorKind) -> Option<ErrorCode> {
    match kind {
        ConsumerErrorKind::JetStream(answer) => Some(answer.error_code()),
        _ => None,
    }
}

/// A consumer error as ours.
pub(super) fn failed(kind: &ConsumerErrorKind, doing: &'static str) -> Error {
    match kind {
        ConsumerErrorKind::JetStream(answer) if is_final(answer.error_code()) => {
            Error::Refused { doing, source: answer.clone().into() }
        }
        other => Error::Unavailable { doing, source: Some(other.to_string().into()) },
    }
}

/// What came on the inbox.
enum Answer {
    Delivery(Box<Delivery>),
    /// A word about the request itself.
    Status,
    /// The bus is not well, or was not.
    Hiccup(String),
}

impl Handle {
    async fn wait(&mut self, max: usize, deadline: Option<Instant>) -> Result<Vec<Delivery>, Error> {
        loop {
            let found = self.take_what_came(max)?;
            let now = Instant::now();
            if !found.is_empty() || deadline.is_some_and(|deadline| now >= deadline) {
                return Ok(found);
            }
            let asked = match deadline {
                Some(deadline) => timeout_at(deadline, self.request(max, now)).await.unwrap_or(Ok(())),
                None => self.request(max, now).await,
            };
            asked?;
            let check = Instant::now() + CONNECTION_CHECK;
            let until = [Some(check), deadline, self.again_at].into_iter().flatten().min().unwrap_or(check);
            if self.is_closed {
                sleep_until(until).await;
                continue;
            }
            if let Ok(next) = timeout_at(until, self.answers.next()).await
                && let Some(delivery) = self.take(next)?
            {
                let mut found = vec![delivery];
                found.extend(self.take_what_came(max - 1)?);
                return Ok(found);
            }
        }
    }

    /// Deliveries that are here already.
    fn take_what_came(&mut self, max: usize) -> Result<Vec<Delivery>, Error> {
        let mut found = Vec::new();
        while found.len() < max
            && !self.is_closed
            && let Some(next) = self.answers.next().now_or_never()
        {
            match self.take(next) {
                Ok(delivery) => found.extend(delivery),
                Err(error) if found.is_empty() => return Err(error),
                // What was found is not lost for it; the next call meets it again, or is spared it.
                Err(error) => {
                    tracing::warn!(consumer = self.name, error = &error as &dyn std::error::Error, "a delivery failed");
                    break;
                }
            }
        }
        Ok(found)
    }

    fn take(&mut self, answer: Option<async_nats::Message>) -> Result<Option<Delivery>, Error> {
        match self.read(answer)? {
            Answer::Delivery(delivery) => Ok(Some(*delivery)),
            Answer::Status => Ok(None),
            Answer::Hiccup(reason) => {
                self.hiccup(&reason);
                Ok(None)
            }
        }
    }

    /// Counts a hiccup, and lets some time pass before the next request.
    fn hiccup(&mut self, reason: &str) {
        let pause = PAUSE_MIN * (1 << self.in_a_row.min(10));
        (self.outstanding, self.again_at) = (0, Some(Instant::now() + pause.min(PAUSE_MAX)));
        (self.hiccups, self.in_a_row) = (self.hiccups + 1, self.in_a_row.saturating_add(1));
        if self.in_a_row == 1 {
            tracing::warn!(consumer = self.name, stream = %self.stream, reason, "the bus has a hiccup, waiting it out");
        } else {
            tracing::debug!(consumer = self.name, stream = %self.stream, reason, "the bus still has a hiccup");
        }
    }

    /// Asks the server for messages, unless it has a living request or a hiccup is waited out.
    async fn request(&mut self, max: usize, now: Instant) -> Result<(), Error> {
        let connection = self.nats.client.statistics().connects.load(Ordering::Relaxed);
        if self.outstanding > 0 {
            if connection != self.connection {
                self.hiccup("the connection was made anew");
            } else if now.duration_since(self.heard) > HEARTBEAT * 2 {
                self.hiccup("the server shows no sign of life");
            } else {
                return Ok(());
            }
        }
        if let Some(at) = self.again_at {
            if Instant::now() < at {
                return Ok(());
            }
            if self.is_closed {
                match self.nats.client.subscribe(self.inbox.clone()).await {
                    Ok(answers) => (self.answers, self.is_closed) = (answers, false),
                    Err(error) => {
                        self.hiccup(&error.to_string());
                        return Ok(());
                    }
                }
            }
            if !self.is_there().await? {
                return Ok(());
            }
            self.again_at = None;
        }
        let batch = max.min(self.max_ack_pending).min(PULL_MAX);
        let request =
            BatchConfig { batch, expires: Some(PULL_EXPIRES), idle_heartbeat: HEARTBEAT, ..BatchConfig::default() };
        match self.consumer.request_batch(request, self.inbox.as_str().into()).await {
            Ok(()) => (self.outstanding, self.heard, self.connection) = (batch, Instant::now(), connection),
            Err(error) => self.hiccup(&error.to_string()),
        }
        Ok(())
    }

    /// After a hiccup: whether the consumer is there and can be asked. Errors: `ConsumerGone`.
    async fn is_there(&mut self) -> Result<bool, Error> {
        let found = async {
            let stream = self.nats.stream(self.stream).await?;
            match stream.consumer_info(&self.name).await {
                Ok(_) => Ok(true),
                Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(false),
                Err(error) => Err(super::failed("look for a consumer", error)),
            }
        };
        let found = found.await;
        let is_lost = found.as_ref().is_err_and(super::is_lost);
        // A stream that was lost is made anew, and its consumers are gone.
        match self.nats.mended(found).await {
            Ok(true) => Ok(true),
            Ok(false) => Err(self.gone()),
            Err(_) if is_lost => Err(self.gone()),
            Err(error) => {
                self.hiccup(&error.to_string());
                Ok(false)
            }
        }
    }

    fn gone(&self) -> Error {
        Error::ConsumerGone { stream: self.stream, name: self.name.clone() }
    }

    fn read(&mut self, answer: Option<async_nats::Message>) -> Result<Answer, Error> {
        let Some(message) = answer else {
            self.is_closed = true;
            return Ok(Answer::Hiccup("the subscription has ended".to_owned()));
        };
        self.heard = Instant::now();
        match message.status {
            None | Some(StatusCode::OK) => {
                (self.outstanding, self.in_a_row) = (self.outstanding.saturating_sub(1), 0);
                self.delivery(message).map(|delivery| Answer::Delivery(Box::new(delivery)))
            }
            Some(StatusCode::IDLE_HEARTBEAT) => {
                self.in_a_row = 0;
                Ok(Answer::Status)
            }
            // The request is over: its time has passed, or there was nothing.
            Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) => {
                self.outstanding = 0;
                Ok(Answer::Status)
            }
            Some(status) => {
                let text = message.description.unwrap_or_default();
                if text.eq_ignore_ascii_case("consumer deleted") {
                    return Err(self.gone());
                }
                // An election, a server that stops, no server that feels responsible, or too many requests.
                Ok(Answer::Hiccup(format!("{status} {text}")))
            }
        }
    }

    fn delivery(&self, message: async_nats::Message) -> Result<Delivery, Error> {
        let message = jetstream::Message { message, context: self.nats.context.clone() };
        let (sequence, deliveries) = match message.info() {
            Ok(info) => (info.stream_sequence, u32::try_from(info.delivered).unwrap_or(u32::MAX)),
            Err(source) => {
                return Err(Error::Refused { doing: "read a delivery", source });
            }
        };
        let (message, acker) = message.split();
        let headers = message.headers.unwrap_or_else(HeaderMap::new);
        let subject = self.nats.prefix().strip(&message.subject);
        let message: Message = read::message(self.stream, subject, sequence, &headers, message.payload, deliveries);
        Ok(Delivery::new(message, Box::new(Receipt(acker))))
    }
}

#[async_trait]
impl Consumer for Handle {
    async fn next(&mut self) -> Result<Delivery, Error> {
        let mut deliveries = self.wait(1, None).await?;
        Ok(deliveries.pop().expect("without a deadline the wait ends with a delivery"))
    }

    async fn next_batch(&mut self, max: usize, wait: Duration) -> Result<Vec<Delivery>, Error> {
        self.wait(max.max(1), Some(Instant::now() + wait)).await
    }

    async fn close(&mut self) -> Result<(), Error> {
        // Without a listener the server forgets the request; what is on its way still arrives.
        let failed = |error| super::failed("close a consumer", error);
        self.answers.drain().await.map_err(failed)?;
        self.outstanding = 0;
        let deadline = Instant::now() + CLOSE_WAIT;
        while let Ok(Some(message)) = timeout_at(deadline, self.answers.next()).await {
            if let Ok(Answer::Delivery(delivery)) = self.read(Some(message)) {
                delivery.nak(Duration::ZERO).await?;
            }
        }
        Ok(())
    }

    fn hiccups(&self) -> u64 {
        self.hiccups
    }
}

/// Sends verdicts without waiting for an answer: a lost one means a redelivery.
struct Receipt(Acker);

#[async_trait]
impl Settle for Receipt {
    async fn settle(&self, verdict: Verdict) -> Result<(), Error> {
        let kind = match verdict {
            Verdict::Ack => AckKind::Ack,
            Verdict::Nak(delay) => AckKind::Nak((!delay.is_zero()).then_some(delay)),
            Verdict::Term => AckKind::Term,
            Verdict::InProgress => AckKind::Progress,
        };
        let sent = self.0.ack_with(kind).await;
        sent.map_err(|source| Error::Unavailable { doing: "acknowledge", source: Some(source) })
    }
}
