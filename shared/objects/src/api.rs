//! How the Kubernetes API answers, the kinds that services speak of, and a Workflow as it is read from its object.

use std::error::Error;

use argosy_api::labels;
use argosy_api::v1alpha1::Workflow;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;

use crate::compressed;

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
    /// Refused for now, for a reason of this object or its namespace: a quota is full. Others are not concerned.
    Busy,
    /// No answer, or one that asks to come again.
    Transient,
}

fn is_quota_conflict(message: &str) -> bool {
    message.contains("Operation cannot be fulfilled on resourcequota")
}

fn is_account_to_come(message: &str) -> bool {
    message.contains("error looking up service account") && message.contains("serviceaccount \"default\" not found")
}

/// Classifies an error. What counts as passing follows Argo `util/errors/errors.go`.
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
        // Two requests counted against one ResourceQuota at a time. The object was not looked at.
        (409, _) if is_quota_conflict(&status.message) => Answer::Busy,
        (409, _) => Answer::Conflict,
        // Quotas free up, and namespaces that are being made get their default service account soon.
        (403, _) if status.message.contains("exceeded quota") => Answer::Busy,
        (403, _) if is_account_to_come(&status.message) => Answer::Busy,
        (429, _) => Answer::Transient,
        // A webhook that fails concerns only what it is asked about.
        (500.., _) if status.message.contains("failed calling webhook") => Answer::Busy,
        // Not the server's trouble but the object's: it is larger than etcd takes.
        (500.., _) if is_too_large_text(&status.message) => Answer::Rejected,
        (400 | 403 | 405 | 413 | 415 | 422, _) => Answer::Rejected,
        _ => Answer::Transient,
    }
}

/// Whether a failure that `cause` is a cause of may pass by itself, if it is one of the API's; `None` for any other.
pub fn passes(cause: &(dyn Error + 'static)) -> Option<bool> {
    cause.downcast_ref::<kube::Error>().map(|error| answer(error) == Answer::Transient)
}

/// Whether the API refuses the object, or the request, for its size.
pub fn is_too_large(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 413 || is_too_large_text(&status.message))
}

/// What etcd says, and its client. Source: Argo `util/errors`, and kube-apiserver.
fn is_too_large_text(message: &str) -> bool {
    ["request is too large", "trying to send message larger than max"].iter().any(|text| message.contains(text))
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

/// The label selector of what is of one of several installations in a cluster; the empty id is that of the one that takes what
/// is labelled for nobody. Source: Argo `InstanceIDRequirement`.
pub fn of_instance(id: &str) -> String {
    if id.is_empty() { format!("!{}", labels::INSTANCE_ID) } else { format!("{}={id}", labels::INSTANCE_ID) }
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

/// Whether the nodes of a status are kept as compressed text.
pub fn has_compressed_nodes(status: &serde_json::Value) -> bool {
    status.get("compressedNodes").and_then(serde_json::Value::as_str).is_some_and(|text| !text.is_empty())
}

/// The version of the nodes of a status that are kept outside of the object, on the bus.
pub fn offloaded_version(object: &DynamicObject) -> Option<&str> {
    let version = object.data.pointer("/status/offloadNodeStatusVersion").and_then(serde_json::Value::as_str);
    version.filter(|version| !version.is_empty())
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
    /// Its nodes are kept outside of it, and are not there.
    #[error(
        "its nodes are kept outside of the object as version {0}, which is not there: the bus was lost, or an older object was put back"
    )]
    Offloaded(String),
}

/// The object as Argo's type, with its nodes decompressed. List items come without `apiVersion` and `kind`; they are
/// filled in.
///
/// Errors: a member of the wrong type, named by serde; nodes that cannot be decompressed, or are kept elsewhere.
pub fn to_workflow(object: &DynamicObject) -> Result<Workflow, Unreadable> {
    to_workflow_with(object, None)
}

/// As [`to_workflow`], with the compressed nodes that are kept outside of the object.
///
/// Errors: as [`to_workflow`].
pub fn to_workflow_with(object: &DynamicObject, nodes: Option<&str>) -> Result<Workflow, Unreadable> {
    let mut value = to_json(object)?;
    if let serde_json::Value::Object(members) = &mut value {
        members.entry("apiVersion").or_insert_with(|| argosy_api::v1alpha1::API_VERSION.into());
        members.entry("kind").or_insert_with(|| "Workflow".into());
    }
    let mut workflow: Workflow = argosy_api::v1alpha1::from_value(value)?;
    let version = std::mem::take(&mut workflow.status.offload_node_status_version);
    let text = std::mem::take(&mut workflow.status.compressed_nodes);
    match nodes {
        None if !version.is_empty() => return Err(Unreadable::Offloaded(version)),
        None if text.is_empty() => {}
        nodes => workflow.status.nodes = serde_json::from_slice(&compressed::decode(nodes.unwrap_or(&text))?)?,
    }
    Ok(workflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(code: u16, reason: &str, message: &str) -> Answer {
        let status = kube::core::Status { reason: reason.into(), code, ..kube::core::Status::failure(message, reason) };
        answer(&kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn refusals_that_pass_are_told_from_those_that_do_not() {
        let lookup = |account: &str| {
            format!(
                "pods \"p\" is forbidden: error looking up service account ns/{account}: serviceaccount \"{account}\" not found"
            )
        };
        for (code, reason, message, expected) in [
            (404, "NotFound", "", Answer::NotFound),
            (409, "AlreadyExists", "", Answer::AlreadyExists),
            (409, "Conflict", "the object has been modified", Answer::Conflict),
            (
                409,
                "Conflict",
                "Operation cannot be fulfilled on resourcequotas \"q\": the object has been modified",
                Answer::Busy,
            ),
            (403, "Forbidden", "pods \"p\" is forbidden: exceeded quota: q, requested: pods=1", Answer::Busy),
            (403, "Forbidden", &lookup("default"), Answer::Busy),
            (403, "Forbidden", &lookup("runner"), Answer::Rejected),
            (403, "Forbidden", "User \"u\" cannot create resource", Answer::Rejected),
            (500, "InternalError", "failed calling webhook \"w\": timeout", Answer::Busy),
            (500, "InternalError", "etcdserver: request is too large", Answer::Rejected),
            (500, "", "rpc error: trying to send message larger than max (2 vs. 1)", Answer::Rejected),
            (422, "Invalid", "", Answer::Rejected),
            (429, "TooManyRequests", "", Answer::Transient),
            (503, "ServiceUnavailable", "", Answer::Transient),
        ] {
            assert_eq!(class(code, reason, message), expected, "{code} {reason} {message}");
        }
    }
}
