//! Workflows that cannot begin.

use argosy_api::v1alpha1::WorkflowPhase;

/// Why a workflow ends before its first node.
pub(crate) struct Refusal {
    pub phase: WorkflowPhase,
    pub message: String,
}

impl Refusal {
    pub fn failed(message: String) -> Self {
        Self { phase: WorkflowPhase::Failed, message }
    }

    pub fn error(message: String) -> Self {
        Self { phase: WorkflowPhase::Error, message }
    }
}
