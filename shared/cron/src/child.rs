//! A workflow that a CronWorkflow has started, as far as it matters.

use argosy_api::labels;
use argosy_api::v1alpha1::{API_VERSION, WorkflowPhase};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A workflow with the label of a CronWorkflow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Child {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub phase: WorkflowPhase,
    /// The moment that it stands for.
    pub scheduled_at: Option<Timestamp>,
    pub created_at: Option<Timestamp>,
    /// When it ended; `None` also where that is not known.
    pub finished_at: Option<Timestamp>,
}

impl Child {
    /// From the object, or from its metadata alone: the phase is also a label.
    pub fn of(object: &Value) -> Self {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let noted = |kind: &str, key: &str| object["metadata"][kind][key].as_str().unwrap_or_default().to_owned();
        let phase = match text("/status/phase") {
            "" => noted("labels", labels::PHASE),
            phase => phase.to_owned(),
        };
        Self {
            name: text("/metadata/name").to_owned(),
            namespace: text("/metadata/namespace").to_owned(),
            uid: text("/metadata/uid").to_owned(),
            phase: serde_json::from_value(json!(phase)).unwrap_or_default(),
            scheduled_at: noted("annotations", labels::SCHEDULED_TIME).parse().ok(),
            created_at: text("/metadata/creationTimestamp").parse().ok(),
            finished_at: text("/status/finishedAt").parse().ok(),
        }
    }

    /// Whether it is over.
    pub fn has_ended(&self) -> bool {
        self.phase.is_completed()
    }

    /// As `status.active` names it.
    pub(crate) fn reference(&self) -> Value {
        json!({
            "apiVersion": API_VERSION, "kind": "Workflow",
            "name": self.name, "namespace": self.namespace, "uid": self.uid,
        })
    }

    /// Whether `reference` names it.
    pub(crate) fn is_meant(&self, reference: &Value) -> bool {
        reference["uid"].as_str() == Some(&self.uid)
    }
}
