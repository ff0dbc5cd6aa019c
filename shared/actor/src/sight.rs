//! A workflow's object as it is reported to its log. Whoever sees it reports it under the same id, so that it counts once.

use argosy_api::digest::{self, Watermark};
use argosy_api::labels;
use argosy_api::message::Observed;
use argosy_api::v1alpha1::WorkflowPhase;
use argosy_bus::{Message, Publish};
use kube::api::{DynamicObject, ObjectMeta};
use serde_json::Value;

use crate::{HEADER_JUDGED, Host, WorkflowKey, api};

/// How far the log is folded into the object, and by which status; `None` when the status service never wrote it.
pub fn watermark(object: &DynamicObject) -> Option<Watermark> {
    watermark_of(&object.metadata)
}

/// The same, of an object of which only the metadata was read.
pub fn watermark_of(metadata: &ObjectMeta) -> Option<Watermark> {
    Watermark::parse(metadata.annotations.as_ref()?.get(labels::WATERMARK)?, metadata.uid.as_deref()?)
}

/// Whether the workflow was put out of service.
pub fn is_quarantined(object: &DynamicObject) -> bool {
    is_out_of_service(&object.metadata)
}

/// The same, of an object of which only the metadata was read.
pub fn is_out_of_service(metadata: &ObjectMeta) -> bool {
    metadata.labels.as_ref().and_then(|all| all.get(labels::QUARANTINED)).is_some_and(|text| text == "true")
}

/// Whether the event that is to put the workflow out of service was decided before `object` was taken back into service: it
/// came late, and no longer counts.
pub fn is_overruled(event: &Message, object: &DynamicObject) -> bool {
    let version = |text: &String| text.parse::<u64>().ok();
    let taken_back = object.metadata.annotations.as_ref().and_then(|all| all.get(labels::TAKEN_BACK));
    match (event.headers.get(HEADER_JUDGED).and_then(version), taken_back.and_then(version)) {
        (Some(judged), Some(taken_back)) => judged <= taken_back,
        (None, _) | (_, None) => false,
    }
}

/// Whether someone else than the status service wrote the status last. A workflow without a status is new; one that ended
/// before it was ours to run is left alone.
pub fn is_foreign(object: &DynamicObject) -> bool {
    let status = object.data.get("status").unwrap_or(&Value::Null);
    if is_quarantined(object) {
        // Whoever put it out of service could not keep the digest.
        return false;
    }
    let digest = digest::of_status(status);
    match watermark(object) {
        Some(watermark) => watermark.digest != digest,
        None => digest != 0 && !is_completed(status),
    }
}

/// Whether the nodes are kept outside of the object.
fn is_offloaded(status: &Value) -> bool {
    status.get("offloadNodeStatusVersion").and_then(Value::as_str).is_some_and(|version| !version.is_empty())
}

/// Whether the workflow has ended, by its status.
pub fn is_completed(status: &Value) -> bool {
    let phase = status.get("phase").and_then(Value::as_str).and_then(|phase| phase.parse::<WorkflowPhase>().ok());
    phase.is_some_and(WorkflowPhase::is_completed)
}

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

#[cfg(test)]
mod tests {
    use argosy_bus::Stream;
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

    #[test]
    fn what_was_decided_before_a_workflow_was_taken_back_no_longer_counts() {
        let event = |judged: Option<&str>| Message {
            stream: Stream::Events,
            subject: String::new(),
            sequence: 1,
            id: String::new(),
            headers: judged.map(|text| (HEADER_JUDGED.to_owned(), text.to_owned())).into_iter().collect(),
            payload: Vec::new().into(),
            deliveries: 2,
        };
        let object = |taken_back: Option<&str>| -> DynamicObject {
            let annotations = taken_back.map(|text| json!({labels::TAKEN_BACK: text}));
            let metadata = json!({"name": "w", "annotations": annotations});
            serde_json::from_value(json!({"apiVersion": "v1", "kind": "Workflow", "metadata": metadata}))
                .expect("an object")
        };
        let is_overruled = |judged, taken_back| super::is_overruled(&event(judged), &object(taken_back));
        assert!(is_overruled(Some("9"), Some("10")) && is_overruled(Some("10"), Some("10")));
        // It was taken back, and is sick again.
        assert!(!is_overruled(Some("11"), Some("10")));
        for (judged, taken_back) in
            [(None, Some("10")), (Some("9"), None), (Some("x"), Some("10")), (Some("9"), Some(""))]
        {
            assert!(!is_overruled(judged, taken_back), "{judged:?} {taken_back:?}");
        }
    }
}
