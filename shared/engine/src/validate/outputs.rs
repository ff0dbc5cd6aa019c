//! Outputs of templates.

use argosy_api::v1alpha1::*;

use super::{names, scope::Scope};

/// What is wrong with the names and sources of `template`'s outputs.
pub(super) fn check(template: &Template, kind: &str) -> Vec<String> {
    let place = format!("templates.{}.outputs", template.name);
    let outputs = &template.outputs;
    let parameters = outputs.parameters.iter().map(|p| p.name.as_str());
    let artifacts = outputs.artifacts.iter().map(|a| a.name.as_str());
    let mut problems = names::list(&format!("{place}.parameters "), parameters, false);
    problems.extend(names::list(&format!("{place}.artifacts "), artifacts, false));
    for parameter in &outputs.parameters {
        let at = format!("{place}.parameters.{}", parameter.name);
        let Some(from) = &parameter.value_from else {
            if parameter.value.is_none() {
                problems.push(format!("{at} does not have valueFrom or value specified"));
            }
            continue;
        };
        let (fits, wanted) = match kind {
            "Container" | "ContainerSet" | "Script" => (!from.path.is_empty(), "path"),
            "Resource" => (!from.json_path.is_empty() || !from.jq_filter.is_empty(), "jsonPath or jqFilter"),
            "Steps" | "DAG" => (!from.parameter.is_empty() || !from.expression.is_empty(), "parameter or expression"),
            _ => (true, ""),
        };
        if !fits {
            problems.push(format!("{at}.{wanted} must be specified for {kind} templates"));
        }
    }
    problems
}

/// Adds what the rest of a workflow may say about a step or task `prefix` that calls `template`.
///
/// `Option::None` is a template that only the run will know: anything may be in its outputs.
pub(super) fn add_to_scope(scope: &mut Scope, prefix: &str, template: Option<&Template>, is_over: bool) {
    if is_over {
        for name in ["id", "status", "startedAt", "finishedAt", "hostNodeName", "ip", "exitCode"] {
            scope.add(format!("{prefix}.{name}"));
        }
    }
    let Some(template) = template else {
        return scope.add_prefix(format!("{prefix}.outputs."));
    };
    for name in ["exitCode", "result", "parameters", "artifacts"] {
        scope.add(format!("{prefix}.outputs.{name}"));
    }
    scope.add(format!("{prefix}.exitCode"));
    for parameter in &template.outputs.parameters {
        scope.add(format!("{prefix}.outputs.parameters.{}", parameter.name));
    }
    for artifact in &template.outputs.artifacts {
        scope.add(format!("{prefix}.outputs.artifacts.{}", artifact.name));
    }
}

/// Adds the outputs that `template` gives the whole workflow.
pub(super) fn add_global(scope: &mut Scope, template: &Template) {
    for parameter in template.outputs.parameters.iter().filter(|p| !p.global_name.is_empty()) {
        scope.add_maybe_dynamic("workflow.outputs.parameters.", &parameter.global_name);
    }
    for artifact in template.outputs.artifacts.iter().filter(|a| !a.global_name.is_empty()) {
        scope.add_maybe_dynamic("workflow.outputs.artifacts.", &artifact.global_name);
    }
}
