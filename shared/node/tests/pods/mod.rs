//! What a pod's status says.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};

pub fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default()
}

pub fn ended(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

pub fn running(pod: &Pod) -> bool {
    phase(pod) == "Running"
}

pub fn ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
    conditions.into_iter().any(|c| c.type_ == "Ready" && c.status == "True")
}

pub fn terminated(pod: &Pod, container: &str) -> Option<ContainerStateTerminated> {
    let status = pod.status.as_ref()?;
    let mut all = status.container_statuses.iter().flatten().chain(status.init_container_statuses.iter().flatten());
    all.find(|c| c.name == container)?.state.clone()?.terminated
}
