//! The schemas of Argo's kinds, as its full CRDs have them: what fields there are, and what they are for.
//!
//! `crds.json` is made by `generate.py` from `deploy/crds`. In the store objects are checked by less, see
//! [`validation`](super::validation): a program may write what the schemas do not know.

mod unknown;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::kinds::Kind;

pub(super) use unknown::unknown;

static SCHEMAS: LazyLock<Schemas> =
    LazyLock::new(|| serde_json::from_str(include_str!("crds.json")).expect("a test reads the file"));

#[derive(Deserialize)]
struct Schemas {
    /// By plural name.
    kinds: BTreeMap<String, Value>,
    /// What the others name by `{"ref": number}`.
    defs: Vec<Value>,
}

/// The fields of metadata, each with its type and what it is for.
/// Source: Kubernetes `ObjectMeta`.
const METADATA: [(&str, &str, &str); 15] = [
    ("annotations", "map", "Texts for programs and people, which nothing selects by."),
    ("creationTimestamp", "date-time", "When the object was created. Set by the server."),
    ("deletionGracePeriodSeconds", "integer", "Seconds that the object has to end, once it is being deleted."),
    ("deletionTimestamp", "date-time", "When the object will be gone. Set by the server when it is deleted."),
    ("finalizers", "strings", "Who has something to do before the object may go; each removes its own."),
    (
        "generateName",
        "string",
        "The beginning of a name to which the server adds some letters, where there is no name.",
    ),
    ("generation", "integer", "Counts the changes of what is wanted. Set by the server."),
    ("labels", "map", "Texts that objects are selected by."),
    ("managedFields", "objects", "Who set which fields. Kept by the server."),
    ("name", "string", "The name, unique among the objects of this kind in the namespace. It cannot change."),
    ("namespace", "string", "The namespace that the object is in. It cannot change."),
    ("ownerReferences", "objects", "The objects that this one belongs to; it goes when all of them are gone."),
    ("resourceVersion", "string", "The version of the object, to find out whether it changed."),
    ("selfLink", "string", "No longer set."),
    ("uid", "string", "What tells the object apart from earlier ones of the same name. Set by the server."),
];

/// What a schema is, behind its number if it has one.
fn resolved(schema: &'static Value) -> &'static Value {
    let number = schema.get("ref").and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
    number.and_then(|number| SCHEMAS.defs.get(number)).unwrap_or(schema)
}

/// The schema of a custom kind, written out; `None` where a kind has none.
pub(super) fn whole(kind: &Kind) -> Option<Value> {
    let root = kind.is_custom().then(|| SCHEMAS.kinds.get(kind.plural)).flatten()?;
    Some(written_out(root))
}

fn written_out(schema: &'static Value) -> Value {
    let Value::Object(members) = resolved(schema) else { return schema.clone() };
    let member = |(key, value): (&String, &'static Value)| {
        let value = match (key.as_str(), value) {
            ("properties", Value::Object(fields)) => {
                fields.iter().map(|(name, field)| (name.clone(), written_out(field))).collect::<Map<_, _>>().into()
            }
            ("items" | "additionalProperties", Value::Object(_)) => written_out(value),
            _ => value.clone(),
        };
        (key.clone(), value)
    };
    members.iter().map(member).collect::<Map<_, _>>().into()
}

/// The schema of every object's metadata.
pub(super) fn metadata() -> Value {
    let fields = METADATA.iter().map(|(name, kind, text)| {
        let mut field = match *kind {
            "map" => json!({"type": "object", "additionalProperties": {"type": "string"}}),
            "strings" => json!({"type": "array", "items": {"type": "string"}}),
            "objects" => json!({"type": "array", "items": {"type": "object"}}),
            "date-time" => json!({"type": "string", "format": "date-time"}),
            plain => json!({"type": plain}),
        };
        field["description"] = json!(text);
        ((*name).to_owned(), field)
    });
    let fields: Map<String, Value> = fields.collect();
    json!({"type": "object", "description": "What every object says of itself: its name, its labels.", "properties": fields})
}

#[cfg(test)]
mod tests;
