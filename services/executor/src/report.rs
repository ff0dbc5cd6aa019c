//! `wait`, last half: reports what it gathered.

use argosy_api::executor::{FAILED, Report};
use argosy_api::labels;
use argosy_api::v1alpha1::{NodeResult, ObjectMeta, Outputs, WorkflowOwner, WorkflowTaskResult};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::json;

use crate::error::Error;
use crate::limits::RAISE_OUTPUTS;
use crate::outputs::Gathered;

/// Who reports.
#[derive(Clone, Debug)]
pub struct Reporter {
    /// Id of the node, which is the name of the WorkflowTaskResult.
    pub node_id: String,
    /// Name of the workflow.
    pub workflow: String,
    /// Uid of the workflow.
    pub workflow_uid: String,
    /// A longer message is cut. Bytes.
    pub message_bytes_max: usize,
}

impl Reporter {
    /// Exit code and termination message of `wait`: the outputs when they are short, the name of a WorkflowTaskResult
    /// otherwise, and what went wrong. `client`, which also says the namespace, is asked for only when a WorkflowTaskResult is
    /// needed.
    /// Outputs of more than `bytes_max` are an error.
    pub async fn report<F>(&self, gathered: Gathered, bytes_max: u64, client: F) -> (i32, String)
    where
        F: AsyncFnOnce() -> Result<(Client, String), Error>,
    {
        // outputs that are there count although others are missing
        let error = if gathered.errors.is_empty() { String::new() } else { gathered.told() };
        let code = if error.is_empty() { 0 } else { FAILED };
        if code == FAILED && gathered.outputs == Outputs::default() {
            return (code, error);
        }
        let report = Report {
            outputs: Some(gathered.outputs),
            progress: gathered.progress,
            error: error.clone(),
            ..Report::default()
        };
        let text = match report.to_message() {
            Ok(text) => text,
            Err(source) => return (FAILED, Error::Encode { source }.to_string()),
        };
        if text.len() <= self.message_bytes_max {
            return (code, text);
        }
        let bytes = text.len() as u64;
        if bytes > bytes_max {
            return (FAILED, Error::Outputs { bytes, bytes_max, raise: RAISE_OUTPUTS }.to_string());
        }
        let result = NodeResult { outputs: report.outputs, progress: report.progress };
        let named = Report { error, ..Report::in_task_result(&self.node_id) };
        let named = named.to_message().map_err(|source| Error::Encode { source });
        match self.task_result(result, client).await.and(named) {
            Ok(text) => (code, text),
            Err(error) => (FAILED, error.to_string()),
        }
    }

    async fn task_result<F>(&self, result: NodeResult, client: F) -> Result<(), Error>
    where
        F: AsyncFnOnce() -> Result<(Client, String), Error>,
    {
        let failed = |source| Error::Report { source: Box::new(source) };
        let gvk = GroupVersionKind::gvk("argoproj.io", "v1alpha1", WorkflowTaskResult::KIND);
        let kind = ApiResource::from_gvk_with_plural(&gvk, WorkflowTaskResult::PLURAL);
        let (client, namespace) = client().await?;
        let api: Api<DynamicObject> = Api::namespaced_with(client, &namespace, &kind);
        let labels = [(labels::WORKFLOW, self.workflow.as_str()), (labels::REPORT_OUTPUTS_COMPLETED, "true")];
        let owner = WorkflowOwner::plain(&self.workflow, &self.workflow_uid);
        let metadata = ObjectMeta {
            name: self.node_id.clone(),
            namespace,
            labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            rest: [("ownerReferences".to_owned(), json!([owner]))].into(),
            ..ObjectMeta::default()
        };
        let encoded = serde_json::to_value(WorkflowTaskResult::new(metadata, result));
        // created, or replaced where an earlier run of this node made it
        let object = encoded.and_then(serde_json::from_value::<DynamicObject>);
        let object = object.map_err(|e| failed(kube::Error::SerdeError(e)))?;
        match api.create(&Default::default(), &object).await {
            Err(kube::Error::Api(refusal)) if refusal.code == 409 => {
                let patched = api.patch(&self.node_id, &PatchParams::default(), &Patch::Merge(&object)).await;
                patched.map(drop).map_err(failed)
            }
            created => created.map(drop).map_err(failed),
        }
    }
}
