//! What validation is given, and what it finds.

use std::{fmt, sync::Arc};

use argosy_api::v1alpha1::WorkflowSpec;

/// Where templates that a spec refers to are found.
pub trait Templates {
    /// The spec of a WorkflowTemplate, or of a ClusterWorkflowTemplate when `cluster` is true.
    fn get(&self, cluster: bool, name: &str) -> Option<Arc<WorkflowSpec>>;

    /// What is to be said of one that `get` does not have.
    fn why_missing(&self, _cluster: bool, _name: &str) -> String {
        "not found".to_owned()
    }
}

/// How strict to be.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Arguments need no values yet: the object is checked for its own sake, not for a run.
    pub lint: bool,
    /// The template is about to be run, so that its arguments need values.
    pub submit: bool,
    /// Merged under the workflow's spec.
    pub workflow_defaults: Option<WorkflowSpec>,
}

/// A mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The step, task or template that is wrong, outermost first; empty for the spec itself.
    pub path: String,
    /// Argo's text, which names the place itself.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
