//! Arguments, and whether they fit the inputs of what is called.

use argosy_api::v1alpha1::*;

use super::names;

/// What arguments that stand somewhere may be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rules {
    /// Nobody has given them their values yet.
    pub are_open: bool,
    /// An artifact may be chosen by an expression.
    pub takes_expressions: bool,
}

/// What is wrong with arguments that stand at `place` (`spec` or `templates.t.steps[0].s`), in themselves.
pub(super) fn check(place: &str, arguments: &Arguments, rules: Rules) -> Vec<String> {
    if arguments.parameters.is_empty() && arguments.artifacts.is_empty() {
        return Vec::new();
    }
    let parameters = arguments.parameters.iter().map(|p| p.name.as_str());
    let artifacts = arguments.artifacts.iter().map(|a| a.name.as_str());
    let mut problems = names::list(&format!("{place}.arguments.parameters"), parameters, false);
    problems.extend(names::list(&format!("{place}.arguments.artifacts"), artifacts, false));
    for parameter in &arguments.parameters {
        let at = format!("{place}.arguments.{}", parameter.name);
        match &parameter.value_from {
            Some(from) if !is_allowed_source(from) => {
                problems.push(format!("{at}.valueFrom only allows: default, configMapKeyRef and supplied"));
            }
            None if parameter.value.is_none() && !rules.are_open => {
                problems.push(format!("{at}.value or {at}.valueFrom is required"));
            }
            Some(_) | None => {}
        }
        match &parameter.value {
            _ if parameter.r#enum.is_empty() => {}
            Some(value) if parameter.r#enum.contains(value) => {}
            Some(_) => problems.push(format!("{at}.value should be present in {at}.enum list")),
            None if parameter.value_from.is_some() && !rules.are_open => {
                problems.push(format!("{at}.value is required"));
            }
            None => {}
        }
    }
    for artifact in &arguments.artifacts {
        let at = format!("{place}.arguments.{}", artifact.name);
        let by_expression = !artifact.from_expression.is_empty();
        let given =
            !artifact.from.is_empty() || has_key(&artifact.location) || rules.takes_expressions && by_expression;
        if !given && !rules.are_open {
            problems.push(format!("{at}.from, artifact location, or key is required"));
        }
        if !artifact.from.is_empty() && by_expression {
            problems.push(format!("{at} shouldn't have both `from` and `fromExpression` in Artifact"));
        }
    }
    problems
}

/// Whether an argument may take its value from there. A default alone is no source.
fn is_allowed_source(from: &ValueFrom) -> bool {
    let is_there = from.config_map_key_ref.is_some() || from.supplied.is_some() || !from.event.is_empty();
    let of_outputs = [&from.path, &from.json_path, &from.parameter, &from.expression];
    is_there && of_outputs.iter().all(|text| text.is_empty())
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

/// Which inputs of `template` nobody gives a value. `are_open`: as in [`Rules`].
pub(super) fn missing(template: &Template, arguments: &Arguments, are_open: bool) -> Vec<String> {
    let mut problems = Vec::new();
    for input in &template.inputs.parameters {
        let argument = arguments.parameters.iter().find(|p| p.name == input.name);
        let from = argument.and_then(|a| a.value_from.as_ref());
        // An argument that is taken from elsewhere hides what the template itself says.
        let own = from.is_none() && (input.value.is_some() || input.default.is_some());
        let source = from.or(input.value_from.as_ref());
        let given = own
            || argument.is_some_and(|a| are_open || a.value.is_some())
            || source.is_some_and(|from| from.config_map_key_ref.is_some());
        if !given {
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
