//! Metadata, which every client reads. Source: `k8s.io/apimachinery` `ValidateObjectMeta` and the JSON of its `ObjectMeta`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

use super::cause::{Causes, unreadable};
use super::names;
use crate::failure::{Failure, Result};
use crate::json::Json;
use crate::json_map::Map;
use crate::kinds::Kind;

/// Bytes that the annotations of an object may have together.
const ANNOTATIONS_BYTES_MAX: usize = 256 << 10;

/// That clients can read it. `old` saves looking again at the owners of fields that have not changed.
pub(super) fn check_types(kind: &Kind, old: Option<&Json>, tree: &Json) -> Result<()> {
    let mut metadata = tree.get("metadata").cloned().unwrap_or_default();
    let managed = metadata.remove(&["managedFields"]);
    if let Some(managed) = managed {
        let before = old.and_then(|old| old.at(&["metadata", "managedFields"]));
        if !before.is_some_and(|before| before.same(&managed)) && !managed.is_null() {
            serde_json::from_slice::<Vec<ManagedFieldsEntry>>(&managed.to_vec())
                .map_err(|error| wrong("managedFields", error))?;
        }
    }
    if old.is_some_and(|old| is_unchanged(old, tree)) {
        return Ok(());
    }
    for field in ["labels", "annotations"] {
        for (key, value) in metadata.get(field).and_then(Json::as_map).into_iter().flat_map(Map::iter) {
            if value.as_str().is_none() {
                return Err(wrong(field, format!("the value of {key:?} is no text")));
            }
        }
    }
    serde_json::from_slice::<ObjectMeta>(&metadata.to_vec())
        .map_err(|error| unreadable(kind, format!("metadata: {error}")))?;
    return Ok(());

    fn wrong(field: &str, why: impl std::fmt::Display) -> Failure {
        Failure::bad_request(format!("metadata.{field} cannot be read: {why}"))
    }
}

/// Whether the metadata is what it was, but for what the server itself counts and the owners of fields.
fn is_unchanged(old: &Json, tree: &Json) -> bool {
    const COUNTED: [&str; 3] = ["resourceVersion", "generation", "managedFields"];
    let members = |tree: &Json| tree.get("metadata").and_then(Json::as_map).cloned().unwrap_or_default();
    let (old, new) = (members(old), members(tree));
    let mut is_same = true;
    old.differences(&new, &mut |key, _, _| is_same &= COUNTED.contains(&key));
    is_same
}

/// That its values are as they should be. Those of `old` were looked at.
pub(super) fn check_values(old: Option<&Json>, tree: &Json, causes: &mut Causes) {
    if old.is_some_and(|old| is_unchanged(old, tree)) {
        return;
    }
    let mut refuse =
        |field: String, value: &str, why: String| causes.push((field, format!("Invalid value: {value:?}: {why}")));
    for (key, value) in members(tree, "labels") {
        if let Some(why) = names::qualified(key) {
            refuse("metadata.labels".to_owned(), key, why);
        }
        if let Some(why) = names::label_value(value) {
            refuse("metadata.labels".to_owned(), value, why);
        }
    }
    let mut bytes = 0;
    for (key, value) in members(tree, "annotations") {
        bytes += key.len() + value.len();
        if let Some(why) = names::qualified(&key.to_lowercase()) {
            refuse("metadata.annotations".to_owned(), key, why);
        }
    }
    for finalizer in list(tree, "finalizers") {
        let name = finalizer.as_str().unwrap_or("");
        if let Some(why) = names::qualified(name) {
            refuse("metadata.finalizers".to_owned(), name, why);
        }
    }
    let mut controllers = 0;
    for (at, owner) in list(tree, "ownerReferences").iter().enumerate() {
        controllers += usize::from(owner.get("controller").and_then(Json::as_bool) == Some(true));
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner.str_at(&[field]).is_none() {
                refuse(format!("metadata.ownerReferences[{at}].{field}"), "", "must not be empty".to_owned());
            }
        }
    }
    if controllers > 1 {
        let why = "Only one reference can have Controller set to true".to_owned();
        refuse("metadata.ownerReferences".to_owned(), "controller", why);
    }
    if bytes > ANNOTATIONS_BYTES_MAX {
        let why = format!("Too long: may not be more than {ANNOTATIONS_BYTES_MAX} bytes");
        causes.push(("metadata.annotations".to_owned(), why));
    }
}

fn members<'a>(tree: &'a Json, field: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let map = tree.at(&["metadata", field]).and_then(Json::as_map);
    map.into_iter().flat_map(Map::iter).map(|(key, value)| (key, value.as_str().unwrap_or("")))
}

fn list<'a>(tree: &'a Json, field: &str) -> &'a [Json] {
    tree.at(&["metadata", field]).and_then(Json::as_array).unwrap_or(&[])
}
