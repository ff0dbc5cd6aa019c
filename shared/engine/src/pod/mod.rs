//! The pod of a node: from a substituted template to a manifest.
//!
//! Layout: an init container `init` stages scripts and input artifacts, the user's containers run under the wrapper
//! `/var/run/argo/argoexec main`, and a container `wait` gathers outputs. They meet in the volume `var-run-argo`.
//! Source: Argo `workflow/controller/workflowpod.go` for what of a template ends up where in a pod.

mod containers;
mod environment;
pub(crate) mod gc;
mod input;
mod placement;
mod shape;
mod volumes;

use argosy_api::{labels, v1alpha1::*};
use serde_json::{Map, Value, json};

pub use input::{Error, INIT, MAIN, PodInput, WAIT};
pub(crate) use placement::{avoid_hosts, places};
use shape::Own;
pub(crate) use shape::is_shapely;
pub use shape::{Limit, Pod, Shape};

use crate::ops::strategic::{self, Schema};

/// Builds the manifest of the template's pods, with a mark wherever something of a pod's own stands.
///
/// Errors: see [`Error`]; each is permanent for this workflow.
pub fn build(input: &PodInput<'_>) -> Result<Value, Error> {
    let mut spec = containers::pod_containers(input)?;
    placement::place(input, &mut spec);
    spec.insert("restartPolicy".to_owned(), json!("Never"));
    if input.is_limited {
        spec.insert("activeDeadlineSeconds".to_owned(), json!(Own::SecondsLeft.mark()));
    }
    let mut spec = Value::Object(spec);
    patch(&mut spec, &input.spec.pod_spec_patch)?;
    patch(&mut spec, &input.template.pod_spec_patch)?;
    Ok(json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata(input), "spec": spec }))
}

/// Applies a `podSpecPatch`; the empty text changes nothing. As in Go's YAML, `0644` is octal.
fn patch(spec: &mut Value, text: &str) -> Result<(), Error> {
    if text.trim().is_empty() {
        return Ok(());
    }
    let patch: Value = match serde_json::from_str(text) {
        Ok(json) => json,
        Err(_) => serde_saphyr::from_str_with_options(text, serde_saphyr::options! { legacy_octal_numbers: true })
            .map_err(|source| Error::PatchSyntax { text: text.to_owned(), source: Box::new(source) })?,
    };
    if !patch.is_object() {
        return Err(Error::PatchNotAMap { text: text.to_owned() });
    }
    strategic::merge(spec, patch, Schema::Pod);
    Ok(())
}

fn metadata(input: &PodInput<'_>) -> Value {
    let workflow = &input.workflow.metadata;
    let (mut labels, mut annotations) = (Map::new(), Map::new());
    for metadata in input.spec.pod_metadata.iter().chain([&input.template.metadata]) {
        labels.extend(metadata.labels.iter().map(|(k, v)| (k.clone(), json!(v))));
        annotations.extend(metadata.annotations.iter().map(|(k, v)| (k.clone(), json!(v))));
    }
    labels.insert(labels::WORKFLOW.to_owned(), json!(workflow.name));
    labels.insert(labels::COMPLETED.to_owned(), json!("false"));
    labels.insert(labels::WORKFLOW_UID.to_owned(), json!(workflow.uid));
    if !input.config.instance_id.is_empty() {
        labels.insert(labels::INSTANCE_ID.to_owned(), json!(input.config.instance_id));
    }
    if input.on_exit {
        labels.insert(labels::ON_EXIT.to_owned(), json!("true"));
    }
    annotations.insert(labels::NODE_ID.to_owned(), json!(Own::NodeId.mark()));
    annotations.insert(labels::NODE_NAME.to_owned(), json!(Own::NodeName.mark()));
    if let Some(gc) = &input.spec.pod_gc {
        annotations.insert(labels::POD_GC_STRATEGY.to_owned(), json!(gc::annotation(gc, input.config)));
    }
    let default = containers::default_container(input.template);
    annotations.entry("kubectl.kubernetes.io/default-container").or_insert_with(|| json!(default));
    let owner = WorkflowOwner::controller(&workflow.name, &workflow.uid);
    json!({
        "name": Own::PodName.mark(), "namespace": workflow.namespace,
        "labels": labels, "annotations": annotations, "ownerReferences": [owner],
    })
}

#[cfg(test)]
mod tests;
