//! A Workflow's object, read from the API by those who wait for it, with its nodes wherever they are.

use argosy_actor::aside::{Ended, aside, is_long};
use argosy_actor::{Backoff, Failure};
use argosy_api::v1alpha1::Workflow;
use argosy_objects::api::{self, Answer, Unreadable};
use kube::api::{DynamicObject, ObjectMeta};

use crate::WorkflowKey;
use crate::offload::Offload;

/// A workflow was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Its object is no Workflow, or its nodes are not to be had.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The process ends.
    #[error("the process ends")]
    Stopped(#[from] Ended),
}

/// The object's metadata, from the API. `None`: it is gone, or another of its name. A failure that may pass is tried again
/// until it does.
/// Errors: a refusal for good.
pub async fn get_metadata(client: &kube::Client, key: &WorkflowKey) -> Result<Option<ObjectMeta>, Failure> {
    let api = api::workflows(client, &key.namespace);
    let metadata = insist(key, || api.get_metadata_opt(&key.name)).await?.map(|object| object.metadata);
    Ok(metadata.filter(|metadata| metadata.uid.as_deref() == Some(&key.uid)))
}

/// The object, from the API. `None`: it is gone, or another of its name. A failure that may pass is tried again until it does.
/// Errors: a refusal for good.
pub async fn get(client: &kube::Client, key: &WorkflowKey) -> Result<Option<DynamicObject>, Failure> {
    let api = api::workflows(client, &key.namespace);
    let object = insist(key, || api.get_opt(&key.name)).await?;
    Ok(object.filter(|object| object.metadata.uid.as_deref() == Some(&key.uid)))
}

/// Asks until there is an answer that stays.
async fn insist<T, F: Future<Output = Result<T, kube::Error>>>(
    key: &WorkflowKey,
    ask: impl Fn() -> F,
) -> Result<T, Failure> {
    let mut backoff = Backoff::short();
    loop {
        match ask().await {
            Err(error) if matches!(api::answer(&error), Answer::Transient | Answer::Busy) => {
                tracing::warn!(
                    workflow.uid = key.uid,
                    error = &error as &dyn std::error::Error,
                    "workflow not read, trying again"
                );
                backoff.wait().await;
            }
            result => return Ok(result?),
        }
    }
}

/// An object, and its nodes where they are kept outside of it.
#[derive(Clone, Debug)]
pub struct Whole {
    /// The object as the API has it.
    pub object: DynamicObject,
    /// Its nodes, compressed; `None` when the object has them itself.
    pub nodes: Option<String>,
}

impl Whole {
    /// Whether it takes long to read.
    pub fn is_long(&self) -> bool {
        self.nodes.is_some()
            || is_long(&self.object.data)
            || self
                .object
                .data
                .pointer("/status/compressedNodes")
                .is_some_and(|text| text.as_str().is_some_and(|text| text.len() > COMPRESSED_LONG_BYTES))
    }
}

/// Bytes of compressed nodes from which on reading them takes milliseconds.
const COMPRESSED_LONG_BYTES: usize = 64 * 1024;

/// Adds the nodes that are kept outside of the object. When they are not there the object is read again, as a version goes
/// when another took its place. `None`: the workflow is gone.
///
/// Errors: bus or API; [`Unreadable::Offloaded`] when the object names a version that is not there.
pub async fn resolve(
    store: &dyn Offload,
    client: &kube::Client,
    key: &WorkflowKey,
    mut object: DynamicObject,
) -> Result<Option<Whole>, Failure> {
    let mut asked = None;
    loop {
        let Some(version) = api::offloaded_version(&object).map(ToOwned::to_owned) else {
            return Ok(Some(Whole { object, nodes: None }));
        };
        let nodes = store.get(&key.uid, &version).await?;
        if nodes.is_some() {
            return Ok(Some(Whole { object, nodes }));
        }
        if asked.as_ref() == Some(&version) {
            return Err(Unreadable::Offloaded(version).into());
        }
        asked = Some(version);
        match get(client, key).await? {
            Some(now) => object = now,
            None => return Ok(None),
        }
    }
}

/// The object as Argo's type; a large one is read off the runtime's own threads.
///
/// Errors: it cannot be read, or the process ends.
pub async fn read_workflow(found: Whole) -> Result<Workflow, Error> {
    let typed = aside(found.is_long(), move || api::to_workflow_with(&found.object, found.nodes.as_deref())).await?;
    Ok(typed?)
}
