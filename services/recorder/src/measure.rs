//! Counts custom metrics: one replica does, which follows EVENTS and shows what they say to measure.
//!
//! A message is counted once by whoever follows, and no more once it is acknowledged. Another replica that takes over, or one
//! that starts anew, begins with nothing and goes on behind what was acknowledged, so that the sum over all of a counter's
//! lives is right but for what was counted just before a crash.

use std::{
    collections::BTreeSet,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use argosy_actor::{Backoff, Clock, Failure, Host, Owned, Settings, own_shards};
use argosy_api::message::{MetricSample, SCHEMA};
use argosy_bus::{Consumer, ConsumerSpec, Deliver, Error, Stream, subject};
use argosy_telemetry::metrics::{Source, show};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::tally::Tally;

/// The durable consumer.
const CONSUMER: &str = "metrics";
/// Messages taken at once.
const BATCH_MAX: usize = 256;
/// How long a message is waited for at a time.
const WAIT: Duration = Duration::from_secs(5);
/// How long a replica that no longer answers stays the one that counts.
const LEASE: Duration = Duration::from_secs(10);
/// So many messages are remembered that were counted, should they come again.
const COUNTED_MAX: usize = 10_000;

/// What of a change is measured; all else is passed over unread.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Change {
    schema: u32,
    at: Timestamp,
    namespace: String,
    workflow_uid: String,
    workflow_status: Option<Delta>,
    metrics: Vec<MetricSample>,
}

impl Default for Change {
    fn default() -> Self {
        Self {
            schema: 0,
            at: Timestamp::UNIX_EPOCH,
            namespace: String::new(),
            workflow_uid: String::new(),
            workflow_status: None,
            metrics: Vec::new(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta {
    status: Status,
    completed: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: Value,
}

/// What is shown.
struct Shown {
    tally: Mutex<Tally>,
    clock: Clock,
}

impl Shown {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Shown {
    fn text(&self) -> String {
        self.tally().text(self.clock.now())
    }
}

/// Counts until `shutdown`, whenever this replica is the one that does. At most `series_max` series are kept.
pub(crate) async fn run(host: &Host, series_max: usize, shutdown: CancellationToken) {
    let host = Host { shards: 1, ..host.clone() };
    let of = host.clone();
    let work = Arc::new(move |owned| {
        let host = of.clone();
        Box::pin(async move {
            follow(host, series_max, owned).await;
            Ok(())
        }) as Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>
    });
    if let Err(error) = own_shards(&host, CONSUMER, &Settings { ttl: LEASE }, shutdown, work).await {
        tracing::error!(error = &*error as &dyn std::error::Error, "custom metrics are no longer counted");
    }
}

/// With the end of it what was shown is gone: the next to count begins anew.
async fn follow(host: Host, series_max: usize, owned: Owned) {
    let shown = Arc::new(Shown { tally: Mutex::new(Tally::new(series_max)), clock: host.clock });
    let source: Arc<dyn Source> = shown.clone();
    show(&source);
    tokio::select! {
        biased;
        () = owned.stop.cancelled() => {}
        () = owned.leave.cancelled() => {}
        () = count(&host, &shown) => {}
    }
}

async fn count(host: &Host, shown: &Shown) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
    let mut counted = BTreeSet::new();
    let spec = ConsumerSpec::new(Stream::Events, CONSUMER, subject::of_stream(Stream::Events));
    // What was measured before there was anybody to count is history.
    let spec = ConsumerSpec { deliver: Deliver::New, ..spec };
    loop {
        let error = match host.bus.consume(spec.clone()).await {
            Ok(mut consumer) => count_all(&mut *consumer, shown, &mut counted, &mut backoff).await,
            Err(error) => error,
        };
        tracing::warn!(error = &error as &dyn std::error::Error, "cannot follow what is measured, trying again");
        backoff.wait().await;
    }
}

/// Until the consumer fails.
async fn count_all(
    consumer: &mut dyn Consumer,
    shown: &Shown,
    counted: &mut BTreeSet<u64>,
    backoff: &mut Backoff,
) -> Error {
    loop {
        let batch = match consumer.next_batch(BATCH_MAX, WAIT).await {
            Ok(batch) => batch,
            Err(error) => return error,
        };
        backoff.reset();
        for delivery in batch {
            if counted.insert(delivery.message.sequence) {
                note(&mut shown.tally(), &delivery.message.payload);
            }
            if counted.len() > COUNTED_MAX {
                counted.pop_first();
            }
            if let Err(error) = delivery.ack().await {
                tracing::debug!(error = &error as &dyn std::error::Error, "a measured event will come again");
            }
        }
    }
}

fn note(tally: &mut Tally, payload: &[u8]) {
    // A new owner's claim to its shard is empty.
    if payload.is_empty() {
        return;
    }
    // The recorder counts what cannot be read.
    let Ok(change) = serde_json::from_slice::<Change>(payload) else { return };
    if change.schema > SCHEMA {
        return;
    }
    let uid = &change.workflow_uid;
    for sample in change.metrics {
        match tally.add(sample, uid) {
            Ok(()) => metrics::MEASURED.inc(),
            Err(refused) => {
                metrics::NOT_MEASURED.with_label_values(&[refused.reason()]).inc();
                tracing::debug!(workflow.uid = uid, reason = refused.reason(), "a custom metric is not counted");
            }
        }
    }
    if let Some(delta) = change.workflow_status {
        if let Some(phase) = delta.status.phase.as_str().filter(|phase| !phase.is_empty()) {
            tally.add_phase(phase, &change.namespace);
        }
        if delta.completed {
            tally.finish(uid, change.at);
        }
    }
}
