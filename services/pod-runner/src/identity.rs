//! Whose pod a pod is.

use argosy_actor::Host;
use argosy_api::labels;
use argosy_workflows::WorkflowKey;
use k8s_openapi::api::core::v1::Pod;

use crate::known::PodKey;

/// The workflow of a pod of ours, and the pod's own uid: its controller is a Workflow, its labels say the same, and it stands
/// in the shard that they name. `None` for anybody else's pod, whatever its labels say.
pub(crate) fn key_of(host: &Host, pod: &Pod) -> Option<(PodKey, String)> {
    let meta = &pod.metadata;
    let owner = meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))?;
    let all = meta.labels.as_ref()?;
    let is_ours = owner.kind == "Workflow"
        && owner.api_version.starts_with("argoproj.io/")
        && all.get(labels::WORKFLOW_UID) == Some(&owner.uid)
        && all.get(labels::SHARD) == Some(&host.shard_of(&owner.uid).to_string());
    let workflow = WorkflowKey { uid: owner.uid.clone(), namespace: meta.namespace.clone()?, name: owner.name.clone() };
    is_ours.then_some((PodKey { workflow, pod: meta.name.clone()? }, meta.uid.clone()?))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    fn key(pod: &Value) -> Option<PodKey> {
        let bus = Arc::new(argosy_bus::memory::Memory::new());
        let host = Host::new(bus, "t", 1);
        key_of(&host, &serde_json::from_value(pod.clone()).expect("a pod")).map(|(key, _)| key)
    }

    #[test]
    fn labels_alone_make_no_pod_of_ours() {
        let ours = json!({"metadata": {
            "name": "p", "namespace": "ns", "uid": "pu",
            "labels": {labels::WORKFLOW_UID: "u", labels::SHARD: "0", labels::WORKFLOW: "w"},
            "ownerReferences": [{"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": "w", "uid": "u", "controller": true}],
        }});
        let workflow = WorkflowKey { uid: "u".into(), namespace: "ns".into(), name: "w".into() };
        assert_eq!(key(&ours), Some(PodKey { workflow, pod: "p".into() }));
        for (pointer, forged) in [
            ("/metadata/ownerReferences", json!([])),
            ("/metadata/ownerReferences/0/uid", json!("other")),
            ("/metadata/ownerReferences/0/kind", json!("Job")),
            ("/metadata/ownerReferences/0/controller", json!(false)),
            ("/metadata/labels", json!({labels::WORKFLOW_UID: "u", labels::SHARD: "1"})),
        ] {
            let mut pod = ours.clone();
            *pod.pointer_mut(pointer).expect("a member") = forged;
            assert_eq!(key(&pod), None, "{pointer}");
        }
    }
}
