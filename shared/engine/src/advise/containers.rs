//! Images.

use argosy_api::v1alpha1::{Container, Template, WorkflowSpec};

use super::{
    advice::{Rule, Say, templates},
    texts::is_dynamic,
};

pub(super) fn check(spec: &WorkflowSpec, say: &mut Say<'_>) {
    for (path, template) in templates(spec) {
        for (field, container) in containers(template) {
            if let Some(message) = problem(&container.image) {
                say(Rule::ImageTag, format!("{path}.{field}.image"), message);
            }
        }
    }
}

/// All containers of a template, each with its field.
pub(super) fn containers(template: &Template) -> Vec<(String, &Container)> {
    let mut found: Vec<(String, &Container)> = Vec::new();
    found.extend(template.container.as_ref().map(|container| ("container".to_owned(), container)));
    found.extend(template.script.as_ref().map(|script| ("script".to_owned(), &script.container)));
    let set = template.container_set.iter().flat_map(|set| &set.containers).enumerate();
    found.extend(set.map(|(i, node)| (format!("containerSet.containers[{i}]"), &node.container)));
    let inits = template.init_containers.iter().enumerate();
    found.extend(inits.map(|(i, init)| (format!("initContainers[{i}]"), &init.container)));
    let sidecars = template.sidecars.iter().enumerate();
    found.extend(sidecars.map(|(i, sidecar)| (format!("sidecars[{i}]"), &sidecar.container)));
    found
}

fn problem(image: &str) -> Option<String> {
    if image.is_empty() || is_dynamic(image) || image.contains('@') {
        return None;
    }
    let name = image.rsplit('/').next().unwrap_or(image);
    match name.split_once(':') {
        None => Some(format!("`{image}` has no tag, so it may be another image tomorrow")),
        Some((_, "latest")) => Some(format!("`{image}` may be another image tomorrow")),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_that_may_change_are_told() {
        for image in ["busybox", "host:5000/a/busybox", "busybox:latest"] {
            assert!(problem(image).is_some(), "{image}");
        }
        for image in ["busybox:1.36", "host:5000/a/b:v1", "a@sha256:00", "{{workflow.parameters.image}}", "a:{{x}}", ""]
        {
            assert_eq!(problem(image), None, "{image}");
        }
    }
}
