//! How the Kubernetes API answers, and the kinds that services speak of.

use argosy_api::v1alpha1::Workflow;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;

use crate::{Backoff, Failure, WorkflowKey, compressed};

/// What an error of the API means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// There is no such object.
    NotFound,
    /// An object of that name exists.
    AlreadyExists,
    /// The object changed since it was read, or is not the one that was meant.
    Conflict,
    /// Refused for good: the request will never be accepted as it is.
    Rejected,
    /// No answer, or one that asks to come again.
    Transient,
}

/// Classifies an error.
pub fn answer(error: &kube::Error) -> Answer {
    let kube::Error::Api(status) = error else {
        return match error {
            kube::Error::SerdeError(_) | kube::Error::BuildRequest(_) => Answer::Rejected,
            _ => Answer::Transient,
        };
    };
    match (status.code, status.reason.as_str()) {
        (404, _) => Answer::NotFound,
        (409, "AlreadyExists") => Answer::AlreadyExists,
        (409, _) => Answer::Conflict,
        // Quotas free up. Source: Argo `util/errors/errors.go`.
        (403, _) if status.message.contains("exceeded quota") => Answer::Transient,
        (400 | 403 | 405 | 413 | 415 | 422, _) => Answer::Rejected,
        _ => Answer::Transient,
    }
}

/// The text that the API gave with an error.
pub fn message(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// A kind of `argoproj.io/v1alpha1`.
pub fn argo_kind(kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("argoproj.io", "v1alpha1", kind))
}

/// Workflows of one namespace.
pub fn workflows(client: &kube::Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &argo_kind("Workflow"))
}

/// Workflows of all namespaces.
pub fn all_workflows(client: &kube::Client) -> Api<DynamicObject> {
    Api::all_with(client.clone(), &argo_kind("Workflow"))
}

/// The object as JSON.
///
/// Errors: none that can be caused from outside; an object read from JSON can be written as JSON.
pub fn to_json(object: &DynamicObject) -> Result<serde_json::Value, serde_json::Error> {
    serde_json::to_value(object)
}

/// An object cannot be read as a Workflow.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// A member is of the wrong type.
    #[error("read the workflow")]
    Json(#[from] serde_json::Error),
    /// Its nodes cannot be decompressed.
    #[error("read its compressed nodes")]
    Compressed(#[from] compressed::Error),
}

/// The object as Argo's type, with its nodes decompressed. List items come without `apiVersion` and `kind`; they are
/// filled in.
///
/// Errors: a member of the wrong type, named by serde; nodes that cannot be decompressed.
pub fn to_workflow(object: &DynamicObject) -> Result<Workflow, Unreadable> {
    let mut value = to_json(object)?;
    if let serde_json::Value::Object(members) = &mut value {
        members.entry("apiVersion").or_insert_with(|| argosy_api::v1alpha1::API_VERSION.into());
        members.entry("kind").or_insert_with(|| "Workflow".into());
    }
    let mut workflow: Workflow = argosy_api::v1alpha1::from_value(value)?;
    let text = std::mem::take(&mut workflow.status.compressed_nodes);
    if !text.is_empty() {
        workflow.status.nodes = serde_json::from_slice(&compressed::decode(&text)?)?;
    }
    Ok(workflow)
}

/// The object, from the API. `None`: it is gone, or another of its name. A failure that may pass is tried again until it does.
/// Errors: a refusal for good.
pub async fn get(client: &kube::Client, key: &WorkflowKey) -> Result<Option<DynamicObject>, Failure> {
    let api = workflows(client, &key.namespace);
    let mut backoff = Backoff::short();
    loop {
        match api.get_opt(&key.name).await {
            Ok(object) => {
                return Ok(object.filter(|object| object.metadata.uid.as_deref() == Some(&key.uid)));
            }
            Err(error) if answer(&error) == Answer::Transient => {
                tracing::warn!(
                    workflow.uid = key.uid,
                    error = &error as &dyn std::error::Error,
                    "workflow not read, trying again"
                );
                backoff.wait().await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
