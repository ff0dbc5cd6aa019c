//! Lists and watches the pods of a shard, and hands each sight to the observer of its pod.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use argosy_actor::{Backoff, Failure, Owned, Router, WorkflowKey};
use argosy_api::labels;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::runtime::watcher::{self, Event};

use crate::observer::{Observers, PodKey, Sight};
use crate::service::Surroundings;
use crate::{metrics, missing};

/// Full lists of the pods after which a new owner looks for what is missing. The second, as the list of workflows that the
/// first went by may have come from an API server that lagged.
const MISSING_REPORTS: u32 = 2;

/// Watches for ever, listing anew from time to time.
pub(crate) async fn watch(
    around: &Arc<Surroundings>,
    owned: &Owned,
    observers: &Router<Observers>,
) -> Result<(), Failure> {
    let mut watch =
        Watch { around: Arc::clone(around), observers: observers.clone(), known: BTreeMap::new(), listed: None };
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
    let mut reports = MISSING_REPORTS;
    loop {
        watch.until_relist(owned, &mut reports, &mut backoff).await?;
    }
}

struct Watch {
    around: Arc<Surroundings>,
    observers: Router<Observers>,
    /// Uids of the pods that are there, as far as known.
    known: BTreeMap<PodKey, String>,
    /// While a list comes in: what it held so far.
    listed: Option<BTreeMap<PodKey, String>>,
}

impl Watch {
    async fn until_relist(&mut self, owned: &Owned, reports: &mut u32, backoff: &mut Backoff) -> Result<(), Failure> {
        let options = &self.around.options;
        let client = self.around.client.clone();
        let pods: Api<Pod> = match &options.pod_namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        };
        let until = tokio::time::Instant::now() + Duration::from_secs(options.pod_relist_secs.max(1));
        let selector = format!("{}={},{}!=true", labels::SHARD, owned.shard, labels::COMPLETED);
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
                    let is_listed = matches!(event, Event::InitDone);
                    self.note(event).await?;
                    if is_listed && *reports > 0 {
                        // What happened while nobody watched.
                        *reports -= 1;
                        missing::report(&self.around, owned, &self.known, &self.observers).await?;
                    }
                    backoff.reset();
                }
                Some(Err(error)) => {
                    metrics::WATCH_ERRORS.inc();
                    tracing::warn!(
                        shard = owned.shard,
                        error = &error as &dyn std::error::Error,
                        "watch of pods broke off"
                    );
                    backoff.wait().await;
                }
            }
        }
    }

    async fn note(&mut self, event: Event<Pod>) -> Result<(), Failure> {
        match event {
            Event::Init => self.listed = Some(BTreeMap::new()),
            Event::InitApply(pod) | Event::Apply(pod) => {
                let Some((key, uid)) = key_of(&pod) else {
                    return Ok(());
                };
                if let Some(listed) = &mut self.listed {
                    listed.insert(key.clone(), uid.clone());
                }
                self.known.insert(key.clone(), uid);
                self.observers.send(&key, Sight::Seen(Box::new(pod))).await?;
            }
            Event::Delete(pod) => {
                let Some((key, _)) = key_of(&pod) else {
                    return Ok(());
                };
                self.known.remove(&key);
                self.observers.send(&key, Sight::Gone(Some(Box::new(pod)))).await?;
            }
            Event::InitDone => {
                let listed = self.listed.take().unwrap_or_default();
                let gone: Vec<_> = self.known.keys().filter(|key| !listed.contains_key(key)).cloned().collect();
                for key in gone {
                    self.known.remove(&key);
                    self.observers.send(&key, Sight::Gone(None)).await?;
                }
            }
        }
        Ok(())
    }
}

/// Whose pod it is, and its own uid.
pub(crate) fn key_of(pod: &Pod) -> Option<(PodKey, String)> {
    let meta = &pod.metadata;
    let all = meta.labels.as_ref()?;
    let workflow = WorkflowKey {
        uid: all.get(labels::WORKFLOW_UID)?.clone(),
        namespace: meta.namespace.clone()?,
        name: all.get(labels::WORKFLOW)?.clone(),
    };
    Some((PodKey { workflow, pod: meta.name.clone()? }, meta.uid.clone()?))
}
