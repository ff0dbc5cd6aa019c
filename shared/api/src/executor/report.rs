//! What the executor reports of a step.

use serde::{Deserialize, Serialize};

use crate::v1alpha1::Outputs;

/// What the `wait` container leaves as its termination message: the results, or where they are when they are large. A message
/// that is no such JSON is text for people: what went wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Report {
    /// Parameters, artifacts, result, exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Outputs>,
    /// `N/M`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// Name of the [`WorkflowTaskResult`](crate::v1alpha1::WorkflowTaskResult) that holds the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_result: Option<String>,
}

impl Report {
    /// A longer message would be cut by the kubelet. Bytes.
    pub const MESSAGE_BYTES_MAX: usize = 4096;

    /// A report that names the WorkflowTaskResult which holds the rest.
    pub fn in_task_result(name: impl Into<String>) -> Self {
        Self { task_result: Some(name.into()), ..Self::default() }
    }

    /// The report in a termination message; `None` where it is text for people.
    pub fn of_message(message: &str) -> Option<Self> {
        serde_json::from_str(message).ok()
    }

    /// The termination message.
    ///
    /// Errors: none in practice; what was read from JSON can be written as JSON.
    pub fn to_message(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}
