//! The `ARGO_*` variables of the containers.

use argosy_api::executor::{environment, paths};
use serde_json::{Value, json};

use super::{input::PodInput, shape::Own};

/// The variables of container `name`; the template as JSON only for those that read it. It may be long: the kernel takes
/// at most 128 KiB per variable.
pub(super) fn variables(input: &PodInput<'_>, name: &str, with_template: bool) -> Vec<Value> {
    let value = |name: &str, value: &str| json!({ "name": name, "value": value });
    let field = |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    let workflow = &input.workflow.metadata;
    let mut env = vec![
        value(environment::CONTAINER_NAME, name),
        value(environment::NODE_ID, &Own::NodeId.mark()),
        value(environment::WORKFLOW_NAME, &workflow.name),
        value(environment::WORKFLOW_UID, &workflow.uid),
        field(environment::POD_NAME, "metadata.name"),
        field(environment::POD_UID, "metadata.uid"),
        value(environment::INCLUDE_SCRIPT_OUTPUT, if input.include_result { "true" } else { "false" }),
        value(environment::PROGRESS_FILE, paths::PROGRESS),
    ];
    if input.is_limited {
        env.push(value(environment::DEADLINE, &Own::Deadline.mark()));
    }
    if with_template {
        env.push(value(environment::TEMPLATE, &Own::Template.mark()));
    }
    let is_ours = with_template || input.template.resource.is_some() || input.template.data.is_some();
    if let Some(repository) = input.repository().filter(|_| is_ours) {
        env.push(value(environment::ARTIFACT_REPOSITORY, &repository.to_string()));
        if let Some(prefix) = input.key_prefix {
            env.push(value(environment::ARTIFACT_KEY_PREFIX, prefix));
        }
    }
    env
}
