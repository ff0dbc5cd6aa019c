//! The `ARGO_*` variables of the containers.

use argosy_api::{message::Slot, v1alpha1::Template};
use serde_json::{Value, json};

use super::{Error, PodInput};

/// The template as the executor reads it. It may be long: the kernel takes at most 128 KiB per variable.
pub(super) fn template_text(template: &Template) -> Result<String, Error> {
    Ok(serde_json::to_string(template)?)
}

/// The variables of container `name`; the template only for those that read it.
pub(super) fn variables(input: &PodInput<'_>, name: &str, template: Option<&str>) -> Vec<Value> {
    let value = |name: &str, value: &str| json!({ "name": name, "value": value });
    let field = |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    let workflow = &input.workflow.metadata;
    let mut env = vec![
        value("ARGO_CONTAINER_NAME", name),
        value("ARGO_NODE_ID", Slot::NodeId.mark()),
        value("ARGO_WORKFLOW_NAME", &workflow.name),
        value("ARGO_WORKFLOW_UID", &workflow.uid),
        field("ARGO_POD_NAME", "metadata.name"),
        field("ARGO_POD_UID", "metadata.uid"),
        value("ARGO_INCLUDE_SCRIPT_OUTPUT", if input.include_result { "true" } else { "false" }),
        value("ARGO_PROGRESS_FILE", "/var/run/argo/progress"),
    ];
    if input.is_limited {
        env.push(value("ARGO_DEADLINE", Slot::Deadline.mark()));
    }
    if let Some(template) = template {
        env.push(value("ARGO_TEMPLATE", template));
    }
    env
}
