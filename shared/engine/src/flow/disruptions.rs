//! The PodDisruptionBudget of a workflow's pods. Source: Argo `createPDBResource`, `deletePDBResource`.

use argosy_api::{labels, message::ClusterCommand, v1alpha1::WorkflowOwner};
use serde_json::{Value, json};

use crate::Workflow;

const API_VERSION: &str = "policy/v1";
const KIND: &str = "PodDisruptionBudget";

impl Workflow {
    /// The budget is there before the first pod, named after the workflow, and of all of its pods unless it selects others.
    /// One that the API refuses ends the workflow.
    pub(super) fn create_disruption_budget(&mut self) {
        let Some(budget) = &self.plan.spec().pod_disruption_budget else { return };
        let mut spec = budget.clone();
        if let Value::Object(members) = &mut spec
            && members.get("selector").is_none_or(Value::is_null)
        {
            members.insert("selector".to_owned(), json!({ "matchLabels": { labels::WORKFLOW: self.book.name() } }));
        }
        let meta = self.book.meta();
        let manifest = json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {
                "name": meta.name,
                "namespace": meta.namespace,
                "labels": { labels::WORKFLOW: meta.name },
                "ownerReferences": [WorkflowOwner::controller(&meta.name, &meta.uid)],
            },
            "spec": spec,
        });
        let name = self.book.name().into();
        self.agenda.wish_cluster(name, ClusterCommand::CreateObject { manifest });
    }

    /// It goes with the workflow's end.
    pub(super) fn delete_disruption_budget(&mut self) {
        if self.plan.spec().pod_disruption_budget.is_none() {
            return;
        }
        let name = self.book.name().to_owned();
        let command = ClusterCommand::DeleteObject {
            api_version: API_VERSION.into(),
            resource_kind: KIND.into(),
            name: name.clone(),
        };
        self.agenda.wish_cluster(name.into(), command);
    }
}
