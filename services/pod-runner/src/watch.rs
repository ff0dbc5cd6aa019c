//! Lists and watches the pods of a shard, and hands each observation to the observer of its pod.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Backoff, Failure, Inbound, Offer, Router};
use argosy_api::labels;
use argosy_bus::{Publish, Stream, subject};
use argosy_workflows::{PODS_LISTED, WorkflowKey, WorkflowLog as _};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::runtime::watcher::{self, Event};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::context::Shard;
use crate::identity::key_of;
use crate::known::{Known, PodKey};
use crate::observer::{Observation, Observers, Question};
use crate::{marks, metrics};

/// An observer whose mailbox is full is offered an observation again after this.
const FULL_PAUSE: Duration = Duration::from_millis(20);

/// Watches for ever, listing anew from time to time.
pub(crate) async fn watch(shard: &Arc<Shard>, observers: &Router<Observers>) -> Result<(), Failure> {
    let mut watch = Watch { shard: Arc::clone(shard), observers: observers.clone(), listed: None, is_first: true };
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
    loop {
        watch.until_relist(&mut backoff).await?;
    }
}

struct Watch {
    shard: Arc<Shard>,
    observers: Router<Observers>,
    /// While a list comes in: what it held so far.
    listed: Option<BTreeSet<PodKey>>,
    /// No list has been complete yet.
    is_first: bool,
}

impl Watch {
    async fn until_relist(&mut self, backoff: &mut Backoff) -> Result<(), Failure> {
        let context = Arc::clone(&self.shard.context);
        let number = self.shard.owned.shard;
        let pods: Api<Pod> = match &context.options.pod_namespace {
            Some(namespace) => Api::namespaced(context.client.clone(), namespace),
            None => Api::all(context.client.clone()),
        };
        let until = Instant::now() + Duration::from_secs(context.options.pod_relist_secs.max(1));
        let selector = format!("{}={number},{}!=true", labels::SHARD, labels::COMPLETED);
        let events = kube::runtime::watcher(pods, watcher::Config::default().labels(&selector));
        let mut events = std::pin::pin!(events);
        loop {
            let event = tokio::select! {
                biased;
                event = events.next() => event,
                () = tokio::time::sleep_until(until) => return Ok(()),
            };
            match event {
                None => return Ok(()),
                Some(Ok(event)) => {
                    self.note(event).await?;
                    backoff.reset();
                }
                Some(Err(error)) => {
                    metrics::WATCH_ERRORS.inc();
                    tracing::warn!(
                        shard = number,
                        error = &error as &dyn std::error::Error,
                        "watch of pods broke off, watching again"
                    );
                    backoff.wait().await;
                }
            }
        }
    }

    async fn note(&mut self, event: Event<Pod>) -> Result<(), Failure> {
        let host = &self.shard.context.host;
        match event {
            Event::Init => self.listed = Some(BTreeSet::new()),
            Event::InitApply(pod) | Event::Apply(pod) => {
                let Some((key, uid)) = key_of(host, &pod) else { return self.foreign(&pod) };
                if let Some(listed) = &mut self.listed {
                    listed.insert(key.clone());
                }
                let known = Known { uid, wished_at: marks::wished_at(&pod.metadata) };
                self.shard.known.insert(key.clone(), known);
                let is_left = self.is_first && marks::has_ended(&pod);
                self.offer(&key, Observation::Seen(Box::new(pod))).await?;
                if is_left {
                    self.tell_again(&key).await?;
                }
            }
            Event::Delete(pod) => {
                let Some((key, _)) = key_of(host, &pod) else { return Ok(()) };
                self.shard.known.remove(&key);
                self.offer(&key, Observation::Gone(Some(Box::new(pod)))).await?;
            }
            Event::InitDone => {
                let listed = self.listed.take().unwrap_or_default();
                for key in self.shard.known.retain(&listed) {
                    self.offer(&key, Observation::Gone(None)).await?;
                }
                if std::mem::take(&mut self.is_first) {
                    self.tell_listed().await?;
                }
            }
        }
        Ok(())
    }

    /// A former owner of the shard may have been about to deal with the pod, and kept that nowhere: its workflow wishes it anew.
    async fn tell_again(&self, key: &PodKey) -> Result<(), Failure> {
        let why = format!("left:{}", self.shard.owned.lease.epoch);
        // Nobody waits for it.
        let (told, _) = oneshot::channel();
        self.offer(key, Observation::Asked(Question { why, told })).await
    }

    fn foreign(&self, pod: &Pod) -> Result<(), Failure> {
        metrics::FOREIGN.inc();
        tracing::warn!(
            pod = pod.metadata.name,
            namespace = pod.metadata.namespace,
            "pod has our labels but is of no workflow of this shard"
        );
        Ok(())
    }

    /// Waits while the observer's mailbox is full: it holds hundreds of looks at one pod.
    async fn offer(&self, key: &PodKey, observation: Observation) -> Result<(), Failure> {
        let mut observation = observation;
        while let Offer::Full(back) = self.observers.offer(key, observation)? {
            observation = back;
            tokio::time::sleep(FULL_PAUSE).await;
        }
        Ok(())
    }

    /// Tells the scheduler of the shard that we watch from now on: what happened before, nobody may have seen.
    async fn tell_listed(&self) -> Result<(), Failure> {
        let (host, owned) = (&self.shard.context.host, &self.shard.owned);
        let key = WorkflowKey { uid: PODS_LISTED.to_owned(), namespace: String::new(), name: String::new() };
        let mut message =
            host.observed(&key, format!("{PODS_LISTED}:{}:{}", owned.shard, owned.lease.epoch), Vec::new());
        message.subject = subject::Observed { shard: owned.shard, uid: PODS_LISTED.to_owned() }.to_string();
        debug_assert_eq!(message.stream, Stream::Observed);
        let message: Publish = message;
        host.publish(vec![message]).await?;
        // Nobody reads it twice.
        Ok(())
    }
}

impl Inbound for Observation {
    fn sequence(&self) -> Option<u64> {
        None
    }

    fn into_delivery(self) -> Option<argosy_bus::Delivery> {
        None
    }
}
