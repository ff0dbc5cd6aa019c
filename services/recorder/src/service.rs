//! The shell: EVENTS on one side, the Kubernetes API on the other.

use std::time::Duration;

use argosy_actor::{Backoff, Host};
use argosy_api::message::{SCHEMA, StatusChanged};
use argosy_bus::{Consumer, ConsumerSpec, Deliver, Error, Stream, subject};
use argosy_objects::api;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, PostParams};
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::notes;
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
    /// Whether anything is recorded of nodes. Source: Argo ConfigMap key `nodeEvents`.
    #[arg(skip = true)]
    pub records_nodes: bool,
    /// Whether anything is recorded of workflows. Source: Argo ConfigMap key `workflowEvents`.
    #[arg(skip = true)]
    pub records_workflows: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { recorder_node_events_max: 500, records_nodes: true, records_workflows: true }
    }
}

/// The recorder.
pub struct Service {
    host: Host,
    client: kube::Client,
    options: Options,
}

impl Service {
    /// A recorder of what `host`'s bus tells.
    pub fn new(host: Host, client: kube::Client, options: Options) -> Self {
        Self { host, client, options }
    }

    /// Records until `shutdown`. What cannot be recorded is counted and passed over: nobody depends on it.
    pub async fn run(self, shutdown: CancellationToken) {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = self.record() => {}
        }
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
            let events: Vec<Event> = batch.iter().flat_map(|d| self.events_of(&d.message.payload, seen)).collect();
            // In order but for the few that are under way: their times tell.
            futures::stream::iter(events).for_each_concurrent(AT_ONCE_MAX, |event| self.create(event)).await;
            for delivery in batch {
                // One that comes again makes Events of the same names.
                if let Err(error) = delivery.ack().await {
                    tracing::debug!(error = &error as &dyn std::error::Error, "an event will come again");
                }
            }
        }
    }

    fn events_of(&self, payload: &[u8], seen: &mut Seen) -> Vec<Event> {
        // A new owner's claim to its shard.
        if payload.is_empty() {
            return Vec::new();
        }
        let change = match serde_json::from_slice::<StatusChanged>(payload) {
            Ok(change) if change.schema <= SCHEMA => change,
            Ok(_) | Err(_) => {
                metrics::UNREADABLE.inc();
                return Vec::new();
            }
        };
        let uid = change.workflow_uid.as_str();
        let is_wanted = |note: &notes::Note| {
            if note.node.is_some() { self.options.records_nodes } else { self.options.records_workflows }
        };
        let notes = notes::of(&change).into_iter().enumerate();
        let notes = notes.filter(|(_, note)| is_wanted(note)).filter(|(_, note)| match seen.look(uid, note) {
            Worth::New => true,
            Worth::Old => false,
            Worth::TooMany => {
                metrics::OMITTED.inc();
                false
            }
        });
        let events = notes.map(|(index, note)| note.event(&change, index)).collect();
        if change.workflow_status.as_ref().is_some_and(|delta| delta.completed) {
            seen.forget(uid);
        }
        events
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
