//! Whether a pod can run on this machine at all.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

/// What a cluster's scheduler says of a pod that no node fits.
pub const UNFIT: &str = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.";

/// True unless the pod's `nodeSelector` wants another processor or system than this machine's. Any other label a
/// laptop is taken to have: it stands in for every node of a cluster.
pub(super) fn fits(pod: &Pod) -> bool {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let wanted = pod.spec.as_ref().and_then(|spec| spec.node_selector.as_ref());
    wanted.into_iter().flatten().all(|(label, value)| match label.trim_start_matches("beta.") {
        "kubernetes.io/arch" => value == arch,
        "kubernetes.io/os" => value == std::env::consts::OS,
        _ => true,
    })
}

/// Reports that the pod waits for a node that will never come.
pub(super) async fn report_unfit(client: &Client, pod: &Pod) {
    let (Some(namespace), Some(name)) = (&pod.metadata.namespace, &pod.metadata.name) else { return };
    let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": UNFIT});
    let status = json!({"status": {"phase": "Pending", "conditions": [condition]}});
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    if let Err(error) = pods.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await {
        tracing::warn!(error = &error as &dyn std::error::Error, pod = %name, "cannot report an unschedulable pod");
    }
}

#[cfg(test)]
mod tests {
    use super::fits;
    use serde_json::json;

    fn wants(label: &str, value: &str) -> bool {
        let pod = json!({"metadata": {}, "spec": {"containers": [], "nodeSelector": {label: value}}});
        fits(&serde_json::from_value(pod).expect("a pod"))
    }

    #[test]
    fn only_processor_and_system_count() {
        assert!(!wants("kubernetes.io/arch", "no-such-arch"));
        assert!(!wants("beta.kubernetes.io/arch", "no-such-arch"));
        assert!(!wants("kubernetes.io/os", "plan9"));
        assert!(wants("kubernetes.io/os", std::env::consts::OS));
        assert!(wants("pool", "gpu"));
    }
}
