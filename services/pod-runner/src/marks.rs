//! What is written on pods, and read off them.

use argosy_api::labels;
use argosy_api::message::CommandMessage;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

use crate::metrics;

/// Whether all its containers have ended for good.
pub(crate) fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// How far the log was stepped when the pod was wished for, if it says so.
pub(crate) fn wished_at(pod: &ObjectMeta) -> Option<u64> {
    pod.annotations.as_ref()?.get(labels::WISHED_AT)?.parse().ok()
}

/// Whether the pod came of a wish that was uttered after the command: a node of a workflow that is retried has another pod of
/// the same name, and a command may be delivered again, or late, when that is there already.
pub(crate) fn is_of_later_wish(pod: &ObjectMeta, command: &CommandMessage) -> bool {
    let is_later = wished_at(pod).is_some_and(|at| at > command.sequence);
    if is_later {
        metrics::STALE.inc();
    }
    is_later
}

/// Puts on a manifest whose pod it is, and what of.
///
/// Errors: the field that is no map.
pub(crate) fn put(manifest: &mut Value, command: &CommandMessage, shard: &str) -> Result<(), &'static str> {
    let marks = [
        (labels::WORKFLOW_UID, command.workflow_uid.as_str()),
        (labels::SHARD, shard),
        (labels::WORKFLOW, command.workflow.as_str()),
    ];
    let labels = members_of(manifest, "labels").ok_or("labels")?;
    labels.extend(marks.map(|(label, value)| (label.to_owned(), json!(value))));
    let annotations = members_of(manifest, "annotations").ok_or("annotations")?;
    annotations.insert(labels::WISHED_AT.to_owned(), json!(command.sequence.to_string()));
    Ok(())
}

/// The labels or annotations of a manifest, made when there are none; `None` when they are no map, or the manifest is no
/// object's.
fn members_of<'m>(manifest: &'m mut Value, field: &str) -> Option<&'m mut Map<String, Value>> {
    let metadata = manifest.as_object_mut()?.entry("metadata").or_insert_with(|| json!({}));
    metadata.as_object_mut()?.entry(field).or_insert_with(|| json!({})).as_object_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_of_a_later_wish_when_it_says_so() {
        let command = |sequence: u64| -> CommandMessage {
            let message = json!({"schema": 1, "at": "2026-01-01T00:00:00Z", "epoch": 1, "sequence": sequence,
                "namespace": "ns", "workflow": "w", "workflowUid": "u", "nodeId": "n", "kind": "stopPod", "name": "p"});
            serde_json::from_value(message).expect("a command")
        };
        let pod = |wished_at: &str| -> ObjectMeta {
            let annotations = Some([(labels::WISHED_AT.to_owned(), wished_at.to_owned())].into());
            ObjectMeta { annotations, ..ObjectMeta::default() }
        };
        assert!(is_of_later_wish(&pod("8"), &command(7)));
        assert!(!is_of_later_wish(&pod("7"), &command(7)), "one step may wish for a pod and take it back");
        assert!(!is_of_later_wish(&pod("6"), &command(7)));
        assert!(!is_of_later_wish(&pod("x"), &command(7)) && !is_of_later_wish(&ObjectMeta::default(), &command(7)));
    }
}
