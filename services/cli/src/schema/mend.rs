//! A document with values of the wrong type as it was probably meant, so that its other mistakes can be found.

use serde_json::Value;

use super::{SCHEMAS, Schema, Type, plain_fits, resolve};
use crate::load::{Document, scalar};

/// Fields that other parts of a document speak of by their names: without them the rest means something else.
const NAMING: [&str; 20] = [
    "arguments",
    "artifacts",
    "containers",
    "dag",
    "dependencies",
    "depends",
    "entrypoint",
    "inline",
    "inputs",
    "kind",
    "metadata",
    "name",
    "outputs",
    "parameters",
    "spec",
    "steps",
    "tasks",
    "template",
    "templates",
    "workflowSpec",
];

/// The document with plain values turned to the type that their field has: `5` to `"5"` and back, and what should be in
/// a list put in one; what is of no use is left out, such as a text for a mapping. None where the rest means something else
/// without it.
pub fn mended(document: &Document) -> Option<Document> {
    let mut mended = document.clone();
    let schema = SCHEMAS.kinds.get(document.kind())?;
    matches!(mend(schema, &mut mended.value), Outcome::Kept).then_some(mended)
}

enum Outcome {
    Kept,
    /// The value is of no use, and may be absent.
    Useless,
    Hopeless,
}

fn mend(schema: &Schema, value: &mut Value) -> Outcome {
    let schema = resolve(schema);
    if value.is_null() {
        return Outcome::Kept;
    }
    if let Some(expected) = schema.r#type.filter(|expected| !expected.fits(value)) {
        *value = match (expected, &mut *value) {
            (Type::String, Value::Number(_) | Value::Bool(_)) => Value::String(value.to_string()),
            (Type::Integer | Type::Number | Type::Boolean, Value::String(text)) if plain_fits(expected, text) => {
                scalar::plain(text)
            }
            (Type::Array, _) => Value::Array(vec![value.take()]),
            (Type::Integer | Type::Number | Type::Boolean, _) => return Outcome::Useless,
            _ => return Outcome::Hopeless,
        };
    }
    if !schema.r#enum.is_empty() && !schema.r#enum.contains(value) {
        return Outcome::Hopeless;
    }
    match value {
        Value::Object(members) => {
            let mut is_hopeless = false;
            members.retain(|name, value| {
                let own = schema.properties.as_ref().and_then(|properties| properties.get(name));
                match own.or(schema.additional_properties.as_deref()).map(|schema| mend(schema, value)) {
                    Some(Outcome::Kept) | None => true,
                    Some(Outcome::Useless) => false,
                    Some(Outcome::Hopeless) => {
                        let is_naming = NAMING.contains(&name.as_str());
                        is_hopeless |= is_naming;
                        is_naming
                    }
                }
            });
            if is_hopeless { Outcome::Hopeless } else { Outcome::Kept }
        }
        Value::Array(items) => {
            let Some(schema) = &schema.items else { return Outcome::Kept };
            let is_kept = items.iter_mut().all(|item| matches!(mend(schema, item), Outcome::Kept));
            if is_kept { Outcome::Kept } else { Outcome::Hopeless }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Outcome::Kept,
    }
}
