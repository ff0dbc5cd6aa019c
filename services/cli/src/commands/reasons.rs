//! Why a workflow did not succeed, in a few lines.

use std::collections::HashSet;

use argosy_api::labels;
use argosy_api::v1alpha1::{NodeStatus, NodeType, Workflow, WorkflowPhase};
use argosy_client::{named, order::Order, read};
use serde_json::Value;

use crate::terminal;

/// Steps that are told; of more, those that ended first, as the others often follow from them.
const STEPS_MAX: usize = 3;

/// The message of the workflow, the steps that failed with theirs, and how to see more; nothing of one that succeeded, or
/// that cannot be read. `argosy` is how the command line is called so that it finds the workflow.
pub fn of(value: &Value, argosy: &str) -> String {
    let Ok(workflow) = read::readable_value(value) else { return String::new() };
    if !matches!(workflow.status.phase, WorkflowPhase::Failed | WorkflowPhase::Error) {
        return String::new();
    }
    let name = terminal::word(&workflow.metadata.name);
    let mut text = String::new();
    let message = named::message(&workflow, &workflow.status.message);
    if !message.is_empty() {
        text.push_str(&format!("{}: {}\n", terminal::line(&workflow.metadata.name), terminal::line(&message)));
    }
    if let Some(why) = workflow.metadata.annotations.get(labels::STOP_MESSAGE) {
        text.push_str(&format!("  stopped because: {}\n", terminal::line(why)));
    }
    let failed = failed(&workflow);
    // A workflow of one step has its step's message.
    let is_alone = |node: &NodeStatus| node.id == workflow.metadata.name && node.message == workflow.status.message;
    for node in failed.iter().take(STEPS_MAX).filter(|node| !is_alone(node)) {
        let message = named::message(&workflow, &node.message);
        let message = if message.is_empty() { node.phase.as_str() } else { &message };
        text.push_str(&format!("  {}: {}\n", terminal::line(&named::step(&workflow, node)), terminal::line(message)));
    }
    if failed.len() > STEPS_MAX {
        text.push_str(&format!("  {} more failed\n", failed.len() - STEPS_MAX));
    }
    text.push_str(&format!("  more: {argosy} logs {name}   or   {argosy} why {name}\n"));
    text
}

/// The steps that failed by themselves, not because of others below them; first those that ended first. Of attempts the
/// last one counts, which stands for the step.
fn failed(workflow: &Workflow) -> Vec<&NodeStatus> {
    let nodes = &workflow.status.nodes;
    let attempts: HashSet<&str> = nodes
        .values()
        .filter(|node| node.r#type == NodeType::Retry)
        .flat_map(|retry| {
            let prefix = format!("{}(", retry.name);
            let children = retry.children.iter().filter_map(|id| nodes.get(id));
            children.filter(move |node| node.name.starts_with(&prefix)).map(|node| node.id.as_str())
        })
        .collect();
    let is_own = |node: &&NodeStatus| match node.r#type {
        NodeType::Pod | NodeType::Suspend | NodeType::Skipped | NodeType::Http | NodeType::Plugin => {
            !attempts.contains(node.id.as_str())
        }
        NodeType::Retry => true,
        NodeType::Unknown
        | NodeType::Container
        | NodeType::Steps
        | NodeType::StepGroup
        | NodeType::Dag
        | NodeType::TaskGroup => node.children.is_empty(),
    };
    let mut failed: Vec<_> = nodes.values().filter(|node| node.phase.is_failed_or_error()).filter(is_own).collect();
    let order = Order::new(workflow);
    failed.sort_by_key(|node| order.last(node));
    failed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_steps_that_failed_are_told_with_their_messages() {
        let node = |id: &str, kind: &str, phase: &str, message: &str, children: &[&str]| {
            json!({ "id": id, "name": id, "displayName": id, "type": kind, "phase": phase, "message": message,
                "children": children, "finishedAt": "2026-01-01T00:00:00Z" })
        };
        let nodes = json!({
            "w": node("w", "Steps", "Failed", "child 'w.b' failed", &["w.b"]),
            "w.a": node("w.a", "Pod", "Succeeded", "", &[]),
            "w.b": node("w.b", "Retry", "Failed", "No more retries left", &["w.b(0)"]),
            "w.b(0)": node("w.b(0)", "Pod", "Failed", "main: Error (exit code 1)", &[]),
            "w.c": node("w.c", "Pod", "Error", "", &[]),
        });
        let mut value = json!({ "metadata": { "name": "w" }, "spec": {},
            "status": { "phase": "Failed", "message": "child 'w.b' failed", "nodes": nodes } });
        let told = of(&value, "argosy");
        assert!(told.starts_with("w: child 'w.b' failed\n"), "{told}");
        assert!(told.contains("  b: No more retries left\n") && told.contains("  c: Error\n"), "{told}");
        assert!(told.ends_with("  more: argosy logs w   or   argosy why w\n") && told.lines().count() == 4, "{told}");
        value["status"]["phase"] = json!("Succeeded");
        assert_eq!(of(&value, "argosy"), "");
    }
}
