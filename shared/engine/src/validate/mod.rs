//! Semantic validation of workflows and templates.

use std::{fmt, sync::Arc};

use argosy_api::v1alpha1::*;

/// Where templates that a spec refers to are found.
pub trait Templates {
    /// The spec of a WorkflowTemplate, or of a ClusterWorkflowTemplate when `cluster` is true.
    fn get(&self, cluster: bool, name: &str) -> Option<Arc<WorkflowSpec>>;
}

/// How strict to be.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Arguments need no values yet: the object is checked for its own sake, not for a run.
    pub lint: bool,
    /// The template is about to be run.
    pub submit: bool,
    /// Merged under the workflow's spec.
    pub workflow_defaults: Option<WorkflowSpec>,
}

/// A mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `spec.templates[0].name`, as far as known.
    pub path: String,
    /// Argo's text, which names the place itself.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// All mistakes of a workflow; the first is the one Argo reports.
pub fn workflow(_workflow: &Workflow, _templates: &dyn Templates, _options: &Options) -> Vec<Problem> {
    Vec::new()
}
