//! What a pod looks like from outside, cut to what the engine decides from. No IO.

use argosy_api::executor::{Report, WAIT};
use argosy_api::labels;
use argosy_api::message::{ContainerSummary, PodPhase, PodSummary};
use argosy_api::v1alpha1::NodePhase;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};

use crate::{duration::resources_duration, marks};

/// The summary of a pod, and the report that its `wait` container left. Outputs that lie in a WorkflowTaskResult are not
/// in the summary.
pub fn summarize(pod: &Pod, now: Timestamp) -> (PodSummary, Option<Report>) {
    let meta = &pod.metadata;
    let annotation = |key: &str| meta.annotations.as_ref().and_then(|all| all.get(key)).cloned();
    let empty = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&empty);
    let phase = PodPhase::from(status.phase.as_deref().unwrap_or_default());
    let mut containers = containers(status.container_statuses.as_deref());
    let report = take_report(&mut containers);
    let is_cut = report.is_none() && wait_of(&containers).is_some_and(|wait| Report::is_cut(&wait.message));
    let summary = PodSummary {
        node_id: annotation(labels::NODE_ID).unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        wished_at: marks::wished_at(meta).unwrap_or_default(),
        phase,
        reason: status.reason.clone().unwrap_or_default(),
        message: status.message.clone().unwrap_or_default(),
        unschedulable: unschedulable(status),
        pod_ip: status.pod_ip.clone().unwrap_or_default(),
        host_node_name: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
        ready: condition(status, "Ready").is_some_and(|condition| condition.status == "True"),
        deleting: meta.deletion_timestamp.is_some(),
        deleted: false,
        report_error: if is_cut { CUT.to_owned() } else { String::new() },
        init_containers: self::containers(status.init_container_statuses.as_deref()),
        containers,
        outputs: report.as_ref().and_then(|report| report.outputs.clone()),
        progress: report.as_ref().and_then(|report| report.progress.clone()).or_else(|| annotation(labels::PROGRESS)),
        // While it runs the sum grows by itself, which is no news.
        resources_duration: if phase.has_ended() { resources_duration(pod, now) } else { Default::default() },
    };
    (summary, report)
}

/// The kubelet cuts messages of pods with many containers, which `wait` may not know of.
const CUT: &str = "outputs are lost: the kubelet cut the report of the wait container, as the pod has more containers than \
    its template says; save large outputs as artifacts";

fn wait_of(containers: &[ContainerSummary]) -> Option<&ContainerSummary> {
    containers.iter().find(|container| container.name == WAIT && container.exit_code.is_some())
}

/// The report, taken out of the message of the container that left it.
fn take_report(containers: &mut [ContainerSummary]) -> Option<Report> {
    let wait = containers.iter_mut().find(|container| container.name == WAIT && container.exit_code.is_some())?;
    let report = Report::of_message(&wait.message)?;
    wait.message.clone_from(&report.error);
    Some(report)
}

fn containers(statuses: Option<&[ContainerStatus]>) -> Vec<ContainerSummary> {
    statuses.unwrap_or_default().iter().map(container).collect()
}

fn container(status: &ContainerStatus) -> ContainerSummary {
    let state = status.state.clone().unwrap_or_default();
    let base = ContainerSummary {
        name: status.name.clone(),
        phase: NodePhase::Pending,
        ready: status.ready,
        ..ContainerSummary::default()
    };
    match (state.terminated, state.running, state.waiting) {
        (Some(terminated), ..) => ContainerSummary {
            phase: if terminated.exit_code == 0 { NodePhase::Succeeded } else { NodePhase::Failed },
            exit_code: Some(terminated.exit_code),
            reason: terminated.reason.unwrap_or_default(),
            message: terminated.message.unwrap_or_default(),
            ..base
        },
        (None, Some(_), _) => ContainerSummary { phase: NodePhase::Running, ..base },
        (None, None, Some(waiting)) => ContainerSummary {
            reason: waiting.reason.unwrap_or_default(),
            message: waiting.message.unwrap_or_default(),
            ..base
        },
        (None, None, None) => base,
    }
}

fn condition<'a>(status: &'a PodStatus, kind: &str) -> Option<&'a k8s_openapi::api::core::v1::PodCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

fn unschedulable(status: &PodStatus) -> String {
    match condition(status, "PodScheduled").filter(|condition| condition.status == "False") {
        Some(condition) => {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            format!("{}: {}", text(&condition.reason), text(&condition.message))
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "p", "uid": "pu", "annotations": {labels::NODE_ID: "w-1"}},
            "spec": {"nodeName": "n1", "containers": [{"name": "main"}, {"name": "wait"}]},
            "status": status,
        }))
        .expect("a pod")
    }

    fn status_of(name: &str, state: Value) -> Value {
        json!({"name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state})
    }

    fn check(status: Value, expected: Value) {
        let (summary, _) = summarize(&pod(status.clone()), Timestamp::UNIX_EPOCH);
        let actual = serde_json::to_value(&summary).expect("JSON");
        for (key, value) in expected.as_object().expect("an object") {
            assert_eq!(&actual[key], value, "{key} of {status}");
        }
    }

    #[test]
    fn pods_are_cut_to_what_matters() {
        check(
            json!({"phase": "Pending"}),
            json!({"nodeId": "w-1", "name": "p", "uid": "pu", "phase": "Pending", "hostNodeName": "n1"}),
        );
        let unschedulable =
            json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room"}]);
        check(
            json!({"phase": "Pending", "conditions": unschedulable}),
            json!({"unschedulable": "Unschedulable: no room", "ready": false}),
        );
        let waiting = status_of("main", json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}));
        check(
            json!({"phase": "Pending", "containerStatuses": [waiting]}),
            json!({"containers": [{"name": "main", "phase": "Pending", "reason": "ImagePullBackOff", "message": "no such image", "ready": false}]}),
        );
        let running = status_of("main", json!({"running": {"startedAt": "2024-01-01T00:00:00Z"}}));
        check(
            json!({"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [running], "conditions": [{"type": "Ready", "status": "True"}]}),
            json!({"podIp": "10.0.0.1", "ready": true, "containers": [{"name": "main", "phase": "Running", "ready": false}]}),
        );
        let failed = status_of(
            "main",
            json!({"terminated": {"exitCode": 3, "reason": "Error", "startedAt": "2024-01-01T00:00:00Z",
            "finishedAt": "2024-01-01T00:00:10Z"}}),
        );
        check(
            json!({"phase": "Failed", "reason": "Evicted", "message": "disk", "containerStatuses": [failed]}),
            json!({"reason": "Evicted", "message": "disk", "resourcesDuration": {"cpu": 1, "memory": 10},
                "containers": [{"name": "main", "phase": "Failed", "exitCode": 3, "reason": "Error", "ready": false}]}),
        );
    }

    #[test]
    fn the_report_of_wait_becomes_outputs() {
        let wait = |message: &str| {
            let state = json!({"terminated": {"exitCode": 0, "message": message}});
            summarize(
                &pod(json!({"phase": "Succeeded", "containerStatuses": [status_of("wait", state)]})),
                Timestamp::UNIX_EPOCH,
            )
        };
        let (summary, report) = wait(r#"{"outputs": {"result": "hi", "exitCode": "0"}, "progress": "2/2"}"#);
        assert_eq!(summary.outputs.and_then(|outputs| outputs.result).as_deref(), Some("hi"));
        assert_eq!((summary.progress.as_deref(), summary.containers[0].message.as_str()), (Some("2/2"), ""));
        assert_eq!(report.and_then(|report| report.task_result), None);
        let (summary, report) = wait(r#"{"taskResult": "w-1"}"#);
        assert_eq!((summary.outputs, report.and_then(|report| report.task_result).as_deref()), (None, Some("w-1")));
        let (summary, _) = wait(r#"{"outputs": {"result": "hi"}, "error": "open /x: no such file or directory"}"#);
        assert_eq!(summary.containers[0].message, "open /x: no such file or directory");
        assert_eq!(summary.outputs.and_then(|outputs| outputs.result).as_deref(), Some("hi"));
        let (summary, report) = wait("killed");
        assert_eq!((summary.containers[0].message.as_str(), report), ("killed", None));
        assert_eq!(summary.report_error, "");
        let (summary, report) = wait(r#"{"outputs":{"result":"hi"#);
        assert!(summary.report_error.contains("the kubelet cut the report") && report.is_none());
    }
}
