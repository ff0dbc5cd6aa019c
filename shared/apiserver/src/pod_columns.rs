//! The columns of pods: readiness, restarts and the one word for how a pod is.

use serde_json::json;

use super::column::{AGE, Column, NAME, at, text, wide};
use super::json::Json;
use super::object::Object;

pub(super) static PODS: [Column; 7] = [
    NAME,
    text("Ready", |pod, _| {
        let all = list(pod, "spec", "containers").len();
        let ready = list(pod, "status", "containerStatuses")
            .iter()
            .filter(|c| c.get("ready").and_then(Json::as_bool) == Some(true))
            .count();
        json!(format!("{ready}/{all}"))
    }),
    text("Status", |pod, _| json!(word(pod))),
    text("Restarts", |pod, _| {
        let restarts: i64 =
            list(pod, "status", "containerStatuses").iter().filter_map(|c| c.get("restartCount")?.as_i64()).sum();
        json!(restarts.to_string())
    }),
    AGE,
    wide(text("IP", |pod, _| none_if_empty(pod, &["status", "podIP"]))),
    wide(text("Node", |pod, _| none_if_empty(pod, &["spec", "nodeName"]))),
];

fn none_if_empty(pod: &Object, path: &[&str]) -> serde_json::Value {
    match pod.tree.str_at(path) {
        None => json!("<none>"),
        Some(_) => at(pod, path),
    }
}

fn list<'a>(pod: &'a Object, part: &str, name: &str) -> &'a [Json] {
    pod.tree.at(&[part, name]).and_then(Json::as_array).unwrap_or(&[])
}

/// The word in the STATUS column: the most telling reason of a container, else the phase.
fn word(pod: &Object) -> String {
    let phase = pod.tree.str_at(&["status", "phase"]).unwrap_or("");
    let reason = pod.tree.str_at(&["status", "reason"]);
    if pod.is_deleting() {
        return match reason {
            Some("NodeLost") => "Unknown".to_owned(),
            _ => "Terminating".to_owned(),
        };
    }
    if let Some(word) = init_word(pod) {
        return word;
    }
    // A kubelet reports containers by name, and of those that say something the first counts.
    let mut containers: Vec<&Json> = list(pod, "status", "containerStatuses").iter().collect();
    containers.sort_by_key(|container| container.str_at(&["name"]));
    let running = containers.iter().any(|c| c.at(&["state", "running"]).is_some());
    let telling = containers.iter().copied().find_map(container_word);
    match telling {
        // One container is done while another still runs.
        Some(word) if word == "Completed" && running => "Running".to_owned(),
        Some(word) => word,
        None => reason.unwrap_or(phase).to_owned(),
    }
}

fn init_word(pod: &Object) -> Option<String> {
    let statuses = list(pod, "status", "initContainerStatuses");
    let total = list(pod, "spec", "initContainers").len();
    for (place, status) in statuses.iter().enumerate() {
        let done = status.at(&["state", "terminated", "exitCode"]).and_then(Json::as_i64) == Some(0);
        if done {
            continue;
        }
        return Some(match container_word(status).filter(|w| w != "PodInitializing") {
            Some(word) => format!("Init:{word}"),
            None => format!("Init:{place}/{total}"),
        });
    }
    None
}

fn container_word(status: &Json) -> Option<String> {
    if let Some(reason) = status.str_at(&["state", "waiting", "reason"]) {
        return Some(reason.to_owned());
    }
    let ended = status.at(&["state", "terminated"])?;
    if let Some(reason) = ended.str_at(&["reason"]) {
        return Some(reason.to_owned());
    }
    let number = |name| ended.get(name).and_then(Json::as_i64).unwrap_or(0);
    Some(match number("signal") {
        0 => format!("ExitCode:{}", number("exitCode")),
        signal => format!("Signal:{signal}"),
    })
}
