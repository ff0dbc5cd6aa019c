//! The shell: EVENTS on one side, the Kubernetes API on the other.

use std::{sync::Arc, time::Duration};

use argosy_actor::{Backoff, Host, TokenBucket};
use argosy_api::message::{SCHEMA, StatusChanged};
use argosy_bus::{Consumer, ConsumerSpec, Deliver, Error, Stream, subject};
use argosy_objects::api;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, PostParams};
use tokio_util::sync::CancellationToken;

use crate::measure;
use crate::metrics;
use crate::notes::{self, About, Note};
use crate::seen::{Seen, Worth};

/// The durable consumer, which all replicas share.
const CONSUMER: &str = "recorder";
/// Messages taken at once.
const BATCH_MAX: usize = 64;
/// How long a message is waited for at a time.
const WAIT: Duration = Duration::from_secs(5);
/// Requests under way at a time.
const AT_ONCE_MAX: usize = 4;
/// How often an Event is sent before it is given up.
const TRIES_MAX: usize = 3;

/// How much is recorded.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// So many Events are recorded of the nodes of one workflow: more nobody reads, and the API has other things to do.
    #[arg(long, default_value_t = 500)]
    pub recorder_node_events_max: usize,
    /// Series of custom metrics of workflows that are kept, at most: more are counted and left out.
    #[arg(long, default_value_t = 10_000)]
    pub custom_metrics_max: usize,
    /// Events recorded a second, at most: what is more waits on the bus.
    #[arg(long, default_value_t = 100)]
    pub recorder_events_per_sec: u32,
    /// Whether Events of nodes that have a pod are about that pod, and not about their workflow. Each costs a look at the pod.
    /// Source: Argo ConfigMap key `nodeEvents.sendAsPod`.
    #[arg(skip = false)]
    pub sends_as_pod: bool,
    /// Whether anything is recorded of nodes. Source: Argo ConfigMap key `nodeEvents`.
    #[arg(skip = true)]
    pub records_nodes: bool,
    /// Whether anything is recorded of workflows. Source: Argo ConfigMap key `workflowEvents`.
    #[arg(skip = true)]
    pub records_workflows: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            recorder_node_events_max: 500,
            custom_metrics_max: 10_000,
            recorder_events_per_sec: 100,
            sends_as_pod: false,
            records_nodes: true,
            records_workflows: true,
        }
    }
}

/// The recorder.
pub struct Service {
    host: Host,
    client: kube::Client,
    options: Options,
    pace: TokenBucket,
}

/// What is to be told of a change: what happened, and its place among all of it.
type Told = (Arc<StatusChanged>, Vec<(usize, Note)>);

impl Service {
    /// A recorder of what `host`'s bus tells.
    pub fn new(host: Host, client: kube::Client, options: Options) -> Self {
        let pace = TokenBucket::new(options.recorder_events_per_sec);
        Self { host, client, options, pace }
    }

    /// Records until `shutdown`. What cannot be recorded is counted and passed over: nobody depends on it.
    pub async fn run(self, shutdown: CancellationToken) {
        let measured = measure::run(&self.host, self.options.custom_metrics_max, shutdown.clone());
        let recorded = async {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                () = self.record() => {}
            }
        };
        tokio::join!(measured, recorded);
    }

    async fn record(&self) {
        let mut seen = Seen::new(self.options.recorder_node_events_max);
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
        loop {
            let error = match self.host.bus.consume(spec()).await {
                Ok(mut consumer) => self.follow(&mut *consumer, &mut seen, &mut backoff).await,
                Err(error) => error,
            };
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot follow what is decided, trying again");
            backoff.wait().await;
        }
    }

    /// Follows the events until the consumer fails.
    async fn follow(&self, consumer: &mut dyn Consumer, seen: &mut Seen, backoff: &mut Backoff) -> Error {
        loop {
            let batch = match consumer.next_batch(BATCH_MAX, WAIT).await {
                Ok(batch) => batch,
                Err(error) => return error,
            };
            backoff.reset();
            let told: Vec<Told> = batch.iter().filter_map(|d| self.notes_of(&d.message.payload, seen)).collect();
            let notes = told.into_iter().flat_map(|(change, notes)| {
                notes.into_iter().map(move |(index, note)| (Arc::clone(&change), index, note))
            });
            // In order but for the few that are under way: their times tell.
            let record = |(change, index, note)| self.tell(change, index, note);
            futures::stream::iter(notes).for_each_concurrent(AT_ONCE_MAX, record).await;
            for delivery in batch {
                // One that comes again makes Events of the same names.
                if let Err(error) = delivery.ack().await {
                    tracing::debug!(error = &error as &dyn std::error::Error, "an event will come again");
                }
            }
        }
    }

    fn notes_of(&self, payload: &[u8], seen: &mut Seen) -> Option<Told> {
        // A new owner's claim to its shard.
        if payload.is_empty() {
            return None;
        }
        let change = match serde_json::from_slice::<StatusChanged>(payload) {
            Ok(change) if change.schema <= SCHEMA => change,
            Ok(_) | Err(_) => {
                metrics::UNREADABLE.inc();
                return None;
            }
        };
        let uid = change.workflow_uid.as_str();
        let is_wanted = |note: &notes::Note| {
            if note.node.is_some() { self.options.records_nodes } else { self.options.records_workflows }
        };
        // A node that ended before anybody knew that it runs is told to run first. Whoever takes over has seen nothing, and
        // may tell it of one whose beginning was told before.
        let notes = notes::of(&change).into_iter().filter(is_wanted).enumerate();
        let notes = notes.flat_map(|(index, note)| {
            let before = note.running_before().map(|before| (2 * index, before));
            before.into_iter().chain([(2 * index + 1, note)])
        });
        let notes = notes.filter(|(_, note)| match seen.look(uid, note) {
            Worth::New => true,
            Worth::Old => false,
            Worth::TooMany => {
                metrics::OMITTED.inc();
                false
            }
        });
        let notes: Vec<_> = notes.collect();
        if change.workflow_status.as_ref().is_some_and(|delta| delta.completed) {
            seen.forget(uid);
        }
        Some((Arc::new(change), notes))
    }

    async fn tell(&self, change: Arc<StatusChanged>, index: usize, note: Note) {
        self.pace.take().await;
        let pod = note.node.as_ref().and_then(|node| node.pod.clone()).filter(|_| self.options.sends_as_pod);
        let uid = match &pod {
            Some(pod) => self.uid_of(&change.namespace, pod).await,
            None => None,
        };
        let about = match (&pod, &uid) {
            (Some(name), Some(uid)) => About::Pod { name, uid },
            _ => About::Workflow,
        };
        self.create(note.event(&change, index, about)).await;
    }

    /// None: there is no such pod any more, or nobody says so. The Event is about the workflow then, as in Argo.
    async fn uid_of(&self, namespace: &str, pod: &str) -> Option<String> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        match pods.get_metadata_opt(pod).await {
            Ok(found) => found?.metadata.uid,
            Err(error) => {
                metrics::PODLESS.inc();
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    namespace,
                    pod,
                    "the pod of an event cannot be read"
                );
                None
            }
        }
    }

    async fn create(&self, event: Event) {
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let events: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let mut backoff = Backoff::short();
        for tries in 1..=TRIES_MAX {
            let Err(error) = events.create(&PostParams::default(), &event).await else {
                return metrics::RECORDED.inc();
            };
            let passes = match api::answer(&error) {
                api::Answer::AlreadyExists => return,
                api::Answer::Transient | api::Answer::Busy => true,
                api::Answer::NotFound | api::Answer::Conflict | api::Answer::Rejected => false,
            };
            if !passes || tries == TRIES_MAX {
                metrics::REFUSED.inc();
                tracing::debug!(error = &error as &dyn std::error::Error, namespace, "an event was not recorded");
                return;
            }
            backoff.wait().await;
        }
    }
}

/// From now on: what happened before there was a recorder is history.
fn spec() -> ConsumerSpec {
    let spec = ConsumerSpec::new(Stream::Events, CONSUMER, subject::of_stream(Stream::Events));
    ConsumerSpec { deliver: Deliver::New, ..spec }
}
