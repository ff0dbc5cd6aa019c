//! Templates that act on objects of the cluster.

use argosy_api::v1alpha1::*;

use super::known;

const ACTIONS: [&str; 6] = ["get", "create", "apply", "delete", "replace", "patch"];

/// What is wrong with a template's `resource`. `settled` puts in what is known.
pub(super) fn check(
    place: &str,
    template: &Template,
    resource: &ResourceTemplate,
    settled: &dyn Fn(&str) -> String,
) -> Vec<String> {
    let mut problems = Vec::new();
    let action = settled(&resource.action);
    if !action.starts_with(known::PLACEHOLDER) && !ACTIONS.contains(&action.as_str()) {
        problems.push(format!("{place}.resource.action must be one of: {}", ACTIONS.join(", ")));
    }
    if matches!(action.as_str(), "delete" | "get") {
        return problems;
    }
    let manifest = settled(&resource.manifest);
    match (manifest.is_empty(), &resource.manifest_from) {
        (true, None) => {
            problems
                .push(format!("either {place}.resource.manifest or {place}.resource.manifestFrom must be specified"));
        }
        (false, Some(_)) => problems.push(
            "shouldn't have both `manifest` and `manifestFrom` specified in `Manifest` for resource template"
                .to_owned(),
        ),
        (true, Some(_)) | (false, None) => {}
    }
    let from = resource.manifest_from.as_ref().and_then(|from| from.artifact.as_ref());
    if let Some(from) = from.filter(|from| template.inputs.artifacts.iter().all(|input| input.name != from.name)) {
        problems.push(format!("artifact {} in `manifestFrom` refer to a non-exist artifact", from.name));
    }
    if !manifest.is_empty() && !is_yaml(&manifest) {
        problems.push(format!("{place}.resource.manifest must be a valid yaml"));
    }
    problems
}

/// Whether a manifest can be read, once something stands for its expressions.
fn is_yaml(manifest: &str) -> bool {
    let mut plain = String::with_capacity(manifest.len());
    let mut rest = manifest;
    while let Some((before, tail)) = rest.split_once("{{") {
        let Some((tag, after)) = tail.split_once("}}").filter(|(tag, _)| tag.trim_start().starts_with('=')) else {
            plain.extend([before, "{{"]);
            rest = tail;
            continue;
        };
        let _ = tag;
        plain.extend([before, known::PLACEHOLDER]);
        rest = after;
    }
    plain.push_str(rest);
    // Only the first document counts.
    let first = plain.split("\n---").next().unwrap_or_default();
    serde_saphyr::from_str::<serde::de::IgnoredAny>(first).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_yaml_with_something_for_expressions() {
        for good in [
            "a: {{=x}}\nb: {{ = y + '}' }}",
            "a: 1\n---\nb: [",
            "- 1",
            "a: \"{{item}}\"",
            "plain",
            "1: a\ntrue: b",
            "a: &x 1\nb: *x",
        ] {
            assert!(is_yaml(good), "{good}");
        }
        for bad in ["a: [1", "a: b: c"] {
            assert!(!is_yaml(bad), "{bad}");
        }
    }
}
