//! Resources times duration, per pod. Source: Argo `util/resource/duration.go`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};

/// What a container is counted with when it asks for nothing: a tenth of a core, 100 MiB.
const DEFAULTS: [(&str, f64); 2] = [("cpu", 0.1), ("memory", MEMORY_UNIT)];
const MEMORY_UNIT: f64 = 100.0 * 1024.0 * 1024.0;
const STORAGE_UNIT: f64 = 10.0 * 1024.0 * 1024.0 * 1024.0;

/// Seconds times requested quantity of each resource, over all containers: cores, units of 100 MiB of memory, of 10 GiB
/// of storage, and pieces of anything else. A container that still runs counts up to `now`.
pub fn resources_duration(pod: &Pod, now: Timestamp) -> BTreeMap<String, i64> {
    let mut total = BTreeMap::new();
    let Some(spec) = &pod.spec else { return total };
    let status = pod.status.as_ref();
    let statuses: Vec<&ContainerStatus> = status
        .into_iter()
        .flat_map(|status| status.init_container_statuses.iter().chain(&status.container_statuses).flatten())
        .collect();
    for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
        let seconds =
            statuses.iter().find(|status| status.name == container.name).map_or(0, |status| seconds(status, now));
        for (resource, quantity) in requested(container) {
            let unit = match resource.as_str() {
                "memory" => MEMORY_UNIT,
                "storage" | "ephemeral-storage" => STORAGE_UNIT,
                _ => 1.0,
            };
            // Whole seconds per container, as in Argo.
            let total = total.entry(resource).or_insert(0_i64);
            *total = total.saturating_add((seconds as f64 * quantity / unit) as i64);
        }
    }
    total
}

fn requested(container: &Container) -> BTreeMap<String, f64> {
    let mut quantities: BTreeMap<String, f64> =
        DEFAULTS.iter().map(|(name, quantity)| ((*name).to_owned(), *quantity)).collect();
    if let Some(resources) = &container.resources {
        for (name, quantity) in resources.limits.iter().chain(&resources.requests).flatten() {
            if let Some(quantity) = parse(&quantity.0) {
                quantities.insert(name.clone(), quantity);
            }
        }
    }
    quantities
}

fn seconds(status: &ContainerStatus, now: Timestamp) -> i64 {
    let Some(state) = &status.state else { return 0 };
    let (start, end) = match (&state.terminated, &state.running) {
        (Some(terminated), _) => (terminated.started_at.as_ref(), terminated.finished_at.as_ref().map(|time| time.0)),
        (None, Some(running)) => (running.started_at.as_ref(), Some(now)),
        (None, None) => (None, None),
    };
    match (start, end) {
        (Some(start), Some(end)) => end.duration_since(start.0).as_secs().max(0),
        _ => 0,
    }
}

/// A Kubernetes quantity as a number. Source: Kubernetes `resource.Quantity`.
fn parse(text: &str) -> Option<f64> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024.0_f64.powi(4),
        "Pi" => 1024.0_f64.powi(5),
        "Ei" => 1024.0_f64.powi(6),
        // Exponents: `1e3`.
        _ => return text.parse().ok(),
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities() {
        for (text, number) in
            [("100m", 0.1), ("2", 2.0), ("1.5Gi", 1.5 * 1024.0 * 1024.0 * 1024.0), ("1e3", 1000.0), ("5k", 5000.0)]
        {
            assert_eq!(parse(text), Some(number), "{text}");
        }
        assert_eq!(parse("many"), None);
    }

    #[test]
    fn requests_and_limits_count_for_as_long_as_the_container_ran() {
        // The cases of Argo's TestDurationForPod.
        let pod = |resources: serde_json::Value, finished: &str| {
            let state =
                json!({"terminated": {"exitCode": 0, "startedAt": "2024-01-01T00:00:00Z", "finishedAt": finished}});
            serde_json::from_value::<Pod>(json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {},
                "spec": {"containers": [{"name": "main", "resources": resources}]},
                "status": {"containerStatuses": [{"name": "main", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state}]},
            }))
            .expect("a pod")
        };
        let of = |pod: &Pod| json!(resources_duration(pod, Timestamp::UNIX_EPOCH));
        assert_eq!(of(&Pod::default()), json!({}));
        let minute = pod(json!({"requests": {"cpu": "2000m"}}), "2024-01-01T00:01:00Z");
        assert_eq!(of(&minute), json!({"cpu": 120, "memory": 60}));
        let three =
            pod(json!({"requests": {"cpu": "2000m"}, "limits": {"nvidia.com/gpu": "1"}}), "2024-01-01T00:03:00Z");
        assert_eq!(of(&three), json!({"cpu": 360, "memory": 180, "nvidia.com/gpu": 180}));
    }

    #[test]
    fn what_no_machine_has_is_counted_as_much_as_can_be() {
        let ended = |name: &str| {
            let state = json!({"terminated": {"exitCode": 0, "startedAt": "2024-01-01T00:00:00Z",
                "finishedAt": "2024-01-01T01:00:00Z"}});
            json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state})
        };
        let huge = json!({"requests": {"cpu": "99999999E", "memory": "1e300", "storage": "-1e300", "gpu": "NaN"}});
        let containers = ["main", "wait", "more"].map(|name| json!({"name": name, "resources": huge}));
        let pod: Pod = serde_json::from_value(json!({"metadata": {}, "spec": {"containers": containers},
            "status": {"containerStatuses": [ended("main"), ended("wait"), ended("more")]}}))
        .expect("a pod");
        let expected = json!({"cpu": i64::MAX, "memory": i64::MAX, "storage": i64::MIN, "gpu": 0});
        assert_eq!(json!(resources_duration(&pod, Timestamp::UNIX_EPOCH)), expected);
    }
}
