//! Members of manifests, which may be anything: they come from outside.

use serde_json::{Map, Value};

use super::error::Error;

/// Sets the owners of an object.
/// Errors: `NoObject`.
pub(super) fn own(manifest: &mut Value, owners: Value) -> Result<(), Error> {
    metadata(manifest)?.insert("ownerReferences".to_owned(), owners);
    Ok(())
}

/// Sets an annotation of an object.
/// Errors: `NoObject`.
pub(super) fn annotate(manifest: &mut Value, key: &str, text: String) -> Result<(), Error> {
    let annotations = metadata(manifest)?.entry("annotations").or_insert(Value::Null);
    as_object(annotations, "metadata.annotations")?.insert(key.to_owned(), Value::String(text));
    Ok(())
}

fn metadata(manifest: &mut Value) -> Result<&mut Map<String, Value>, Error> {
    let Value::Object(manifest) = manifest else {
        return Err(Error::NoObject { member: "the manifest", found: shown(manifest) });
    };
    as_object(manifest.entry("metadata").or_insert(Value::Null), "metadata")
}

/// The value as an object; one that is not there becomes an empty one.
fn as_object<'a>(value: &'a mut Value, member: &'static str) -> Result<&'a mut Map<String, Value>, Error> {
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(object) => Ok(object),
        other => Err(Error::NoObject { member, found: shown(other) }),
    }
}

/// The beginning of a value's JSON.
fn shown(value: &Value) -> String {
    value.to_string().chars().take(100).collect()
}
