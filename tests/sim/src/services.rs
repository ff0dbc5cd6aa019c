//! Services that crash and come back. Each incarnation sees bus and API through a gate of its own.

use std::{sync::Arc, time::Duration};

use argosy_actor::{Clock, Failure, Host};
use argosy_api::message::{Observed, ObservedMessage};
use argosy_apiserver::Server;
use argosy_bus::{
    Ack, Bus, Consumer, ConsumerSpec, Delivery, Error, Fence, Lag, Lease, Message, Publish, Quarantine, Settle, Stream,
    Verdict, subject,
};
use async_trait::async_trait;
use axum::{
    Json, Router,
    extract::Request,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use parking_lot::Mutex;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{
    faults::{Faults, PodName, RequestFault},
    gate::{Crash, Gate, Plant},
    random::Random,
};

/// Which service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Watcher,
    Scheduler,
    PodRunner,
    Status,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Watcher, Self::Scheduler, Self::PodRunner, Self::Status];

    /// As it stands in names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Watcher => "watcher",
            Self::Scheduler => "scheduler",
            Self::PodRunner => "pod-runner",
            Self::Status => "status",
        }
    }
}

/// What a service is started with, again and again.
pub struct Replica {
    pub role: Role,
    pub number: usize,
    pub bus: Arc<dyn Bus>,
    pub server: Server,
    pub clock: Clock,
    pub shards: u16,
    pub faults: Arc<Faults>,
    /// Of the first incarnation.
    pub crash: Option<Crash>,
    pub plant: Option<Plant>,
    /// Writes of all incarnations.
    pub writes: Arc<Mutex<Vec<Writes>>>,
    pub broken: Arc<Mutex<Vec<String>>>,
    /// Out of which it comes and goes, in order, while there are faults.
    pub comes_and_goes: Option<Random>,
}

/// What one incarnation wrote.
#[derive(Clone, Copy, Debug)]
pub struct Writes {
    pub role: Role,
    /// To the bus and to the API.
    pub all: u64,
    pub to_api: u64,
}

/// From a crash to the next incarnation.
const RESTART: Duration = Duration::from_millis(700);

impl Replica {
    /// Runs incarnation after incarnation until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut crash = self.crash;
        for incarnation in 0_u64.. {
            let name = format!("{}-{}.{incarnation}", self.role.name(), self.number);
            let gate = Arc::new(Gate::new(name.clone(), crash.take(), self.plant, Arc::clone(&self.faults)));
            let own = shutdown.child_token();
            let mut task = tokio::spawn(self.service(&gate, own.clone()));
            let mut is_leaving = false;
            let ended = loop {
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => break None,
                    () = gate.died() => break None,
                    ended = &mut task => break Some(ended),
                    () = self.time_to_go(), if !is_leaving => {
                        self.faults.note(&format!("{name} goes"));
                        is_leaving = true;
                        own.cancel();
                    }
                }
            };
            gate.close();
            task.abort();
            self.writes.lock().push(Writes { role: self.role, all: gate.writes(), to_api: gate.api_writes() });
            match ended {
                Some(Ok(Ok(()))) if is_leaving => {}
                None => {}
                Some(Err(error)) if error.is_panic() => self.broken.lock().push(format!("{name} panicked: {error}")),
                Some(Ok(Ok(())) | Err(_)) => self.broken.lock().push(format!("{name} ended by itself")),
                Some(Ok(Err(error))) => self.broken.lock().push(format!("{name} failed: {error}")),
            }
            if shutdown.is_cancelled() {
                return;
            }
            let away = self.comes_and_goes.as_ref().filter(|_| is_leaving).map(|random| random.millis(200, 15_000));
            tokio::time::sleep(away.unwrap_or(RESTART)).await;
        }
    }

    /// Waits until this incarnation is to leave in order; never, without faults.
    async fn time_to_go(&self) {
        if let Some(random) = &self.comes_and_goes
            && self.faults.are_on()
        {
            tokio::time::sleep(random.millis(3_000, 40_000)).await;
            if self.faults.are_on() {
                return;
            }
        }
        std::future::pending().await
    }

    fn service(
        &self,
        gate: &Arc<Gate>,
        shutdown: CancellationToken,
    ) -> impl Future<Output = Result<(), Failure>> + Send + use<> {
        let bus = GatedBus { bus: Arc::clone(&self.bus), gate: Arc::clone(gate) };
        let host = Host { clock: self.clock, ..Host::new(Arc::new(bus), gate.name.clone(), self.shards) };
        let client = gated_client(&self.server, gate);
        let role = self.role;
        async move {
            match role {
                Role::Watcher => {
                    Ok(argosy_watcher::Service::new(host, client, Default::default()).run(shutdown).await?)
                }
                Role::Scheduler => {
                    let config = argosy_engine::Config::default();
                    argosy_scheduler::Service::new(host, client, config, Default::default()).run(shutdown).await
                }
                Role::PodRunner => {
                    argosy_pod_runner::Service::new(host, client, Default::default()).run(shutdown).await
                }
                Role::Status => argosy_status::Service::new(host, client, Default::default()).run(shutdown).await,
            }
        }
    }
}

/// A client of the API whose requests pass the gate.
fn gated_client(server: &Server, gate: &Arc<Gate>) -> kube::Client {
    let (inner, gate) = (server.router(), Arc::clone(gate));
    let router = Router::new().fallback(move |request: Request| {
        let (inner, gate) = (inner.clone(), Arc::clone(&gate));
        async move { pass(&gate, inner, request).await }
    });
    kube::Client::new(router, "argo")
}

async fn pass(gate: &Arc<Gate>, inner: Router, request: Request) -> Response {
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let is_watch = request.uri().query().is_some_and(|q| q.contains("watch=true") || q.contains("watch=1"));
    let fault = gate.faults().request(&gate.name, &method, &path, is_watch);
    match fault {
        RequestFault::None | RequestFault::LostAnswer => {}
        RequestFault::Refused => {
            return gate.read(async { failure(503, "ServiceUnavailable") }).await;
        }
        RequestFault::Conflict => return gate.read(async { failure(409, "Conflict") }).await,
        RequestFault::DroppedWatch => {
            return gate.read(async { StatusCode::OK.into_response() }).await;
        }
    }
    let is_write = method != "GET";
    if is_write {
        gate.count_api_write();
    }
    let (created, request) = if method == "POST" { created_pod(&path, request).await } else { (None, request) };
    let own = Arc::clone(gate);
    let answer = async move {
        match own.plant {
            Some(plant) if is_write => planted(&own, plant, inner, request).await,
            Some(_) | None => serve(inner, request).await,
        }
    };
    let response = if is_write {
        gate.create(&format!("{method} {path}"), created, answer).await
    } else {
        gate.read(answer).await
    };
    if fault == RequestFault::LostAnswer { failure(500, "InternalError") } else { response }
}

/// Which pod a request creates, if it does.
async fn created_pod(path: &str, request: Request) -> (Option<PodName>, Request) {
    let Some(namespace) = path.strip_prefix("/api/v1/namespaces/").and_then(|rest| rest.strip_suffix("/pods")) else {
        return (None, request);
    };
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let pod: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    (Some(PodName { namespace: namespace.to_owned(), name }), Request::from_parts(parts, body.into()))
}

async fn serve(inner: Router, request: Request) -> Response {
    match inner.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// A write under a planted bug.
async fn planted(gate: &Gate, plant: Plant, inner: Router, request: Request) -> Response {
    let is_pod = request.uri().path().contains("/pods");
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let with = |body: Vec<u8>| Request::from_parts(parts.clone(), body.into());
    match (plant, parts.method.as_str()) {
        (Plant::KeepsPods, "DELETE") if is_pod => Json(json!({"kind": "Status", "status": "Success"})).into_response(),
        (Plant::LeavesFinalizer, "POST") if is_pod => {
            let mut pod: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            pod["metadata"]["finalizers"] = json!(["workflows.argoproj.io/status"]);
            serve(inner, with(pod.to_string().into())).await
        }
        (Plant::WrongAccount, "POST") if is_pod => {
            let mut pod: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            pod["spec"]["serviceAccountName"] = json!("root");
            serve(inner, with(pod.to_string().into())).await
        }
        (Plant::RecreatesPods, "POST") if is_pod => {
            let (again, path) = (with(body.to_vec()), parts.uri.path().to_owned());
            let name =
                serde_json::from_slice::<serde_json::Value>(&body).unwrap_or_default()["metadata"]["name"].clone();
            let one = format!("{path}/{}", name.as_str().unwrap_or_default());
            tokio::spawn(recreate(inner.clone(), one, again));
            serve(inner, with(body.to_vec())).await
        }
        (Plant::WritesTwice, _) => {
            gate.count_api_write();
            let response = serve(inner.clone(), with(body.to_vec())).await;
            serve(inner, with(body.to_vec())).await;
            response
        }
        _ => serve(inner, with(body.to_vec())).await,
    }
}

/// Creates a pod anew once it is gone.
async fn recreate(inner: Router, path: String, again: Request) {
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let get = Request::get(path.as_str()).body(axum::body::Body::empty()).unwrap_or_default();
        if serve(inner.clone(), get).await.status() == StatusCode::NOT_FOUND {
            break;
        }
    }
    serve(inner, again).await;
}

fn failure(code: u16, reason: &str) -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code, "message": "planned"});
    (StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Json(status)).into_response()
}

/// The bus behind a gate. Every message is a write of its own.
struct GatedBus {
    bus: Arc<dyn Bus>,
    gate: Arc<Gate>,
}

#[async_trait]
impl Bus for GatedBus {
    async fn publish(&self, message: Publish) -> Result<Ack, Error> {
        let what = format!("publish {} {}", message.stream, message.id);
        if self.gate.plant == Some(Plant::LosesReports) && tells_an_end(&message) {
            // The planted bug: the answer of the last message that got through.
            let sequence = self.bus.last_sequence(message.stream, &subject::of_stream(message.stream)).await?;
            return Ok(Ack { sequence, duplicate: false });
        }
        let bus = Arc::clone(&self.bus);
        self.gate.write(&what, async move { bus.publish(message).await }).await
    }

    async fn publish_all(&self, messages: Vec<Publish>) -> Result<Vec<Ack>, Error> {
        let mut acks = Vec::with_capacity(messages.len());
        for message in messages {
            acks.push(self.publish(message).await?);
        }
        Ok(acks)
    }

    /// A batch is one write: it is stored whole or not at all.
    async fn append(&self, batch: Vec<Publish>, fence: Fence) -> Result<Vec<Ack>, Error> {
        let ids: Vec<&str> = batch.iter().map(|message| message.id.as_str()).collect();
        let what = format!("append {}", ids.join(" "));
        let bus = Arc::clone(&self.bus);
        self.gate.write(&what, async move { bus.append(batch, fence).await }).await
    }

    async fn origin(&self, stream: Stream) -> Result<u64, Error> {
        self.gate.read(self.bus.origin(stream)).await
    }

    async fn last_sequence(&self, stream: Stream, filter: &str) -> Result<u64, Error> {
        self.gate.read(self.bus.last_sequence(stream, filter)).await
    }

    async fn read(&self, stream: Stream, filter: &str, after: u64, limit: usize) -> Result<Vec<Message>, Error> {
        self.gate.read(self.bus.read(stream, filter, after, limit)).await
    }

    async fn consume(&self, spec: ConsumerSpec) -> Result<Box<dyn Consumer>, Error> {
        let consumer = self.gate.read(self.bus.consume(spec)).await?;
        Ok(Box::new(GatedConsumer { consumer, gate: Arc::clone(&self.gate) }))
    }

    async fn forget(&self, stream: Stream, consumer: &str) -> Result<(), Error> {
        self.gate.read(self.bus.forget(stream, consumer)).await
    }

    async fn subjects(&self, stream: Stream, filter: &str) -> Result<Vec<String>, Error> {
        self.gate.read(self.bus.subjects(stream, filter)).await
    }

    async fn settled(&self, stream: Stream, consumer: &str) -> Result<u64, Error> {
        self.gate.read(self.bus.settled(stream, consumer)).await
    }

    async fn lag(&self, stream: Stream, consumer: &str) -> Result<Option<Lag>, Error> {
        self.gate.read(self.bus.lag(stream, consumer)).await
    }

    fn quarantine(&self) -> &dyn Quarantine {
        self.bus.quarantine()
    }

    async fn older_than(&self, stream: Stream, filter: &str, age: Duration) -> Result<u64, Error> {
        self.gate.read(self.bus.older_than(stream, filter, age)).await
    }

    async fn purge(&self, stream: Stream, subject: &str, up_to: u64) -> Result<(), Error> {
        let (bus, own) = (Arc::clone(&self.bus), subject.to_owned());
        let purge = async move { bus.purge(stream, &own, up_to).await };
        self.gate.write(&format!("purge {subject} up to {up_to}"), purge).await
    }

    async fn acquire(&self, lease: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, Error> {
        self.gate.read(self.bus.acquire(lease, holder, ttl)).await
    }

    async fn renew(&self, lease: &Lease) -> Result<Lease, Error> {
        let renewed = self.gate.read(self.bus.renew(lease)).await?;
        if self.gate.faults().loses_lease(&renewed.name, &renewed.holder) {
            // As when somebody deletes it: another may have it now, and its holder learns so when it renews next.
            self.bus.release(renewed.clone()).await?;
        }
        Ok(renewed)
    }

    async fn release(&self, lease: Lease) -> Result<(), Error> {
        self.gate.read(self.bus.release(lease)).await
    }

    async fn held(&self, group: &str) -> Result<Vec<String>, Error> {
        self.gate.read(self.bus.held(group)).await
    }
}

/// Whether the pod-runner says that a pod has ended, and nobody asked.
fn tells_an_end(message: &Publish) -> bool {
    let Ok(observed) = serde_json::from_slice::<ObservedMessage>(&message.payload) else { return false };
    let is_asked = [":check:", ":confirm:", ":exists:"].iter().any(|mark| message.id.contains(mark));
    match observed.body {
        Observed::PodChanged { pod } => !is_asked && pod.has_ended(),
        _ => false,
    }
}

struct GatedConsumer {
    consumer: Box<dyn Consumer>,
    gate: Arc<Gate>,
}

async fn gated(gate: &Arc<Gate>, delivery: Delivery) -> Delivery {
    let message = delivery.message.clone();
    let what = format!("{} {}", message.stream, message.id);
    let is_early = match gate.plant {
        Some(Plant::AckBeforePublish) => message.stream == Stream::Observed,
        Some(Plant::AckBeforeWrite) => message.stream == Stream::Events,
        Some(_) | None => false,
    };
    if is_early {
        // The planted bug: what follows from the event may now be lost.
        let _ = gate.write(&format!("ack (too early) {what}"), delivery.ack()).await;
        return Delivery::new(message, Box::new(Settled));
    }
    Delivery::new(message, Box::new(GatedSettle { delivery: Mutex::new(Some(delivery)), what, gate: Arc::clone(gate) }))
}

#[async_trait]
impl Consumer for GatedConsumer {
    async fn next(&mut self) -> Result<Delivery, Error> {
        let delivery = self.gate.read(self.consumer.next()).await?;
        Ok(gated(&self.gate, delivery).await)
    }

    async fn next_batch(&mut self, max: usize, wait: Duration) -> Result<Vec<Delivery>, Error> {
        let batch = self.gate.read(self.consumer.next_batch(max, wait)).await?;
        let mut passed = Vec::with_capacity(batch.len());
        for delivery in batch {
            passed.push(gated(&self.gate, delivery).await);
        }
        Ok(passed)
    }

    async fn close(&mut self) -> Result<(), Error> {
        self.gate.read(self.consumer.close()).await
    }

    fn hiccups(&self) -> u64 {
        self.consumer.hiccups()
    }
}

/// Answers a delivery that was answered already.
struct Settled;

#[async_trait]
impl Settle for Settled {
    async fn settle(&self, _verdict: Verdict) -> Result<(), Error> {
        Ok(())
    }
}

struct GatedSettle {
    delivery: Mutex<Option<Delivery>>,
    what: String,
    gate: Arc<Gate>,
}

#[async_trait]
impl Settle for GatedSettle {
    async fn settle(&self, verdict: Verdict) -> Result<(), Error> {
        if verdict == Verdict::InProgress {
            // Said rarely, changes nothing that matters, and must leave the delivery where it is.
            let delivery = self.delivery.lock().take();
            let Some(delivery) = delivery else {
                return Ok(());
            };
            let result = self.gate.read(delivery.in_progress()).await;
            *self.delivery.lock() = Some(delivery);
            return result;
        }
        let delivery = self.delivery.lock().take();
        let Some(delivery) = delivery else {
            return Ok(());
        };
        let what = format!("{verdict:?} {}", self.what);
        match verdict {
            Verdict::Ack => self.gate.write(&what, delivery.ack()).await,
            Verdict::Nak(delay) => self.gate.write(&what, delivery.nak(delay)).await,
            Verdict::Term => self.gate.write(&what, delivery.term()).await,
            Verdict::InProgress => Ok(()),
        }
    }
}
