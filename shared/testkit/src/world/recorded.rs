//! Pods that do what the pods of a recorded run did.

use std::{collections::HashMap, sync::LazyLock};

use argosy_api::{
    ArcStr,
    message::{ContainerSummary, PodPhase, PodSummary},
    v1alpha1::{self as api, NodePhase, NodeStatus, NodeType},
};
use jiff::SignedDuration;
use regex::Regex;
use serde_json::Value;

use super::{Oracle, Script};

/// The outcomes of a recorded run, by node id. A pod that the recording does not have succeeds at once.
#[derive(Debug, Default)]
pub struct Recorded {
    nodes: HashMap<ArcStr, NodeStatus>,
    /// Names of templates that are daemons.
    daemons: Vec<ArcStr>,
}

impl Recorded {
    /// Errors: the recorded object does not read as a Workflow.
    pub fn new(golden: &Value) -> Result<Self, serde_json::Error> {
        let object: api::Workflow = api::from_value(golden.clone())?;
        let daemons =
            object.spec.templates.iter().filter(|t| t.daemon == Some(true)).map(|t| t.name.as_str().into()).collect();
        Ok(Self { nodes: object.status.nodes.into_iter().collect(), daemons })
    }
}

const RUNNING_AFTER: SignedDuration = SignedDuration::from_millis(200);
const SHORTEST: SignedDuration = SignedDuration::from_millis(400);
/// Of a pod that did not fit on any machine.
const NEVER_RAN: &str = "Step exceeded its deadline";
const DEADLINE: &str = "Pod was active on the node longer than the specified deadline";

impl Oracle for Recorded {
    fn script(&self, node: &NodeStatus, manifest: &Value, blank: PodSummary) -> Script {
        let fallback = NodeStatus { phase: NodePhase::Succeeded, ..Default::default() };
        let golden = self.nodes.get(&node.id).unwrap_or(&fallback);
        let mut pending = PodSummary { phase: PodPhase::Pending, ..blank };
        pending.init_containers = containers(manifest, "initContainers", NodePhase::Pending);
        pending.containers = containers(manifest, "containers", NodePhase::Pending);
        if golden.message == NEVER_RAN {
            pending.unschedulable = "Unschedulable: 0/1 nodes are available".to_owned();
            return vec![(SignedDuration::from_millis(10), pending)];
        }
        if golden.phase == NodePhase::Pending && !golden.message.is_empty() {
            // It was given up before it ran.
            pending.containers.iter_mut().for_each(|c| c.reason = golden.message.to_string());
            return vec![(SignedDuration::from_millis(10), pending)];
        }
        let failures = self.failures(golden);
        if let Some(failed) = pending.init_containers.iter().position(|c| failures.contains_key(&c.name)) {
            return vec![(SHORTEST, ended_before(pending, failed, &failures))];
        }
        let mut running = running(&pending, golden);
        // A daemon that failed never became ready, or its dependents would have begun.
        running.ready = golden.phase == NodePhase::Succeeded || !self.daemons.contains(&golden.template_name);
        let mut script = vec![(SignedDuration::from_millis(10), pending), (RUNNING_AFTER, running.clone())];
        let is_daemon = self.daemons.contains(&golden.template_name);
        if !(is_daemon && golden.phase == NodePhase::Succeeded) {
            script.push((duration(golden), ended(running, golden, &failures)));
        }
        script
    }

    fn refusal(&self, node: &NodeStatus) -> Option<String> {
        let golden = self.nodes.get(&node.id).filter(|n| n.phase == NodePhase::Error && n.outputs.is_none())?;
        let text = golden.message.split_once("' errored: ").map_or(golden.message.as_str(), |(_, text)| text);
        ["Pod \"", "pods \""].iter().any(|start| text.starts_with(start)).then(|| text.to_owned())
    }
}

impl Recorded {
    /// The containers of a pod that failed, by name: with exit code, and with what they said.
    fn failures(&self, golden: &NodeStatus) -> HashMap<String, (i32, String)> {
        let of_set = |n: &&NodeStatus| n.r#type == NodeType::Container && n.boundary_id == golden.id;
        let containers = self.nodes.values().filter(of_set).map(|n| n.message.as_str());
        let messages = std::iter::once(golden.message.as_str()).chain(containers);
        messages.filter_map(failure).map(|(name, code, text)| (name.to_owned(), (code, text.to_owned()))).collect()
    }
}

/// The pod whose init container at this place failed: nothing after it has begun.
fn ended_before(mut pod: PodSummary, failed: usize, failures: &HashMap<String, (i32, String)>) -> PodSummary {
    for container in pod.init_containers.iter_mut().take(failed + 1) {
        let (code, text) = failures.get(&container.name).cloned().unwrap_or_default();
        end_container(container, code, &text);
    }
    pod.phase = PodPhase::Failed;
    pod
}

fn running(pending: &PodSummary, golden: &NodeStatus) -> PodSummary {
    let mut running = pending.clone();
    running.phase = PodPhase::Running;
    running.ready = true;
    running.pod_ip = if golden.pod_ip.is_empty() { "10.0.0.1".to_owned() } else { golden.pod_ip.to_string() };
    running.host_node_name = golden.host_node_name.to_string();
    for container in &mut running.init_containers {
        end_container(container, 0, "");
    }
    for container in &mut running.containers {
        container.phase = NodePhase::Running;
        container.ready = true;
    }
    running
}

fn ended(mut pod: PodSummary, golden: &NodeStatus, failures: &HashMap<String, (i32, String)>) -> PodSummary {
    let outputs = golden.outputs.as_deref().cloned().unwrap_or_default();
    let main_code = outputs.exit_code.as_deref().and_then(|c| c.parse().ok());
    pod.ready = false;
    let is_success = golden.phase == NodePhase::Succeeded;
    for container in &mut pod.containers {
        match failures.get(&container.name) {
            Some((code, message)) => end_container(container, *code, message),
            None if container.name == "main" => {
                end_container(container, main_code.unwrap_or(i32::from(!is_success)), "")
            }
            None => end_container(container, 0, ""),
        }
    }
    let all_succeeded = pod.containers.iter().all(|c| c.exit_code == Some(0));
    pod.phase = if all_succeeded { PodPhase::Succeeded } else { PodPhase::Failed };
    if golden.message == DEADLINE {
        pod.phase = PodPhase::Failed;
        pod.reason = "DeadlineExceeded".to_owned();
        pod.message = DEADLINE.to_owned();
    }
    let outputs = api::Outputs { exit_code: None, ..outputs };
    pod.outputs = Some(outputs);
    if !matches!(golden.progress.as_str(), "" | "0/1" | "1/1") {
        pod.progress = Some(golden.progress.to_string());
    }
    pod.resources_duration = golden.resources_duration.clone();
    pod
}

fn duration(golden: &NodeStatus) -> SignedDuration {
    match (golden.started_at, golden.finished_at) {
        // Times are recorded in whole seconds, and what has ended is seen a little later.
        (Some(started), Some(finished)) => finished.0.duration_since(started.0).max(SHORTEST) + RUNNING_AFTER,
        _ => SHORTEST,
    }
}

/// The container that a message says has failed: its name, its code and what it said.
fn failure(message: &str) -> Option<(&str, i32, &str)> {
    static FAILURE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:^|; )([a-z0-9-]+): (?:Error|OOMKilled) \(exit code (\d+)\)(?:: ((?s).*))?$")
            .expect("a constant that a test compiles")
    });
    let found = FAILURE.captures(message)?;
    let text = |group: usize| found.get(group).map_or("", |m| m.as_str());
    Some((text(1), text(2).parse().unwrap_or(1), text(3)))
}

fn containers(manifest: &Value, key: &str, phase: NodePhase) -> Vec<ContainerSummary> {
    let list = manifest["spec"][key].as_array().map(Vec::as_slice).unwrap_or_default();
    let name = |c: &Value| c["name"].as_str().unwrap_or_default().to_owned();
    list.iter().map(|c| ContainerSummary { name: name(c), phase, ..Default::default() }).collect()
}

fn end_container(container: &mut ContainerSummary, code: i32, message: &str) {
    container.phase = if code == 0 { NodePhase::Succeeded } else { NodePhase::Failed };
    container.exit_code = Some(code);
    container.reason = if code == 0 { "Completed" } else { "Error" }.to_owned();
    container.message = message.to_owned();
    container.ready = false;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_come_out_of_messages() {
        assert_eq!(failure("main: Error (exit code 1)"), Some(("main", 1, "")));
        assert_eq!(
            failure("wait: Error (exit code 64): open /x: no such file; "),
            Some(("wait", 64, "open /x: no such file; "))
        );
        assert_eq!(failure("child 'x' failed"), None);
    }
}
