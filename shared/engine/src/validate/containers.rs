//! Templates that do work themselves: their containers, mounts, deadlines, resources.

use std::collections::BTreeSet;

use argosy_api::v1alpha1::*;
use serde_json::Value;

use super::kinds;

/// Names of our own containers.
const RESERVED: [&str; 4] = ["init", "wait", "supervisor", "agent"];

/// What is wrong with a template of `kind`, apart from variables and outputs.
pub(super) fn check(template: &Template, kind: &str) -> Vec<String> {
    let place = format!("templates.{}", template.name);
    let mut problems = Vec::new();
    companions(&place, template, &mut problems);
    if template.container.as_ref().is_some_and(|c| c.image.is_empty()) {
        problems.push(format!("{place}.container.image may not be empty"));
    }
    if template.script.as_ref().is_some_and(|s| s.container.image.is_empty()) {
        problems.push(format!("{place}.script.image may not be empty"));
    }
    mounts(&place, template, &mut problems);
    if let Some(set) = &template.container_set {
        container_set(&place, template, set, &mut problems);
    }
    if let Some(deadline) = &template.active_deadline_seconds {
        let fits = match deadline {
            IntOrString::Int(seconds) => *seconds > 0,
            IntOrString::Text(text) => text.contains("{{") || text.trim().parse::<i64>().is_ok_and(|s| s > 0),
        };
        if !fits {
            problems.push(format!("{place}.activeDeadlineSeconds must be a positive integer > 0 or an argo variable"));
        }
    }
    if let Some(resources) = &template.pod_resources {
        if kinds::has_pod(kind) {
            pod_resources(&format!("{place}.podResources"), resources, &mut problems);
        } else {
            problems.push(format!("{place}.podResources is not supported for {kind} templates"));
        }
    }
    if !template.resource_claims.is_empty() && !kinds::has_pod(kind) {
        problems
            .push(format!("{place}.resourceClaims is not supported for {kind} templates, which do not create a pod"));
    }
    problems
}

fn companions(place: &str, template: &Template, problems: &mut Vec<String>) {
    for (list, word) in [(&template.init_containers, "initContainers"), (&template.sidecars, "sidecars")] {
        if list.iter().any(|c| c.container.name.is_empty()) {
            problems.push(format!("{word} must all have container name"));
        }
        for container in list.iter().filter(|c| RESERVED.contains(&c.container.name.as_str())) {
            problems
                .push(format!("{place}.{word}: \"{}\" is a reserved Argo container name", container.container.name));
        }
    }
}

fn mounts(place: &str, template: &Template, problems: &mut Vec<String>) {
    let container = template.container.as_ref().map(|c| (c, "container"));
    let Some((container, word)) = container.or(template.script.as_ref().map(|s| (&s.container, "script"))) else {
        return;
    };
    let member = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    for (index, artifact) in template.inputs.artifacts.iter().enumerate().filter(|(_, a)| !a.path.is_empty()) {
        for mount in container.volume_mounts.iter().filter(|m| m["mountPath"] == artifact.path.as_str()) {
            problems.push(format!(
                "{place}.inputs.artifacts[{index}].path '{}' already mounted in {word}.volumeMounts.{}",
                artifact.path,
                member(mount, "name")
            ));
        }
    }
}

fn container_set(place: &str, template: &Template, set: &ContainerSetTemplate, problems: &mut Vec<String>) {
    let place = format!("{place}.containerSet.containers");
    if set.containers.is_empty() {
        problems.push(format!("{place} must have at least one container"));
    }
    let names: Vec<&str> = set.containers.iter().map(|c| c.container.name.as_str()).collect();
    problems.extend(super::names::list(&place, names.iter().copied(), true));
    for name in names.iter().filter(|n| RESERVED.contains(n)) {
        problems.push(format!("{place}: \"{name}\" is a reserved Argo container name"));
    }
    let has_files = !template.inputs.artifacts.is_empty()
        || !template.outputs.artifacts.is_empty()
        || template.outputs.parameters.iter().any(|p| p.value_from.as_ref().is_some_and(|v| !v.path.is_empty()));
    if has_files && !names.contains(&"main") {
        problems.push(format!("{place} must have a container named \"main\" for input or output"));
    }
    for node in &set.containers {
        for dependency in node.dependencies.iter().filter(|d| !names.contains(&d.as_str())) {
            problems.push(format!("{place}.{} dependency '{dependency}' not defined", node.container.name));
        }
    }
    if has_cycle(set) {
        problems.push(format!("{place} dependency cycle detected"));
    }
}

/// True when some containers wait for each other: taking away those that wait for none never takes away all.
fn has_cycle(set: &ContainerSetTemplate) -> bool {
    let defined: BTreeSet<&str> = set.containers.iter().map(|c| c.container.name.as_str()).collect();
    let mut left: Vec<&ContainerNode> = set.containers.iter().collect();
    loop {
        let waiting: BTreeSet<&str> = left.iter().map(|c| c.container.name.as_str()).collect();
        let before = left.len();
        left.retain(|c| c.dependencies.iter().any(|d| defined.contains(d.as_str()) && waiting.contains(d.as_str())));
        if left.len() == before {
            return !left.is_empty();
        }
    }
}

/// What of `resources` a pod as a whole cannot have.
pub(super) fn pod_resources(place: &str, resources: &Value, problems: &mut Vec<String>) {
    if resources.get("claims").and_then(Value::as_array).is_some_and(|c| !c.is_empty()) {
        problems.push(format!("{place}.claims is not supported for pod-level resources"));
    }
    let lists = [resources.get("limits"), resources.get("requests")];
    for name in lists.into_iter().flatten().filter_map(Value::as_object).flat_map(|l| l.keys()) {
        if !matches!(name.as_str(), "cpu" | "memory") && !name.starts_with("hugepages-") {
            problems.push(format!(
                "{place}: \"{name}\" is not a valid pod-level resource, only cpu, memory and hugepages-* are supported"
            ));
        }
    }
}
