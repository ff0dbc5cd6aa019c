//! The unfinished workflows of the cluster, by a watch of their metadata: one for the process. An unfinished workflow without
//! an actor is taken up, whatever became of the messages that should have led to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use argosy_actor::Backoff;
use argosy_api::labels;
use argosy_objects::api;
use argosy_workflows::WorkflowKey;
use futures::StreamExt as _;
use kube::api::{Api, DynamicObject, PartialObjectMeta};
use kube::runtime::watcher::{self, Event};
use parking_lot::Mutex;
use tokio::sync::SetOnce;
use tokio::time::Instant;

use crate::metrics;

/// From one full list to the next, which finds what a watch may have missed.
const RELIST: Duration = Duration::from_secs(300);

/// The unfinished workflows, by uid.
pub(crate) struct Unfinished {
    state: Mutex<State>,
    /// Set once a whole list has come in. Wakes those who wait in the order in which they came, as equal seeds need it; a
    /// watch channel does not.
    listed: SetOnce<()>,
}

impl Default for Unfinished {
    fn default() -> Self {
        Self { state: Mutex::default(), listed: SetOnce::new() }
    }
}

#[derive(Default)]
struct State {
    known: BTreeMap<String, Known>,
    /// While a list comes in: what it held so far.
    listed: Option<BTreeMap<String, Known>>,
}

#[derive(Clone)]
struct Known {
    key: WorkflowKey,
    since: Instant,
    /// Namespaces of the locks that it has wanted.
    locks: Option<String>,
}

impl Unfinished {
    /// Waits for the first whole list.
    pub async fn listed(&self) {
        self.listed.wait().await;
    }

    /// Where the workflow is, if it is known.
    pub fn find(&self, uid: &str) -> Option<WorkflowKey> {
        self.state.lock().known.get(uid).map(|known| known.key.clone())
    }

    /// Those that have been known for at least `age`.
    pub fn older_than(&self, age: Duration) -> Vec<WorkflowKey> {
        let now = Instant::now();
        let state = self.state.lock();
        state.known.values().filter(|known| now - known.since >= age).map(|known| known.key.clone()).collect()
    }

    /// Namespaces of the locks that they have wanted.
    pub fn lock_namespaces(&self) -> BTreeSet<String> {
        let state = self.state.lock();
        let all = state.known.values().filter_map(|known| known.locks.as_deref()).flat_map(|locks| locks.split(','));
        all.filter(|namespace| !namespace.is_empty()).map(str::to_owned).collect()
    }

    /// Those that have wanted locks of the namespace.
    pub fn lock_users(&self, namespace: &str) -> Vec<WorkflowKey> {
        let state = self.state.lock();
        let is_user =
            |known: &&Known| known.locks.as_deref().is_some_and(|locks| locks.split(',').any(|one| one == namespace));
        state.known.values().filter(is_user).map(|known| known.key.clone()).collect()
    }

    fn note(&self, event: Event<PartialObjectMeta<DynamicObject>>) {
        let mut state = self.state.lock();
        match event {
            Event::Init => state.listed = Some(BTreeMap::new()),
            Event::InitApply(object) | Event::Apply(object) => {
                let Some(key) = key_of(&object) else { return };
                let since = state.known.get(&key.uid).map_or_else(Instant::now, |known| known.since);
                let annotations = object.metadata.annotations.as_ref();
                let locks = annotations.and_then(|all| all.get(labels::LOCKS)).cloned();
                let known = Known { key, since, locks };
                if let Some(listed) = &mut state.listed {
                    listed.insert(known.key.uid.clone(), known.clone());
                }
                state.known.insert(known.key.uid.clone(), known);
            }
            Event::Delete(object) => {
                if let Some(key) = key_of(&object) {
                    state.known.remove(&key.uid);
                }
            }
            Event::InitDone => {
                if let Some(listed) = state.listed.take() {
                    state.known = listed;
                    drop(state);
                    // Later lists find it set.
                    _ = self.listed.set(());
                }
            }
        }
    }
}

fn key_of(object: &PartialObjectMeta<DynamicObject>) -> Option<WorkflowKey> {
    let metadata = &object.metadata;
    Some(WorkflowKey {
        uid: metadata.uid.clone()?,
        namespace: metadata.namespace.clone()?,
        name: metadata.name.clone()?,
    })
}

/// Keeps `unfinished` up to date with the workflows of `namespace`, or of all, and of the installation `instance_id`; for ever.
pub(crate) async fn follow(
    unfinished: &Unfinished,
    client: &kube::Client,
    (namespace, instance_id): (Option<&str>, &str),
) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
    loop {
        until_relist(unfinished, client.clone(), (namespace, instance_id), &mut backoff).await;
    }
}

async fn until_relist(
    unfinished: &Unfinished,
    client: kube::Client,
    (namespace, instance_id): (Option<&str>, &str),
    backoff: &mut Backoff,
) {
    let kind = api::argo_kind("Workflow");
    let workflows: Api<PartialObjectMeta<DynamicObject>> = match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &kind),
        None => Api::all_with(client, &kind),
    };
    let until = Instant::now() + RELIST;
    let selector = format!("{}!=true,{}", labels::COMPLETED, api::of_instance(instance_id));
    let events = watcher::watcher(workflows, watcher::Config::default().labels(&selector));
    let mut events = std::pin::pin!(events);
    loop {
        let event = tokio::select! {
            biased;
            event = events.next() => event,
            () = tokio::time::sleep_until(until) => return,
        };
        match event {
            None => return,
            Some(Ok(event)) => {
                unfinished.note(event);
                backoff.reset();
            }
            Some(Err(error)) => {
                metrics::WATCH_ERRORS.inc();
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "watch of unfinished workflows broke off, watching again"
                );
                backoff.wait().await;
            }
        }
    }
}
