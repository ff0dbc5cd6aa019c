//! Outputs of templates.

use argosy_api::v1alpha1::*;

use super::{inputs, kinds, known::Globals, names, scope::Scope, target::Called};

/// What is wrong with the names of `template`'s outputs.
pub(super) fn names(template: &Template) -> Vec<String> {
    let place = format!("templates.{}.outputs", template.name);
    let parameters = template.outputs.parameters.iter().map(|p| p.name.as_str());
    let artifacts = template.outputs.artifacts.iter().map(|a| a.name.as_str());
    let mut problems = names::list(&format!("{place}.parameters "), parameters, false);
    problems.extend(names::list(&format!("{place}.artifacts "), artifacts, false));
    problems
}

/// What is wrong with the sources of `template`'s outputs.
pub(super) fn check(template: &Template, kind: &str) -> Vec<String> {
    let place = format!("templates.{}.outputs", template.name);
    let mut problems = Vec::new();
    for artifact in &template.outputs.artifacts {
        let at = format!("{place}.artifacts.{}", artifact.name);
        problems.extend(inputs::path_problem(&at, artifact, kinds::is_leaf(kind)));
        problems.extend(global_name(&at, &artifact.global_name));
    }
    for parameter in &template.outputs.parameters {
        let at = format!("{place}.parameters.{}", parameter.name);
        problems.extend(source_problem(&at, parameter, kind));
        problems.extend(global_name(&at, &parameter.global_name));
    }
    problems
}

fn source_problem(at: &str, parameter: &Parameter, kind: &str) -> Option<String> {
    let from = match (&parameter.value_from, &parameter.value) {
        (Some(_), Some(_)) => return Some(format!("{at} has both valueFrom and value specified, choose one")),
        (None, Some(_)) => return None,
        (None, None) => return Some(format!("{at} does not have valueFrom or value specified")),
        (Some(from), None) => from,
    };
    let texts = [&from.path, &from.jq_filter, &from.json_path, &from.parameter, &from.expression];
    let sources = texts.iter().filter(|text| !text.is_empty()).count() + usize::from(from.supplied.is_some());
    match sources {
        0 => {
            return Some(
                "valueFrom type unspecified. choose one of: path, jqFilter, jsonPath, parameter, raw, expression"
                    .to_owned(),
            );
        }
        1 => {}
        _ => {
            return Some(
                "multiple valueFrom types specified. choose one of: path, jqFilter, jsonPath, parameter, raw"
                    .to_owned(),
            );
        }
    }
    let (fits, wanted) = match kind {
        "Container" | "ContainerSet" | "Script" => (!from.path.is_empty(), ".path"),
        "Resource" => (!from.json_path.is_empty() || !from.jq_filter.is_empty(), " .jqFilter or jsonPath"),
        "Steps" | "DAG" => (!from.parameter.is_empty() || !from.expression.is_empty(), ".parameter or expression"),
        _ => (true, ""),
    };
    (!fits).then(|| format!("{at}{wanted} must be specified for {kind} templates"))
}

fn global_name(at: &str, name: &str) -> Option<String> {
    let wrong = names::global_name(name)?;
    Some(format!("{at}.globalName: {wrong}"))
}

/// Adds what the rest of a template may say about its step or task `prefix`.
pub(super) fn add_to_scope(scope: &mut Scope, prefix: &str, called: &Called, is_aggregate: bool) {
    for name in ["id", "startedAt", "finishedAt", "hostNodeName"] {
        scope.add(format!("{prefix}.{name}"));
    }
    let template = match called {
        Called::Template(template) => template,
        Called::Late => return,
        // That it is missing is told already.
        Called::Missing => return scope.add_prefix(format!("{prefix}.")),
    };
    if template.daemon == Some(true) {
        scope.add(format!("{prefix}.ip"));
    }
    let has_main =
        template.container_set.as_ref().is_some_and(|set| set.containers.iter().any(|c| c.container.name == "main"));
    let has_result = template.container.is_some()
        || has_main
        || template.script.is_some()
        || template.data.is_some()
        || template.http.is_some()
        || template.plugin.is_some();
    if has_result || is_aggregate && template.container_set.is_some() {
        scope.add(format!("{prefix}.outputs.result"));
        scope.add(format!("{prefix}.exitCode"));
    }
    if is_aggregate {
        scope.add(format!("{prefix}.outputs.parameters"));
    }
    for parameter in &template.outputs.parameters {
        scope.add(format!("{prefix}.outputs.parameters.{}", parameter.name));
    }
    for artifact in &template.outputs.artifacts {
        scope.add(format!("{prefix}.outputs.artifacts.{}", artifact.name));
    }
}

/// Adds the outputs that `template` gives the whole workflow. Those with a name that only the run knows are any, as far as
/// its caller goes.
pub(super) fn add_global(globals: &mut Globals, scope: &mut Scope, template: &Template) {
    let parameters = template.outputs.parameters.iter().map(|p| ("workflow.outputs.parameters.", &p.global_name));
    let artifacts = template.outputs.artifacts.iter().map(|a| ("workflow.outputs.artifacts.", &a.global_name));
    for (prefix, name) in parameters.chain(artifacts).filter(|(_, name)| !name.is_empty()) {
        if name.contains("{{") {
            scope.add_prefix(prefix);
        } else {
            globals.insert(format!("{prefix}{name}"), None);
        }
    }
}
