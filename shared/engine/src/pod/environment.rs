//! The `ARGO_*` variables of the containers.

use serde_json::{Value, json};

use super::{input::PodInput, shape::Own};

/// The variables of container `name`; the template as JSON only for those that read it. It may be long: the kernel takes
/// at most 128 KiB per variable.
pub(super) fn variables(input: &PodInput<'_>, name: &str, with_template: bool) -> Vec<Value> {
    let value = |name: &str, value: &str| json!({ "name": name, "value": value });
    let field = |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    let workflow = &input.workflow.metadata;
    let mut env = vec![
        value("ARGO_CONTAINER_NAME", name),
        value("ARGO_NODE_ID", &Own::NodeId.mark()),
        value("ARGO_WORKFLOW_NAME", &workflow.name),
        value("ARGO_WORKFLOW_UID", &workflow.uid),
        field("ARGO_POD_NAME", "metadata.name"),
        field("ARGO_POD_UID", "metadata.uid"),
        value("ARGO_INCLUDE_SCRIPT_OUTPUT", if input.include_result { "true" } else { "false" }),
        value("ARGO_PROGRESS_FILE", "/var/run/argo/progress"),
    ];
    if input.is_limited {
        env.push(value("ARGO_DEADLINE", &Own::Deadline.mark()));
    }
    if with_template {
        env.push(value("ARGO_TEMPLATE", &Own::Template.mark()));
    }
    env
}
