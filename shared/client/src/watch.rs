//! Workflows that are watched until all have ended.

use std::pin::Pin;

use argosy_api::v1alpha1::{Shutdown, Workflow};
use futures::{Stream, StreamExt, stream::SelectAll};
use kube::{
    Client,
    api::{DynamicObject, Patch, PatchParams},
    runtime::watcher,
};
use serde_json::{Value, json};

use crate::{
    error::{Error, Warn},
    objects, read,
};

type Changes = Pin<Box<dyn Stream<Item = (usize, Change)> + Send>>;

enum Change {
    Now(Box<DynamicObject>),
    Gone(Box<DynamicObject>),
}

/// The workflows, as they are now.
pub struct Watched {
    client: Client,
    objects: Vec<DynamicObject>,
    changes: SelectAll<Changes>,
    latest: Vec<Workflow>,
    /// Those that have ended or are gone, as they were then.
    ended: Vec<Option<Value>>,
}

impl Watched {
    /// Watches workflows, which were just created or read.
    ///
    /// Errors: one cannot be read.
    pub fn new(client: &Client, objects: Vec<DynamicObject>, warn: Warn<'_>) -> Result<Self, Error> {
        let changes = objects.iter().enumerate().map(|(index, object)| changes_of(client, index, object)).collect();
        let latest = objects.iter().map(|object| read::readable(object, warn)).collect::<Result<_, _>>()?;
        let ended = vec![None; objects.len()];
        Ok(Self { client: client.clone(), objects, changes, latest, ended })
    }

    /// Waits for the next change. May be given up at any time.
    ///
    /// Errors: the API no longer answers; the workflow can no longer be read.
    pub async fn changed(&mut self, warn: Warn<'_>) -> Result<(), Error> {
        let Some((index, change)) = self.changes.next().await else {
            return Err(Error::WatchEnded);
        };
        let (object, is_gone) = match change {
            Change::Now(object) => (object, false),
            Change::Gone(object) => (object, true),
        };
        let workflow = read::readable(&object, warn)?;
        if workflow.status.phase.is_completed() || is_gone {
            self.ended[index].get_or_insert(read::shown(&object, warn)?);
        }
        self.latest[index] = workflow;
        Ok(())
    }

    /// The workflows as they are now, in the order in which they were given.
    pub fn latest(&self) -> &[Workflow] {
        &self.latest
    }

    /// True once all have ended or are gone.
    pub fn have_ended(&self) -> bool {
        self.ended.iter().all(Option::is_some)
    }

    /// Those that have not ended, as they were given.
    pub fn going(&self) -> impl Iterator<Item = &DynamicObject> {
        self.objects.iter().zip(&self.ended).filter(|(_, ended)| ended.is_none()).map(|(object, _)| object)
    }

    /// Those that have ended, as they were then, in the order in which they were given.
    pub fn into_ended(self) -> Vec<Value> {
        self.ended.into_iter().flatten().collect()
    }

    /// Shuts down those that have not ended.
    ///
    /// Errors: the API refuses it.
    pub async fn shut_down(&self, how: Shutdown) -> Result<(), Error> {
        for object in self.going() {
            let (namespace, name) = place(object);
            let patch = Patch::Merge(json!({ "spec": { "shutdown": how.as_str() } }));
            objects::workflows(&self.client, namespace).patch(name, &PatchParams::default(), &patch).await?;
        }
        Ok(())
    }
}

fn place(object: &DynamicObject) -> (&str, &str) {
    let namespace = object.metadata.namespace.as_deref().unwrap_or("default");
    (namespace, object.metadata.name.as_deref().unwrap_or_default())
}

fn changes_of(client: &Client, index: usize, object: &DynamicObject) -> Changes {
    let (namespace, name) = place(object);
    let api = objects::workflows(client, namespace);
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let events = watcher::watcher(api, config);
    let changes = kube::runtime::WatchStreamExt::default_backoff(events).filter_map(move |event| async move {
        match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                Some((index, Change::Now(Box::new(object))))
            }
            Ok(watcher::Event::Delete(object)) => Some((index, Change::Gone(Box::new(object)))),
            Ok(watcher::Event::Init | watcher::Event::InitDone) => None,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "watch of a workflow");
                None
            }
        }
    });
    Box::pin(changes)
}
