//! Templates that do work themselves: their containers, mounts and deadlines.

use std::collections::{BTreeMap, BTreeSet};

use argosy_api::v1alpha1::*;
use serde_json::Value;

use super::{kinds, known, resources};

/// Names of our own containers.
const RESERVED: [&str; 4] = ["init", "wait", "supervisor", "agent"];

/// The most characters a container's or volume's name may have.
const LABEL_CHARS_MAX: usize = 63;

/// Where the template of a claim has its name.
pub(super) const CLAIM_NAME: &str = "/metadata/name";

/// Whether the defaults of a spec's templates have images: for containers, for scripts.
pub(super) fn default_images(spec: &WorkflowSpec) -> (bool, bool) {
    let Some(defaults) = &spec.template_defaults else { return (false, false) };
    let container = defaults.container.as_ref().is_some_and(|c| !c.image.is_empty());
    (container, defaults.script.as_ref().is_some_and(|s| !s.container.image.is_empty()))
}

/// Initial containers have names.
pub(super) fn init_names(template: &Template) -> Vec<String> {
    let nameless = template.init_containers.iter().any(|c| c.container.name.is_empty());
    if nameless { vec!["initContainers must all have container name".to_owned()] } else { Vec::new() }
}

/// What is wrong with a template that does work itself, apart from variables and outputs. `settled` puts in what is known.
pub(super) fn check(
    template: &Template,
    (container_image, script_image): (bool, bool),
    settled: &dyn Fn(&str) -> String,
) -> Vec<String> {
    let place = format!("templates.{}", template.name);
    let mut problems = Vec::new();
    if let Some(container) = &template.container {
        mounts(&place, template, container, &mut problems);
        if settled(&container.image).is_empty() && !container_image {
            problems.push(format!("{place}.container.image may not be empty"));
        }
    }
    if let Some(set) = &template.container_set {
        container_set(&place, template, set, &mut problems);
    }
    if let Some(resource) = &template.resource {
        problems.extend(resources::check(&place, template, resource, settled));
    }
    if let Some(script) = &template.script
        && settled(&script.container.image).is_empty()
        && !script_image
    {
        problems.push(format!("{place}.script.image may not be empty"));
    }
    if let Some(deadline) = &template.active_deadline_seconds {
        let fits = match deadline {
            IntOrString::Int(seconds) => *seconds >= 0,
            IntOrString::Text(text) => {
                let text = settled(text);
                known::is_late(&text) || text.parse::<i64>().is_ok_and(|seconds| seconds >= 0)
            }
        };
        if !fits {
            problems.push(format!("{place}.activeDeadlineSeconds must be a positive integer > 0 or an argo variable"));
        }
    }
    if template.parallelism.is_some() {
        problems.push(format!("{place}.parallelism is only valid for steps and dag templates"));
    }
    problems
}

/// What is wrong with a template of `kind` that only the pod's creation would tell otherwise.
pub(super) fn beyond_argo(template: &Template, kind: &str) -> Vec<String> {
    let place = format!("templates.{}", template.name);
    let mut problems = Vec::new();
    companions(&place, template, &mut problems);
    problems.extend(volumes(&format!("{place}.volumes"), &template.volumes, "/name"));
    for (index, node) in template.container_set.iter().flat_map(|set| &set.containers).enumerate() {
        let name = &node.container.name;
        if !name.is_empty() {
            problems.extend(label(&format!("{place}.containerSet.containers[{index}].name"), name));
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
    if template.sidecars.iter().any(|c| c.container.name.is_empty()) {
        problems.push("sidecars must all have container name".to_owned());
    }
    for (list, word) in [(&template.init_containers, "initContainers"), (&template.sidecars, "sidecars")] {
        for (index, name) in list.iter().map(|c| c.container.name.as_str()).enumerate().filter(|(_, n)| !n.is_empty()) {
            problems.extend(label(&format!("{place}.{word}[{index}].name"), name));
        }
        for container in list.iter().filter(|c| RESERVED.contains(&c.container.name.as_str())) {
            problems
                .push(format!("{place}.{word}: \"{}\" is a reserved Argo container name", container.container.name));
        }
    }
}

/// What is wrong with the names of volumes, or of templates of claims when they lie in `metadata`.
pub(super) fn volumes(place: &str, volumes: &[Value], member: &str) -> Vec<String> {
    let names =
        volumes.iter().enumerate().filter_map(|(index, volume)| Some((index, volume.pointer(member)?.as_str()?)));
    // A claim without a name is found when the claims are made.
    let names = names.filter(|(_, name)| member != CLAIM_NAME || !name.is_empty());
    names.filter_map(|(index, name)| label(&format!("{place}[{index}]{}", member.replace('/', ".")), name)).collect()
}

/// What is wrong with the name of a container or volume: it becomes a part of paths, and Kubernetes takes only labels. A
/// name with a variable in it is known at the run only, and the node looks at it once more.
/// Source: Kubernetes `ValidateDNS1123Label`.
fn label(place: &str, name: &str) -> Option<String> {
    let is_end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let has_form = name.chars().all(|c| is_end(c) || c == '-') && name.starts_with(is_end) && name.ends_with(is_end);
    if name.contains("{{") || has_form && name.len() <= LABEL_CHARS_MAX {
        return None;
    }
    let shown: String = name.chars().take(100).collect();
    let rule = match has_form {
        true => format!("must be no more than {LABEL_CHARS_MAX} characters"),
        false => {
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
                  end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
                  '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
                .to_owned()
        }
    };
    Some(format!("{place}: Invalid value: {shown:?}: {rule}"))
}

/// A path in the container is taken once.
fn mounts(place: &str, template: &Template, container: &Container, problems: &mut Vec<String>) {
    let member = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let mut taken = BTreeMap::new();
    for (index, mount) in container.volume_mounts.iter().enumerate() {
        let path = member(mount, "mountPath");
        if let Some(by) = taken.get(&path) {
            problems
                .push(format!("{place}.container.volumeMounts[{index}].mountPath '{path}' already mounted in {by}"));
        }
        taken.insert(path, format!("container.volumeMounts.{}", member(mount, "name")));
    }
    for (index, artifact) in template.inputs.artifacts.iter().enumerate() {
        let path = &artifact.path;
        if let Some(by) = taken.get(path) {
            problems.push(format!("{place}.inputs.artifacts[{index}].path '{path}' already mounted in {by}"));
        }
        taken.insert(path.clone(), format!("inputs.artifacts.{}", artifact.name));
    }
}

fn container_set(place: &str, template: &Template, set: &ContainerSetTemplate, problems: &mut Vec<String>) {
    let place = format!("{place}.containerSet.containers");
    if set.containers.is_empty() {
        problems.push(format!("{place} must have at least one container"));
    }
    let names: Vec<&str> = set.containers.iter().map(|c| c.container.name.as_str()).collect();
    problems.extend(super::names::list(&place, names.iter().copied(), true));
    let mut taken = BTreeMap::new();
    for (index, mount) in set.volume_mounts.iter().enumerate() {
        let path = mount["mountPath"].as_str().unwrap_or_default();
        if let Some(by) = taken.get(path) {
            let set = place.trim_end_matches(".containers");
            problems
                .push(format!("{set}.volumeMounts[{index}].mountPath '{path}' already mounted in volumeMounts.{by}"));
        }
        taken.insert(path, mount["name"].as_str().unwrap_or_default());
    }
    for node in &set.containers {
        for dependency in node.dependencies.iter().filter(|d| !names.contains(&d.as_str())) {
            problems.push(format!("{place}.{} dependency '{dependency}' not defined", node.container.name));
        }
    }
    if let Some(cycle) = cycle(set) {
        problems.push(format!("{place} dependency cycle detected: {}", cycle.join("->")));
    }
    for name in names.iter().filter(|n| RESERVED.contains(n)) {
        problems.push(format!("{place}: \"{name}\" is a reserved Argo container name"));
    }
    let Template { inputs, outputs, .. } = template;
    let has_files = !inputs.artifacts.is_empty() || !outputs.artifacts.is_empty() || !outputs.parameters.is_empty();
    if has_files && !names.contains(&"main") {
        problems.push(format!("{place} must have a container named \"main\" for input or output"));
    }
}

/// Containers that wait for each other, beginning with what the first of them, by name, waits for. Containers are few.
fn cycle(set: &ContainerSetTemplate) -> Option<Vec<&str>> {
    let waits_for: BTreeMap<&str, &[String]> =
        set.containers.iter().map(|c| (c.container.name.as_str(), c.dependencies.as_slice())).collect();
    let mut visited = BTreeSet::new();
    for start in waits_for.keys() {
        let mut way: Vec<&str> = Vec::new();
        // Each with the dependencies that are left to look at.
        let mut stack = vec![(*start, waits_for[start].iter())];
        while let Some((name, rest)) = stack.last_mut() {
            let name = *name;
            match rest.next().map(String::as_str) {
                Some(next) if way.contains(&next) => {
                    way.push(next);
                    return Some(way);
                }
                Some(next) if visited.contains(next) || !waits_for.contains_key(next) => {}
                Some(next) => {
                    way.push(next);
                    stack.push((next, waits_for[next].iter()));
                }
                None => {
                    visited.insert(name);
                    stack.pop();
                    way.pop();
                }
            }
        }
    }
    None
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(template: Value) -> Vec<String> {
        let template: Template = serde_json::from_value(template).expect("a template");
        beyond_argo(&template, "Container")
    }

    #[test]
    fn containers_that_wait_for_each_other_are_told_in_order() {
        let told = |containers: Value| {
            let set: ContainerSetTemplate =
                serde_json::from_value(json!({"containers": containers})).expect("a containerSet");
            cycle(&set).map(|cycle| cycle.join("->"))
        };
        let of = |name: &str, dependencies: &[&str]| json!({"name": name, "image": "a", "dependencies": dependencies});
        assert_eq!(told(json!([of("a", &["b"]), of("b", &["a"])])).as_deref(), Some("b->a->b"));
        assert_eq!(told(json!([of("a", &["a"])])).as_deref(), Some("a->a"));
        assert_eq!(told(json!([of("a", &[]), of("b", &["a"]), of("c", &["a", "b", "x"])])), None);
    }

    #[test]
    fn names_of_containers_and_volumes_are_labels() {
        let container = json!({"image": "a"});
        let long = "a".repeat(64);
        for bad in ["../../x", "/tmp/x", "..", "a/b", "A", "a_b", "-a", "a-", "é", "a\nb", &long] {
            for template in [
                json!({"name": "m", "container": container, "sidecars": [{"name": bad, "image": "a"}]}),
                json!({"name": "m", "container": container, "initContainers": [{"name": bad, "image": "a"}]}),
                json!({"name": "m", "container": container, "volumes": [{"name": bad, "emptyDir": {}}]}),
                json!({"name": "m", "containerSet": {"containers": [{"name": bad, "image": "a"}]}}),
            ] {
                let found = problems(template.clone());
                assert!(found.iter().any(|text| text.contains("[0].name: Invalid value: ")), "{template}: {found:?}");
            }
        }
        for good in ["a", "my-name", "123-abc", "{{inputs.parameters.name}}", &long[1..]] {
            let sidecars = json!([{"name": good, "image": "a"}]);
            let volumes = json!([{"name": good, "emptyDir": {}}, {}, 7]);
            let template = json!({"name": "m", "container": container, "sidecars": sidecars, "volumes": volumes});
            assert_eq!(problems(template), Vec::<String>::new(), "{good}");
        }
        let claims = [json!({"metadata": "oops"}), json!({"metadata": {"name": "../x"}})];
        let found = super::volumes("spec.volumeClaimTemplates", &claims, super::CLAIM_NAME);
        assert!(matches!(found.as_slice(), [only] if only.starts_with("spec.volumeClaimTemplates[1].metadata.name: ")));
    }
}
