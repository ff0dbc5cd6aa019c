//! What kind a template is.

use argosy_api::v1alpha1::Template;

const CHOICE: &str =
    "choose one of: container, containerSet, steps, script, resource, dag, suspend, template, template ref";

/// The kinds a template has, by their names in messages.
fn kinds(template: &Template) -> Vec<&'static str> {
    let set = [
        (template.container.is_some(), "Container"),
        (template.container_set.is_some(), "ContainerSet"),
        (!template.steps.is_empty(), "Steps"),
        (template.dag.is_some(), "DAG"),
        (template.script.is_some(), "Script"),
        (template.resource.is_some(), "Resource"),
        (template.data.is_some(), "Data"),
        (template.suspend.is_some(), "Suspend"),
        (template.http.is_some(), "HTTP"),
        (template.plugin.is_some(), "Plugin"),
    ];
    set.into_iter().filter(|(has, _)| *has).map(|(_, name)| name).collect()
}

/// The kind of a template, or why it has none. An empty list of steps counts as steps, which the typed template cannot
/// tell from none.
pub(super) fn kind(template: &Template) -> Result<&'static str, String> {
    match kinds(template)[..] {
        [kind] => Ok(kind),
        [] => Err(format!("templates.{} template type unspecified. {CHOICE}", template.name)),
        _ => Err(format!("templates.{} multiple template types specified. {CHOICE}", template.name)),
    }
}

/// Kinds that run in a pod of their own.
pub(super) fn has_pod(kind: &str) -> bool {
    matches!(kind, "Container" | "ContainerSet" | "Script" | "Resource" | "Data")
}

/// Kinds that do work themselves, and have files or bodies to take artifacts from.
pub(super) fn is_leaf(kind: &str) -> bool {
    has_pod(kind) || matches!(kind, "HTTP" | "Plugin")
}
