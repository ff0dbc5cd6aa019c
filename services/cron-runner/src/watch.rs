//! Which CronWorkflows there are, and when one of them has to be looked at.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use argosy_actor::Backoff;
use argosy_api::labels;
use argosy_objects::api;
use futures::{Stream, StreamExt as _};
use kube::api::{Api, DynamicObject, ObjectMeta, PartialObjectMeta};
use kube::runtime::watcher::{self, Event};

use crate::metrics;

/// Where a CronWorkflow is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub namespace: String,
    pub name: String,
}

/// A CronWorkflow has to be looked at.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    pub key: Key,
    /// The version of the object, where it is the object that has changed.
    pub version: Option<String>,
}

/// Changes of CronWorkflows of the installation `instance_id`; for ever.
pub(crate) fn crons(
    client: kube::Client,
    namespace: Option<&str>,
    instance_id: &str,
) -> impl Stream<Item = Vec<Changed>> + use<> {
    let objects: Api<Meta> = of(client, namespace, "CronWorkflow");
    let mut known = Known::default();
    let config = watcher::Config::default().labels(&api::of_instance(instance_id));
    watched(objects, config).map(move |event| known.note(event))
}

/// CronWorkflows one of whose workflows has come, ended or gone; for ever.
pub(crate) fn children(client: kube::Client, namespace: Option<&str>) -> impl Stream<Item = Vec<Changed>> {
    let api: Api<Meta> = of(client, namespace, "Workflow");
    let mut seen = Seen::default();
    watched(api, watcher::Config::default().labels(labels::CRON_WORKFLOW)).map(move |event| seen.note(event))
}

fn of(client: kube::Client, namespace: Option<&str>, kind: &str) -> Api<Meta> {
    let kind = api::argo_kind(kind);
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &kind),
        None => Api::all_with(client, &kind),
    }
}

type Meta = PartialObjectMeta<DynamicObject>;

/// The events of a watch of metadata alone, which is begun anew whenever it breaks off.
fn watched(api: Api<Meta>, config: watcher::Config) -> impl Stream<Item = Event<Meta>> {
    let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
    let events = Box::pin(watcher::watcher(api, config));
    futures::stream::unfold((events, backoff), |(mut events, mut backoff)| async move {
        loop {
            match events.next().await? {
                Ok(event) => {
                    backoff.reset();
                    return Some((event, (events, backoff)));
                }
                Err(error) => {
                    metrics::WATCH_ERRORS.inc();
                    tracing::warn!(error = &error as &dyn std::error::Error, "a watch broke off, watching again");
                    backoff.wait().await;
                }
            }
        }
    })
}

/// The CronWorkflows that are there: those that a list no longer has have gone.
#[derive(Default)]
struct Known {
    all: BTreeSet<Key>,
    listed: BTreeSet<Key>,
}

impl Known {
    fn note(&mut self, event: Event<Meta>) -> Vec<Changed> {
        let changed = |key, version| vec![Changed { key, version }];
        match event {
            Event::Init => {
                self.listed.clear();
                Vec::new()
            }
            Event::InitApply(object) => {
                let Some(key) = key_of(&object.metadata) else { return Vec::new() };
                self.listed.insert(key.clone());
                self.all.insert(key.clone());
                changed(key, object.metadata.resource_version)
            }
            Event::Apply(object) => {
                let Some(key) = key_of(&object.metadata) else { return Vec::new() };
                self.all.insert(key.clone());
                changed(key, object.metadata.resource_version)
            }
            Event::Delete(object) => {
                let Some(key) = key_of(&object.metadata) else { return Vec::new() };
                self.all.remove(&key);
                changed(key, None)
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                let gone: Vec<Key> = self.all.difference(&listed).cloned().collect();
                self.all = listed;
                gone.into_iter().map(|key| Changed { key, version: None }).collect()
            }
        }
    }
}

/// What was last seen of workflows: most of their changes are none that matter here.
#[derive(Default)]
struct Seen {
    /// By uid: whose, and whether it has ended.
    all: HashMap<String, (Key, bool)>,
    listed: HashMap<String, (Key, bool)>,
}

impl Seen {
    fn note(&mut self, event: Event<Meta>) -> Vec<Changed> {
        let changed = |key| vec![Changed { key, version: None }];
        match event {
            Event::Init => {
                self.listed.clear();
                Vec::new()
            }
            Event::InitApply(object) => self.look(&object.metadata, true).map_or_else(Vec::new, changed),
            Event::Apply(object) => self.look(&object.metadata, false).map_or_else(Vec::new, changed),
            Event::Delete(object) => {
                let gone = object.metadata.uid.and_then(|uid| self.all.remove(&uid));
                gone.map_or_else(Vec::new, |(key, _)| changed(key))
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                let before = std::mem::replace(&mut self.all, listed);
                let gone: BTreeSet<Key> = before
                    .into_iter()
                    .filter(|(uid, _)| !self.all.contains_key(uid))
                    .map(|(_, (key, _))| key)
                    .collect();
                gone.into_iter().map(|key| Changed { key, version: None }).collect()
            }
        }
    }

    fn look(&mut self, metadata: &ObjectMeta, is_listed: bool) -> Option<Key> {
        let labels = metadata.labels.as_ref()?;
        let key = Key { namespace: metadata.namespace.clone()?, name: labels.get(labels::CRON_WORKFLOW)?.clone() };
        let has_ended = labels.get(labels::COMPLETED).is_some_and(|text| text == "true");
        let uid = metadata.uid.clone()?;
        if is_listed {
            self.listed.insert(uid.clone(), (key.clone(), has_ended));
        }
        let before = self.all.insert(uid, (key.clone(), has_ended));
        before.is_none_or(|(_, had_ended)| had_ended != has_ended).then_some(key)
    }
}

fn key_of(metadata: &ObjectMeta) -> Option<Key> {
    Some(Key { namespace: metadata.namespace.clone()?, name: metadata.name.clone()? })
}
