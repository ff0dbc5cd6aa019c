//! The results of a step that are too large for the termination message of its pod.

use serde::{Deserialize, Serialize};

use super::{API_VERSION, ObjectMeta, Outputs};

/// Argo's `WorkflowTaskResult`, without the phase and message that Argosy takes from the pod itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WorkflowTaskResult {
    pub api_version: String,
    pub kind: String,
    pub metadata: ObjectMeta,
    #[serde(flatten)]
    pub result: NodeResult,
}

/// Argo's `NodeResult`, as far as [`WorkflowTaskResult`] has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Outputs>,
    /// `N/M`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
}

impl WorkflowTaskResult {
    /// Its kind.
    pub const KIND: &str = "WorkflowTaskResult";
    /// Its name in URLs.
    pub const PLURAL: &str = "workflowtaskresults";

    /// One with these results.
    pub fn new(metadata: ObjectMeta, result: NodeResult) -> Self {
        Self { api_version: API_VERSION.to_owned(), kind: Self::KIND.to_owned(), metadata, result }
    }
}
