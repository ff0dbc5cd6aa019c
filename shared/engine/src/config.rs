//! What an operator sets, as far as decisions depend on it.

use argosy_api::v1alpha1::WorkflowSpec;
use argosy_template::Limits;

/// Settings of the engine; the same for all workflows of an installation.
#[derive(Clone, Debug)]
pub struct Config {
    /// Image of the init and wait containers.
    pub executor_image: String,
    /// Merged under every workflow's spec. Source: Argo ConfigMap key `workflowDefaults`.
    pub workflow_defaults: Option<WorkflowSpec>,
    /// Where artifacts with only a key go, and keys of unnamed output artifacts. Source: Argo `artifactRepository`.
    pub artifact_repository: Option<argosy_api::v1alpha1::ArtifactRepository>,
    /// Depth of template calls at which a workflow is taken to recurse for ever. Source: Argo, 100.
    pub depth_max: usize,
    /// What one evaluation of an expression, one rendering of a text and one loop may use.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            executor_image: "argosy/executor".to_owned(),
            workflow_defaults: None,
            artifact_repository: None,
            depth_max: 100,
            limits: Limits::default(),
        }
    }
}
