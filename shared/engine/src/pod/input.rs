//! What the pods of a template are made of.

pub use argosy_api::executor::{INIT, MAIN, WAIT};
use argosy_api::v1alpha1::*;
use serde_json::{Value, json};

use crate::Config;

/// All that the pods of one template are made of. What is each pod's own is in its [`Pod`](super::Pod).
#[derive(Clone, Copy, Debug)]
pub struct PodInput<'a> {
    pub config: &'a Config,
    /// For name, namespace and uid.
    pub workflow: &'a Workflow,
    /// The effective spec: the workflow's, with its template's and the defaults merged under it.
    pub spec: &'a WorkflowSpec,
    /// Fully substituted: inputs have values, artifacts have locations. Or with all its tags, see [`Shape::of_tagged`](super::Shape::of_tagged).
    pub template: &'a Template,
    /// The steps or dag template that calls; its nodeSelector, affinity and tolerations stand in for missing ones.
    pub boundary: Option<&'a Template>,
    /// The pod belongs to an exit handler.
    pub on_exit: bool,
    /// Where the repository's key format sends artifacts of this pod; `None` without one.
    pub key_prefix: Option<&'a str>,
    /// Standard output of `main` becomes `outputs.result`.
    pub include_result: bool,
    /// The pod must have ended by a moment that is its own.
    pub is_limited: bool,
}

impl PodInput<'_> {
    /// The artifact repository as the executor needs it, where the pod has artifacts: the bucket, not what keys are made of.
    pub(super) fn repository(&self) -> Option<Value> {
        let template = self.template;
        let logs = template.archive_location.as_ref().and_then(|location| location.archive_logs) == Some(true);
        let has_artifacts = !template.inputs.artifacts.is_empty()
            || !template.outputs.artifacts.is_empty()
            || template.data.is_some()
            || template.resource.as_ref().is_some_and(|resource| resource.manifest_from.is_some());
        let mut bucket = self.config.artifact_repository.as_ref().filter(|_| has_artifacts || logs)?.s3.clone()?;
        bucket.as_object_mut()?.retain(|member, _| !member.starts_with("key"));
        Some(json!({ "s3": bucket }))
    }
}

/// Why there is no pod: all of these are mistakes in the workflow.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("template {template} has no kind that runs in a pod")]
    NotAPod { template: String },
    #[error("volume '{name}' not found in workflow spec")]
    UnknownVolume { name: String },
    #[error("Error applying PodSpecPatch")]
    PatchSyntax {
        text: String,
        #[source]
        source: Box<serde_saphyr::Error>,
    },
    #[error("podSpecPatch is not a map: {text}")]
    PatchNotAMap { text: String },
    #[error("write the template of the pod")]
    Encode(#[from] serde_json::Error),
}
