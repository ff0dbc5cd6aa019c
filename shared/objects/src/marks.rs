//! What is noted on a Workflow's object: how far its log is folded into it, by whom its status is, whether it is in service.

use argosy_api::digest::{self, Watermark};
use argosy_api::labels;
use argosy_api::v1alpha1::WorkflowPhase;
use kube::api::{DynamicObject, ObjectMeta};
use serde_json::Value;

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

/// Whether what puts the workflow out of service was decided of the version `judged` before `object` was taken back into
/// service: it came late, and no longer counts.
pub fn is_overruled(judged: Option<&str>, object: &DynamicObject) -> bool {
    let version = |text: &str| text.parse::<u64>().ok();
    let taken_back = object.metadata.annotations.as_ref().and_then(|all| all.get(labels::TAKEN_BACK));
    match (judged.and_then(version), taken_back.and_then(|text| version(text))) {
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

/// Whether the workflow has ended, by its status.
pub fn is_completed(status: &Value) -> bool {
    let phase = status.get("phase").and_then(Value::as_str).and_then(|phase| phase.parse::<WorkflowPhase>().ok());
    phase.is_some_and(WorkflowPhase::is_completed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_decided_before_a_workflow_was_taken_back_no_longer_counts() {
        let object = |taken_back: Option<&str>| -> DynamicObject {
            let annotations = taken_back.map(|text| json!({labels::TAKEN_BACK: text}));
            let metadata = json!({"name": "w", "annotations": annotations});
            serde_json::from_value(json!({"apiVersion": "v1", "kind": "Workflow", "metadata": metadata}))
                .expect("an object")
        };
        let is_overruled = |judged, taken_back| super::is_overruled(judged, &object(taken_back));
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
