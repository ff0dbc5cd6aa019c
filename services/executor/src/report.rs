//! `wait`, last half: reports what it gathered.

use std::collections::BTreeMap;

use argosy_api::labels;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::limits::RAISE_OUTPUTS;
use crate::{Error, FAILED, Gathered};

/// A longer message would be cut by the kubelet. Bytes.
const MESSAGE_MAX: usize = 4096;

/// Who reports.
#[derive(Clone, Debug)]
pub struct Reporter {
    /// Id of the node, which is the name of the WorkflowTaskResult.
    pub node_id: String,
    /// Name of the workflow.
    pub workflow: String,
    /// Uid of the workflow.
    pub workflow_uid: String,
    /// Namespace of the pod.
    pub namespace: String,
}

impl Reporter {
    /// Exit code and termination message of `wait`: the outputs when they are short, the name of a WorkflowTaskResult
    /// otherwise, or what went wrong. `client` is asked for only when a WorkflowTaskResult is needed.
    /// Outputs of more than `bytes_max` are an error.
    pub async fn report<F>(&self, gathered: Gathered, bytes_max: u64, client: F) -> (i32, String)
    where
        F: AsyncFnOnce() -> Result<Client, kube::Error>,
    {
        if !gathered.errors.is_empty() {
            // each error is followed by a separator, also the last: so Argo joins them
            let text: String = gathered.errors.iter().map(|error| format!("{error}; ")).collect();
            return (FAILED, text);
        }
        let mut message = json!({ "outputs": gathered.outputs });
        if let Some(progress) = &gathered.progress {
            message["progress"] = json!(progress);
        }
        let text = message.to_string();
        if text.len() <= MESSAGE_MAX {
            return (0, text);
        }
        let bytes = text.len() as u64;
        if bytes > bytes_max {
            return (FAILED, Error::Outputs { bytes, bytes_max, raise: RAISE_OUTPUTS }.to_string());
        }
        match self.task_result(message, client).await {
            Ok(()) => (0, json!({ "taskResult": self.node_id }).to_string()),
            Err(error) => (FAILED, error.to_string()),
        }
    }

    async fn task_result<F>(&self, content: Value, client: F) -> Result<(), Error>
    where
        F: AsyncFnOnce() -> Result<Client, kube::Error>,
    {
        let failed = |source| Error::Report { source: Box::new(source) };
        let kind = ApiResource {
            group: "argoproj.io".into(),
            version: "v1alpha1".into(),
            api_version: "argoproj.io/v1alpha1".into(),
            kind: "WorkflowTaskResult".into(),
            plural: "workflowtaskresults".into(),
        };
        let client = client().await.map_err(failed)?;
        let api: Api<DynamicObject> = Api::namespaced_with(client, &self.namespace, &kind);
        let labels =
            BTreeMap::from([(labels::WORKFLOW, self.workflow.as_str()), (labels::REPORT_OUTPUTS_COMPLETED, "true")]);
        let mut object = json!({
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {
                "name": self.node_id,
                "namespace": self.namespace,
                "labels": labels,
                "ownerReferences": [{
                    "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
                    "name": self.workflow, "uid": self.workflow_uid,
                }],
            },
        });
        object["outputs"] = content["outputs"].clone();
        if let Some(progress) = content.get("progress") {
            object["progress"] = progress.clone();
        }
        // created, or replaced where an earlier run of this node made it
        let object: DynamicObject = serde_json::from_value(object).map_err(|e| failed(kube::Error::SerdeError(e)))?;
        match api.create(&Default::default(), &object).await {
            Err(kube::Error::Api(refusal)) if refusal.code == 409 => {
                let patched = api.patch(&self.node_id, &PatchParams::default(), &Patch::Merge(&object)).await;
                patched.map(drop).map_err(failed)
            }
            created => created.map(drop).map_err(failed),
        }
    }
}
