//! Arguments, and whether they fit the inputs of what is called.

use argosy_api::v1alpha1::*;

use super::names;

/// What is wrong with arguments that stand at `place` (`spec` or `templates.t.steps[0].s`), in themselves.
pub(super) fn check(place: &str, arguments: &Arguments, needs_values: bool) -> Vec<String> {
    if arguments.parameters.is_empty() && arguments.artifacts.is_empty() {
        return Vec::new();
    }
    let parameters = arguments.parameters.iter().map(|p| p.name.as_str());
    let artifacts = arguments.artifacts.iter().map(|a| a.name.as_str());
    let mut problems = names::list(&format!("{place}.arguments.parameters"), parameters, false);
    problems.extend(names::list(&format!("{place}.arguments.artifacts"), artifacts, false));
    for parameter in &arguments.parameters {
        let at = format!("{place}.arguments.{}", parameter.name);
        if let Some(from) = &parameter.value_from {
            if !is_allowed_source(from) {
                problems.push(format!("{at}.valueFrom only allows: default, configMapKeyRef and supplied"));
            }
        } else if parameter.value.is_none() && needs_values {
            problems.push(format!("{at}.value or {at}.valueFrom is required"));
        }
        let choices = &parameter.r#enum;
        if !choices.is_empty() && parameter.value.as_ref().is_some_and(|value| !choices.contains(value)) {
            problems.push(format!("{at}.value should be present in {at}.enum list"));
        }
    }
    for artifact in &arguments.artifacts {
        let given = !artifact.from.is_empty() || !artifact.from_expression.is_empty() || has_key(&artifact.location);
        if !given && needs_values && !artifact.optional {
            problems.push(format!("{place}.arguments.{}.from, artifact location, or key is required", artifact.name));
        }
    }
    problems
}

fn is_allowed_source(from: &ValueFrom) -> bool {
    from.default.is_some() || from.config_map_key_ref.is_some() || from.supplied.is_some() || !from.event.is_empty()
}

/// The location names a thing, at least by a key in the artifact repository.
pub(super) fn has_key(location: &ArtifactLocation) -> bool {
    let keys = [
        location.s3.as_ref().map(|l| &l.key),
        location.gcs.as_ref().map(|l| &l.key),
        location.oss.as_ref().map(|l| &l.key),
        location.azure.as_ref().map(|l| &l.blob),
        location.hdfs.as_ref().map(|l| &l.path),
        location.http.as_ref().map(|l| &l.url),
        location.git.as_ref().map(|l| &l.repo),
        location.artifactory.as_ref().map(|l| &l.url),
        location.plugin.as_ref().map(|l| &l.key),
    ];
    location.raw.is_some() || keys.into_iter().flatten().any(|key| !key.is_empty())
}

/// Which inputs of `template` nobody gives a value.
pub(super) fn missing(template: &Template, arguments: &Arguments, lenient: bool) -> Vec<String> {
    let mut problems = Vec::new();
    for input in &template.inputs.parameters {
        let argument = arguments.parameters.iter().find(|p| p.name == input.name);
        let given = argument.is_some_and(|a| lenient || a.value.is_some() || a.value_from.is_some());
        if !given && input.value.is_none() && input.value_from.is_none() && input.default.is_none() {
            problems.push(format!("inputs.parameters.{} was not supplied", input.name));
        }
    }
    for input in &template.inputs.artifacts {
        let given = arguments.artifacts.iter().any(|a| a.name == input.name);
        if !given && !input.optional && !has_key(&input.location) {
            problems.push(format!("inputs.artifacts.{} was not supplied", input.name));
        }
    }
    problems
}
