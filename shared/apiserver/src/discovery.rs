//! Discovery: which groups, versions and resources there are, and enough OpenAPI for `kubectl`.

use bytes::Bytes;
use serde_json::{Map, Value, json};

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
        ["openapi", "v3"] => Some(openapi_index()),
        ["openapi", "v3", "api", "v1"] => Some(openapi("", "v1")),
        ["openapi", "v3", "apis", name, version] => groups().contains(&(name, version)).then(|| openapi(name, version)),
        _ => None,
    }
}

fn version() -> Value {
    json!({"major": "1", "minor": "33", "gitVersion": "v1.33.0+argosy", "gitCommit": "",
        "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "",
        "compiler": "rustc", "platform": "any"})
}

/// The named groups with their one version, in a fixed order.
fn groups() -> Vec<(&'static str, &'static str)> {
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

/// The form in which kubectl asks for OpenAPI 2.
pub(crate) const OPENAPI_V2_ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// How the answer names it: `@` is no part of a media type.
pub(crate) const OPENAPI_V2_GIVEN: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
const OPENAPI_TITLE: &str = "Kubernetes";
const OPENAPI_VERSION: &str = "v1.33.0";

/// OpenAPI 2 of nothing.
pub(crate) fn openapi_v2() -> Value {
    json!({"swagger": "2.0", "info": {"title": OPENAPI_TITLE, "version": OPENAPI_VERSION}, "paths": {}})
}

/// [`openapi_v2`] as the message `openapi.v2.Document`: `swagger` is its field 1, `info` 2, `paths` 8.
pub(crate) fn openapi_v2_protobuf() -> Bytes {
    // A length-delimited field; all lengths here fit seven bits.
    let field = |number: u8, bytes: &[u8]| {
        let length = u8::try_from(bytes.len()).expect("the texts are short");
        [&[number << 3 | 2, length], bytes].concat()
    };
    let info = [field(1, OPENAPI_TITLE.as_bytes()), field(2, OPENAPI_VERSION.as_bytes())].concat();
    [field(1, b"2.0"), field(2, &info), field(8, b"")].concat().into()
}

fn openapi_index() -> Value {
    let mut paths = Map::new();
    let all = std::iter::once(("", "v1")).chain(groups());
    for (group, version) in all {
        let path = base_path(group, version);
        paths.insert(path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash=1")}));
    }
    json!({"paths": paths})
}

fn base_path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// The paths and parameters of a group's resources. Schemas keep unknown fields: whoever reads a
/// workflow checks it, as with the CRDs Argo installs by default.
fn openapi(group: &str, version: &str) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for kind in KINDS.iter().filter(|k| k.group == group && k.version == version) {
        let gvk = json!({"group": group, "version": version, "kind": kind.kind});
        let schema = format!("{}.{}.{}", if group.is_empty() { "core" } else { group }, version, kind.kind);
        let reference = json!({"$ref": format!("#/components/schemas/{schema}")});
        schemas.insert(
            schema,
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "x-kubernetes-group-version-kind": [gvk],
                "properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"},
                    "metadata": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                    "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}),
        );
        let mut base = format!("/{}", base_path(group, version));
        if kind.namespaced {
            base.push_str("/namespaces/{namespace}");
        }
        base.push('/');
        base.push_str(kind.plural);
        let operation = |action: &str, medias: &[&str]| {
            let content: Map<String, Value> =
                medias.iter().map(|media| ((*media).to_owned(), json!({"schema": reference}))).collect();
            let parameters = ["dryRun", "fieldManager", "fieldValidation"]
                .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}}));
            json!({
                "x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk,
                "parameters": parameters,
                "requestBody": {"content": content},
                "responses": {"200": {"description": "OK",
                    "content": {"application/json": {"schema": reference}}}},
            })
        };
        paths.insert(base.clone(), json!({"post": operation("post", &["application/json"])}));
        paths.insert(
            format!("{base}/{{name}}"),
            json!({
                "put": operation("put", &["application/json"]),
                "patch": operation("patch", &["application/apply-patch+yaml",
                    "application/json-patch+json", "application/merge-patch+json"]),
            }),
        );
    }
    json!({"openapi": "3.0.0", "info": {"title": OPENAPI_TITLE, "version": OPENAPI_VERSION},
        "paths": paths, "components": {"schemas": schemas}})
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
