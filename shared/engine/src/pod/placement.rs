//! Who runs the pod, where, and with which settings of the pod as a whole.

use argosy_api::v1alpha1::Template;
use serde_json::{Map, Value, json};

use super::input::PodInput;

/// The label of a node of a cluster that is its host's name.
const HOST_LABEL: &str = "kubernetes.io/hostname";

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

/// Keeps the pod off these hosts, in each of the alternatives that it may be placed by: it runs where any of them holds.
/// Source: Argo `AddHostnamesToAffinity`, which does so in one alternative only.
pub(crate) fn avoid_hosts(pod: &mut Value, hosts: &[String]) {
    if hosts.is_empty() {
        return;
    }
    let terms = &mut pod["spec"];
    // What is no map the API refuses, whatever else is in it.
    let path = ["affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"];
    let Some(terms) = path.iter().try_fold(terms, |at, name| {
        let inner = at.as_object_mut()?.entry(*name).or_insert(Value::Null);
        if inner.is_null() {
            *inner = if *name == "nodeSelectorTerms" { json!([]) } else { json!({}) };
        }
        Some(inner)
    }) else {
        return;
    };
    let Some(terms) = terms.as_array_mut() else { return };
    if terms.is_empty() {
        terms.push(json!({}));
    }
    for term in terms {
        let Some(term) = term.as_object_mut() else { continue };
        let expressions = term.entry("matchExpressions").or_insert(Value::Null);
        if expressions.is_null() {
            *expressions = json!([]);
        }
        let Some(expressions) = expressions.as_array_mut() else { continue };
        let is_same = |e: &&mut Value| e["key"] == HOST_LABEL && e["operator"] == "NotIn" && e["values"].is_array();
        match expressions.iter_mut().find(is_same).and_then(|same| same["values"].as_array_mut()) {
            Some(values) => {
                let more: Vec<Value> = hosts.iter().map(|host| json!(host)).filter(|h| !values.contains(h)).collect();
                values.extend(more);
            }
            None => expressions.push(json!({ "key": HOST_LABEL, "operator": "NotIn", "values": hosts })),
        }
    }
}

fn first_text(a: &str, b: &str) -> Option<Value> {
    [a, b].into_iter().find(|t| !t.is_empty()).map(|t| json!(t))
}

fn non_empty(list: Vec<Value>) -> Option<Value> {
    (!list.is_empty()).then_some(Value::Array(list))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELD: &str = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";

    fn avoided(spec: Value) -> Value {
        let mut pod = json!({ "spec": spec });
        avoid_hosts(&mut pod, &["a".to_owned(), "b".to_owned()]);
        pod.pointer(FIELD).cloned().unwrap_or_default()
    }

    #[test]
    fn hosts_are_avoided_in_every_alternative() {
        let own = json!({ "key": HOST_LABEL, "operator": "NotIn", "values": ["a", "b"] });
        assert_eq!(avoided(json!({})), json!([{ "matchExpressions": [own] }]));
        let zone = json!({ "key": "zone", "operator": "In", "values": ["z"] });
        let terms = json!([
            { "matchExpressions": [zone] },
            { "matchFields": [], "matchExpressions": [{ "key": HOST_LABEL, "operator": "NotIn", "values": ["c", "b"] }] },
        ]);
        let spec = json!({ "affinity": { "podAffinity": {}, "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": terms } } } });
        let expected = json!([
            { "matchExpressions": [zone, own] },
            { "matchFields": [], "matchExpressions": [{ "key": HOST_LABEL, "operator": "NotIn", "values": ["c", "b", "a"] }] },
        ]);
        assert_eq!(avoided(spec), expected);
        // The API says what is wrong with it.
        assert_eq!(avoided(json!({ "affinity": "x" })), Value::Null);
    }
}
