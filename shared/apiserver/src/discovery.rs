//! Discovery: which groups, versions and resources there are.

use serde_json::{Value, json};

use super::kinds::{Flavor, KINDS, Kind};
use super::validation;

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// Plural, kind, whether it is posted to a namespace.
type Review = (&'static str, &'static str, bool);

/// Groups that have nothing stored but answer reviews.
const REVIEW_GROUPS: [(&str, &[Review]); 2] = [
    (
        "authorization.k8s.io",
        &[
            ("selfsubjectaccessreviews", "SelfSubjectAccessReview", false),
            ("selfsubjectrulesreviews", "SelfSubjectRulesReview", false),
            ("subjectaccessreviews", "SubjectAccessReview", false),
            ("localsubjectaccessreviews", "LocalSubjectAccessReview", true),
        ],
    ),
    ("authentication.k8s.io", &[("selfsubjectreviews", "SelfSubjectReview", false)]),
];

/// The answer to a discovery path; `None` when it is not one.
pub(crate) fn document(path: &str) -> Option<Value> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["version"] => Some(version()),
        ["api"] => Some(json!({"kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": []})),
        ["apis"] => Some(json!({"kind": "APIGroupList", "apiVersion": "v1",
            "groups": groups().into_iter().map(group).collect::<Vec<_>>()})),
        ["api", "v1"] => Some(resources("", "v1")),
        ["apis", name] => groups().into_iter().find(|(group, _)| group == name).map(|found| {
            let mut body = group(found);
            body["kind"] = json!("APIGroup");
            body["apiVersion"] = json!("v1");
            body
        }),
        ["apis", name, version] => groups().contains(&(name, version)).then(|| resources(name, version)),
        _ => None,
    }
}

fn version() -> Value {
    json!({"major": "1", "minor": "33", "gitVersion": "v1.33.0+argosy", "gitCommit": "",
        "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "",
        "compiler": "rustc", "platform": "any"})
}

/// The named groups with their one version, in a fixed order.
pub(crate) fn groups() -> Vec<(&'static str, &'static str)> {
    let mut groups: Vec<(&str, &str)> = Vec::new();
    let named = KINDS.iter().filter(|k| !k.group.is_empty()).map(|k| (k.group, k.version));
    for group in named.chain(REVIEW_GROUPS.iter().map(|(name, _)| (*name, "v1"))) {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

fn group((name, version): (&str, &str)) -> Value {
    let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn resources(group: &str, version: &str) -> Value {
    let mut list = Vec::new();
    for kind in KINDS.iter().filter(|k| k.group == group && k.version == version) {
        let mut entry = json!({
            "name": kind.plural, "singularName": kind.singular(), "namespaced": kind.namespaced,
            "kind": kind.kind, "verbs": VERBS,
        });
        if !kind.short.is_empty() {
            entry["shortNames"] = json!(kind.short);
        }
        if !kind.categories.is_empty() {
            entry["categories"] = json!(kind.categories);
        }
        list.push(entry);
        if kind.status {
            list.push(subresource(kind, "status", kind.kind, &["get", "patch", "update"]));
        }
        if kind.flavor == Flavor::Pod {
            list.push(subresource(kind, "log", "Pod", &["get"]));
            list.push(subresource(kind, "binding", "Binding", &["create"]));
            let mut eviction = subresource(kind, "eviction", "Eviction", &["create"]);
            eviction["group"] = json!("policy");
            eviction["version"] = json!("v1");
            list.push(eviction);
        }
    }
    for (_, reviews) in REVIEW_GROUPS.iter().filter(|(name, _)| *name == group) {
        for (plural, kind, namespaced) in *reviews {
            list.push(json!({"name": plural, "singularName": kind.to_ascii_lowercase(),
                "namespaced": namespaced, "kind": kind, "verbs": ["create"]}));
        }
    }
    json!({"kind": "APIResourceList", "apiVersion": "v1",
        "groupVersion": group_version(group, version), "resources": list})
}

fn subresource(kind: &Kind, name: &str, body: &str, verbs: &[&str]) -> Value {
    json!({"name": format!("{}/{name}", kind.plural), "singularName": "",
        "namespaced": kind.namespaced, "kind": body, "verbs": verbs})
}

/// What is checked of an Argo object; see `validation`.
fn schema(kind: &Kind) -> Value {
    let (required, objects) = validation::shape(kind);
    let object = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let mut schema = object.clone();
    schema["properties"] =
        json!({"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}});
    for field in objects {
        schema["properties"][field] = object.clone();
    }
    let required: Vec<&str> = ["metadata"].iter().chain(required).copied().collect();
    schema["required"] = json!(required);
    schema
}

/// The definitions of the Argo resources, so that tools that ask whether they are installed find them.
pub(crate) fn definitions() -> impl Iterator<Item = Value> {
    KINDS.iter().filter(|k| k.is_custom()).map(|kind| {
        let mut names = json!({"kind": kind.kind, "listKind": format!("{}List", kind.kind),
            "plural": kind.plural, "singular": kind.singular()});
        if !kind.short.is_empty() {
            names["shortNames"] = json!(kind.short);
        }
        let mut version = json!({"name": kind.version, "served": true, "storage": true,
            "schema": {"openAPIV3Schema": schema(kind)}});
        if kind.status {
            version["subresources"] = json!({"status": {}});
        }
        let conditions = ["NamesAccepted", "Established"]
            .map(|name| json!({"type": name, "status": "True", "reason": "Served", "message": ""}));
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": kind.qualified()},
            "spec": {"group": kind.group, "names": names, "versions": [version],
                "scope": if kind.namespaced { "Namespaced" } else { "Cluster" }},
            "status": {"acceptedNames": names, "storedVersions": [kind.version],
                "conditions": conditions},
        })
    })
}
