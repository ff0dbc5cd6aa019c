//! What a template is called with, and what it may say of that.

use argosy_api::v1alpha1::*;

use super::{kinds, names, scope::Scope};

/// A retry policy that there is not.
pub(super) fn unknown_policy(template: &Template) -> Option<&str> {
    let policy = template.retry_strategy.as_ref()?.retry_policy.as_str();
    let known = ["", "Always", "OnFailure", "OnError", "OnTransientError"];
    (!known.contains(&policy)).then_some(policy)
}

/// What is wrong with the names and artifacts of a template's inputs.
pub(super) fn check(template: &Template, is_leaf: bool) -> Vec<String> {
    let place = format!("templates.{}", template.name);
    let parameters = template.inputs.parameters.iter().map(|p| p.name.as_str());
    let mut problems = names::list(&format!("{place}.inputs.parameters"), parameters, false);
    let artifacts = template.inputs.artifacts.iter().map(|a| a.name.as_str());
    problems.extend(names::list(&format!("{place}.inputs.artifacts"), artifacts, false));
    for artifact in &template.inputs.artifacts {
        let at = format!("{place}.inputs.artifacts.{}", artifact.name);
        problems.extend(path_problem(&at, artifact, is_leaf));
        if !artifact.from.is_empty() {
            problems.push(format!("{at}.from not valid in inputs"));
        }
        problems.extend(location(&at, Some(&artifact.location)));
    }
    problems
}

/// What is wrong with where an artifact lies in the file system: what runs needs a place, and others have none.
pub(super) fn path_problem(at: &str, artifact: &Artifact, is_leaf: bool) -> Option<String> {
    let (name, path) = (&artifact.name, artifact.path.as_str());
    if !is_leaf {
        return (!path.is_empty()).then(|| format!("{at}.path only valid in container/script templates"));
    }
    if path.is_empty() {
        return Some(format!("error in {at}: Artifact '{name}' did not specify a path"));
    }
    leads_out(path).then(|| {
        format!(
            "error in {at}: Artifact '{name}' attempted to use a path containing '..'. Directory traversal is not permitted"
        )
    })
}

/// A path with `..` must end below what is before the first of them.
fn leads_out(path: &str) -> bool {
    let inside = path.find("/../").or_else(|| path.ends_with("/..").then(|| path.len() - 3));
    let Some(safe) = inside.map(|end| &path[..end]).filter(|safe| !safe.is_empty()) else { return false };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match part {
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if path.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    let clean = format!("{root}{}", parts.join("/"));
    !clean.starts_with(safe) || clean.len() <= safe.len()
}

/// What is wrong with a place where artifacts are kept.
pub(super) fn location(at: &str, location: Option<&ArtifactLocation>) -> Vec<String> {
    let nameless = location.and_then(|l| l.git.as_ref()).is_some_and(|git| git.repo.is_empty());
    if nameless { vec![format!("{at}.git.repo is required")] } else { Vec::new() }
}

/// What a template may say of itself.
pub(super) fn scope(template: &Template, kind: &str) -> Scope {
    let mut scope = Scope::default();
    if !template.inputs.parameters.is_empty() {
        scope.add("inputs.parameters");
    }
    for parameter in &template.inputs.parameters {
        scope.add(format!("inputs.parameters.{}", parameter.name));
    }
    for artifact in &template.inputs.artifacts {
        scope.add(format!("inputs.artifacts.{}", artifact.name));
        if kinds::is_leaf(kind) {
            scope.add(format!("inputs.artifacts.{}.path", artifact.name));
        }
    }
    if kinds::has_pod(kind) {
        scope.add("pod.name");
    }
    scope
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_what_is_before_the_first_two_dots() {
        for good in ["/tmp/a", "/tmp/../tmp/a", "../a", "/tmp/..a", "/tmp/./a"] {
            assert!(!leads_out(good), "{good}");
        }
        for bad in ["/tmp/..", "/tmp/../etc", "/tmp/a/../../etc/x", "/tmp/a/.."] {
            assert!(leads_out(bad), "{bad}");
        }
    }
}
