//! A workflow's object as it is reported to its log. Whoever sees it reports it under the same id, so that it counts once.

use argosy_actor::Host;
use argosy_api::message::Observed;
use argosy_bus::Publish;
use argosy_objects::api;
use kube::api::DynamicObject;
use serde_json::Value;

use crate::{WorkflowKey, WorkflowLog as _};

/// Bytes that the object may have in a report; a larger one is referred to.
const INLINE_BYTES_MAX: usize = 128 * 1024;

/// The report: without what the engine does not read. An object that is large or that is no Workflow is only referred to: the
/// scheduler reads it itself.
pub fn workflow_changed(host: &Host, key: &WorkflowKey, object: DynamicObject, status_edited: bool) -> Publish {
    let version = object.metadata.resource_version.clone().unwrap_or_default();
    let id = format!("{}:rv:{version}", key.uid);
    let referenced = Observed::WorkflowReferenced { resource_version: version, status_edited };
    let publish = inlined(key, object, status_edited).map(|body| host.fact(key, id.clone(), body));
    publish
        .filter(|publish| publish.payload.len() <= INLINE_BYTES_MAX)
        .unwrap_or_else(|| host.fact(key, id, referenced))
}

/// The object within the report; `None` when it is not to be read here.
fn inlined(key: &WorkflowKey, mut object: DynamicObject, status_edited: bool) -> Option<Observed> {
    object.metadata.managed_fields = None;
    let Value::Object(members) = &mut object.data else { return None };
    if !status_edited {
        members.remove("status");
    } else if members.get("status").is_some_and(|status| api::has_compressed_nodes(status) || is_offloaded(status)) {
        return None;
    }
    match api::to_workflow(&object) {
        Ok(workflow) => Some(Observed::WorkflowChanged { object: Box::new(workflow), status_edited }),
        Err(error) => {
            tracing::warn!(
                workflow.name = key.name,
                workflow.namespace = key.namespace,
                error = &error as &dyn std::error::Error,
                "workflow is not readable"
            );
            None
        }
    }
}

/// Whether the nodes are kept outside of the object.
fn is_offloaded(status: &Value) -> bool {
    status.get("offloadNodeStatusVersion").and_then(Value::as_str).is_some_and(|version| !version.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_that_somebody_took_away_is_an_edit_like_another() {
        let key = WorkflowKey { uid: "u".into(), namespace: "ns".into(), name: "w".into() };
        for status in [None, Some(json!(null)), Some(json!("x")), Some(json!({}))] {
            let mut object = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
                "metadata": {"name": "w", "namespace": "ns", "uid": "u"}, "spec": {}});
            if let Some(status) = &status {
                object["status"] = status.clone();
            }
            let object: DynamicObject = serde_json::from_value(object).expect("an object");
            let body = inlined(&key, object, true);
            assert_eq!(body.is_some(), status != Some(json!("x")), "{status:?}");
        }
    }
}
