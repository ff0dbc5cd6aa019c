//! Changes of a workflow object that others change at the same time.

use argosy_api::{labels, v1alpha1::Workflow};
use argosy_objects::{api::offloaded_version, merge_patch};
use kube::{
    Client,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{Warn, nodes, objects, read};

/// How often a change is tried when another writer was faster.
const TRIES: usize = 10;

/// A workflow was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error<E: std::error::Error + 'static> {
    /// The change is refused.
    #[error(transparent)]
    Refused(E),
    /// It cannot be read or written.
    #[error(transparent)]
    Client(#[from] crate::Error),
}

impl<E: std::error::Error + 'static> Error<E> {
    /// The same in other words, where the change is refused.
    pub fn map<F: std::error::Error + 'static>(self, words: impl FnOnce(E) -> F) -> Error<F> {
        match self {
            Self::Refused(error) => Error::Refused(words(error)),
            Self::Client(error) => Error::Client(error),
        }
    }
}

/// Reads the workflow `name`, lets `change` work on it, and writes the difference, unless the object changed meanwhile:
/// then all of it again.
///
/// Errors: those of `change`; no such workflow; always another writer.
pub async fn edit<T, E: std::error::Error + 'static>(
    client: &Client,
    namespace: &str,
    name: &str,
    warn: Warn<'_>,
    change: impl Fn(&mut Workflow) -> Result<T, E>,
) -> Result<T, Error<E>> {
    let api = objects::workflows(client, namespace);
    for _ in 0..TRIES {
        let object = objects::get(client, namespace, name).await?;
        let before = read::readable(&object, warn)?;
        let mut after = before.clone();
        let result = change(&mut after).map_err(Error::Refused)?;
        let Some(patch) = patch(&object, &before, &after)? else {
            return Ok(result);
        };
        let name = object.metadata.name.unwrap_or_default();
        match api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(_) => return Ok(result),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(crate::Error::Api(error).into()),
        }
    }
    Err(crate::Error::Contended { name: name.to_owned(), tries: TRIES }.into())
}

/// The merge patch that makes `after` of `before`, which was read from `object`; `None` when they are equal.
fn patch(object: &DynamicObject, before: &Workflow, after: &Workflow) -> Result<Option<Value>, crate::Error> {
    let json = |workflow: &Workflow| serde_json::to_value(workflow);
    let patch = merge_patch::diff(&json(before)?, &json(after)?);
    let is_of_spec = patch.as_ref().is_some_and(|patch| patch.get("status").is_none());
    if offloaded_version(object).is_some() && !is_of_spec {
        // Seen without its nodes it may look as if there were nothing to do.
        return Err(crate::Error::UnchangeableNodes);
    }
    let Some(mut patch) = patch else {
        return Ok(None);
    };
    if read::compressed_nodes(object).is_some()
        && let Some(status) = patch.get_mut("status").and_then(Value::as_object_mut)
        && status.remove("nodes").is_some()
    {
        // The API has the nodes compressed, so that they are written whole.
        let nodes = serde_json::to_vec(&after.status.nodes)?;
        let text = nodes::compressed(&nodes)?;
        status.insert("compressedNodes".to_owned(), json!(text));
    }
    if is_order(&patch) {
        patch["metadata"]["uid"] = json!(object.metadata.uid);
    } else {
        patch["metadata"]["resourceVersion"] = json!(object.metadata.resource_version);
    }
    Ok(Some(patch))
}

/// Whether the patch says no more than to stop (and why), suspend or go on: that holds whatever else changes meanwhile, and must reach
/// a workflow that changes all the time. Source: Argo's own patches of these have no precondition.
fn is_order(patch: &Value) -> bool {
    let is_message = |metadata: &Value| {
        let annotations = metadata["annotations"].as_object();
        let is_own = annotations.is_some_and(|members| members.keys().all(|name| name == labels::STOP_MESSAGE));
        is_own && metadata.as_object().is_some_and(|members| members.len() == 1)
    };
    let is_alone = patch.as_object().is_some_and(|members| {
        members.iter().all(|(name, value)| name == "spec" || (name == "metadata" && is_message(value)))
    });
    let spec = patch["spec"].as_object();
    is_alone && spec.is_some_and(|spec| spec.keys().all(|member| member == "shutdown" || member == "suspend"))
}

#[cfg(test)]
mod tests {
    use argosy_objects::compressed;

    use super::*;

    #[test]
    fn compressed_nodes_are_read_and_written_back_compressed() {
        let nodes = json!({"w": {"id": "w", "name": "w", "phase": "Running"}});
        let encoded = compressed::encode(nodes.to_string().as_bytes()).expect("memory");
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "w", "resourceVersion": "7"},
            "status": {"compressedNodes": encoded},
        }))
        .expect("an object");
        assert_eq!(read::value(&object).expect("readable")["status"], json!({"nodes": nodes}));
        let before = read::readable(&object, &|_| {}).expect("readable");
        let mut after = before.clone();
        after.status.message = "m".to_owned();
        let unchanged = patch(&object, &before, &after).expect("writable").expect("they differ");
        assert_eq!(unchanged, json!({"metadata": {"resourceVersion": "7"}, "status": {"message": "m"}}));
        after.status.nodes.get_mut("w").expect("the node").message = "m".into();
        let changed = patch(&object, &before, &after).expect("writable").expect("they differ");
        let text = changed["status"]["compressedNodes"].as_str().expect("nodes");
        let nodes: Value = serde_json::from_slice(&compressed::decode(text).expect("gzip")).expect("JSON");
        assert_eq!((&nodes["w"]["message"], changed["status"].get("nodes")), (&json!("m"), None));
    }

    #[test]
    fn labels_are_written_with_the_rest() {
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
            "metadata": {"name": "w", "uid": "u", "resourceVersion": "7", "labels": {"done": "true"}},
        }))
        .expect("an object");
        let before = read::readable(&object, &|_| {}).expect("readable");
        let mut after = before.clone();
        after.spec.shutdown = "Stop".into();
        after.metadata.labels.remove("done");
        after.metadata.labels.insert("by".to_owned(), "me".to_owned());
        let patched = patch(&object, &before, &after).expect("writable").expect("they differ");
        let labels = json!({"done": null, "by": "me"});
        assert_eq!(
            patched,
            json!({"metadata": {"resourceVersion": "7", "labels": labels}, "spec": {"shutdown": "Stop"}})
        );
    }

    #[test]
    fn of_nodes_that_are_kept_elsewhere_only_the_rest_can_be_changed() {
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "w", "uid": "u", "resourceVersion": "7"},
            "status": {"phase": "Running", "offloadNodeStatusVersion": "fnv:1"},
        }))
        .expect("an object");
        assert!(read::value(&object).is_err(), "whoever needs the nodes hears that they are not there");
        let before = read::readable(&object, &|_| {}).expect("shown without them");
        let mut stopped = before.clone();
        stopped.spec.shutdown = "Stop".into();
        let patched = patch(&object, &before, &stopped).expect("writable").expect("they differ");
        assert_eq!(patched, json!({"metadata": {"uid": "u"}, "spec": {"shutdown": "Stop"}}));
        let mut told = stopped.clone();
        told.metadata.annotations.insert(labels::STOP_MESSAGE.to_owned(), "m".to_owned());
        let patched = patch(&object, &before, &told).expect("writable").expect("they differ");
        let metadata = json!({"uid": "u", "annotations": {labels::STOP_MESSAGE: "m"}});
        assert_eq!(patched, json!({"metadata": metadata, "spec": {"shutdown": "Stop"}}), "without a precondition");
        let mut retried = before.clone();
        retried.status.message = "m".into();
        assert!(patch(&object, &before, &retried).is_err());
        assert!(patch(&object, &before, &before).is_err(), "a resume that saw no node to resume");
    }
}
