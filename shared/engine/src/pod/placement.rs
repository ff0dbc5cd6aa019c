//! Who runs the pod, where, and with which settings of the pod as a whole.

use argosy_api::v1alpha1::Template;
use serde_json::{Map, Value, json};

use super::input::PodInput;

/// Whether the pods of a steps or dag template depend on it for where they run.
pub(crate) fn places(boundary: &Template) -> bool {
    !boundary.node_selector.is_empty() || boundary.affinity.is_some() || !boundary.tolerations.is_empty()
}

/// Fills in every pod-level setting that the template, the calling template or the workflow makes.
pub(super) fn place(input: &PodInput<'_>, pod: &mut Map<String, Value>) {
    let (template, spec, boundary) = (input.template, input.spec, input.boundary);
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            pod.insert(name.to_owned(), value);
        }
    };
    // Template over calling template over workflow.
    let selectors = [Some(&template.node_selector), boundary.map(|b| &b.node_selector), Some(&spec.node_selector)];
    set("nodeSelector", selectors.into_iter().flatten().find(|s| !s.is_empty()).map(|s| json!(s)));
    let affinity = template.affinity.as_ref().or(boundary.and_then(|b| b.affinity.as_ref())).or(spec.affinity.as_ref());
    set("affinity", affinity.cloned());
    let tolerations = [Some(&template.tolerations), boundary.map(|b| &b.tolerations), Some(&spec.tolerations)];
    set("tolerations", tolerations.into_iter().flatten().find(|t| !t.is_empty()).map(|t| json!(t)));

    // Template over workflow.
    set("schedulerName", first_text(&template.scheduler_name, &spec.scheduler_name));
    set("priorityClassName", first_text(&template.priority_class_name, &spec.pod_priority_class_name));
    set("serviceAccountName", first_text(&template.service_account_name, &spec.service_account_name));
    let automount = template.automount_service_account_token.or(spec.automount_service_account_token);
    set("automountServiceAccountToken", automount.map(Value::Bool));
    set("securityContext", template.security_context.as_ref().or(spec.security_context.as_ref()).cloned());
    set("resources", template.pod_resources.as_ref().or(spec.pod_resources.as_ref()).cloned());
    let claims = if template.resource_claims.is_empty() { &spec.resource_claims } else { &template.resource_claims };
    set("resourceClaims", non_empty(claims.clone()));

    // Both, the workflow's first.
    set("hostAliases", non_empty(spec.host_aliases.iter().chain(&template.host_aliases).cloned().collect()));

    // The workflow's alone.
    set("hostNetwork", spec.host_network.map(Value::Bool));
    set("dnsPolicy", spec.dns_policy.as_ref().map(|p| json!(p)));
    set("dnsConfig", spec.dns_config.clone());
    set("imagePullSecrets", non_empty(spec.image_pull_secrets.clone()));
}

fn first_text(a: &str, b: &str) -> Option<Value> {
    [a, b].into_iter().find(|t| !t.is_empty()).map(|t| json!(t))
}

fn non_empty(list: Vec<Value>) -> Option<Value> {
    (!list.is_empty()).then_some(Value::Array(list))
}
