//! OpenAPI: the fields that objects have, as `kubectl explain` shows them, and what `kubectl` asks before it writes.

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::discovery::groups;
use super::kinds::{ARGO, KINDS, Kind};
use super::schemas;

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

/// The schema of every object's metadata, by the name that Kubernetes gives it.
const METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The document of Argo's group, which is long.
static ARGO_DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document_of(ARGO, "v1alpha1").to_string().into());

/// The OpenAPI document at a path; `None` when there is none.
pub(crate) fn document(path: &str) -> Option<Bytes> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let document = match parts.as_slice() {
        ["openapi", "v3"] => index(),
        ["openapi", "v3", "api", "v1"] => document_of("", "v1"),
        ["openapi", "v3", "apis", ARGO, "v1alpha1"] => return Some(ARGO_DOCUMENT.clone()),
        ["openapi", "v3", "apis", name, version] if groups().contains(&(name, version)) => document_of(name, version),
        _ => return None,
    };
    Some(document.to_string().into())
}

/// Where each document is. Clients may keep one as long as its address stays.
fn index() -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let mut paths = Map::new();
    let all = std::iter::once(("", "v1")).chain(groups());
    for (group, of_group) in all {
        let path = base_path(group, of_group);
        paths.insert(path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={version}")}));
    }
    json!({"paths": paths})
}

fn base_path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// The paths and parameters of a group's resources, and the schemas of their objects.
fn document_of(group: &str, version: &str) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::from_iter([(METADATA.to_owned(), schemas::metadata())]);
    for kind in KINDS.iter().filter(|k| k.group == group && k.version == version) {
        let gvk = json!({"group": group, "version": version, "kind": kind.kind});
        let name = format!("{}.{}.{}", if group.is_empty() { "core" } else { group }, version, kind.kind);
        let reference = json!({"$ref": format!("#/components/schemas/{name}")});
        let mut schema = schema(kind);
        schema["x-kubernetes-group-version-kind"] = json!([gvk]);
        schemas.insert(name, schema);
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

/// The schema of a kind: Argo's in full; of the others only that they are objects, with fields that are not told.
fn schema(kind: &Kind) -> Value {
    let metadata = json!({"allOf": [{"$ref": format!("#/components/schemas/{METADATA}")}],
        "description": "Standard object's metadata.", "default": {}});
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let mut schema = schemas::whole(kind).unwrap_or_else(|| {
        let mut schema = open.clone();
        schema["properties"] =
            json!({"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "spec": open, "status": open});
        schema
    });
    schema["properties"]["metadata"] = metadata;
    schema
}
