//! Fields that a schema does not know: most often a mistake in writing.

use serde_json::Value;

use super::{METADATA, SCHEMAS, resolved};
use crate::json::Json;
use crate::json_map::Map;
use crate::kinds::Kind;

/// So many of them are told.
const TOLD_MAX: usize = 20;

/// The paths of fields in `tree`, an object or a part of one, that its kind does not have; such as
/// `spec.templates[0].contaner`. At most [`TOLD_MAX`]; none of kinds without a schema.
pub(crate) fn unknown(kind: &Kind, tree: &Json) -> Vec<String> {
    let mut found = Found::default();
    let root = kind.is_custom().then(|| SCHEMAS.kinds.get(kind.plural)).flatten();
    if let (Some(root), Some(members)) = (root, tree.as_map()) {
        found.members(resolved(root), members);
    }
    found.paths
}

#[derive(Default)]
struct Found {
    /// Where the search is.
    at: String,
    paths: Vec<String>,
}

impl Found {
    /// Of a whole object: its metadata is no matter of its kind's schema.
    fn members(&mut self, schema: &'static Value, members: &Map) {
        for (name, value) in members.iter() {
            match (name, value) {
                ("metadata", Json::Object(members)) => self.within(".metadata", |found| {
                    for (name, _) in members.iter().filter(|(name, _)| METADATA.iter().all(|(known, ..)| known != name))
                    {
                        found.within(&format!(".{name}"), Self::note);
                    }
                }),
                _ => self.member(schema, name, value),
            }
        }
    }

    fn member(&mut self, schema: &'static Value, name: &str, value: &Json) {
        let field = schema.get("properties").and_then(|fields| fields.get(name));
        let field = field.or_else(|| schema.get("additionalProperties").filter(|rest| rest.is_object()));
        let is_open = schema.get("x-kubernetes-preserve-unknown-fields").and_then(Value::as_bool) == Some(true);
        self.within(&format!(".{name}"), |found| match field {
            Some(field) => found.value(resolved(field), value),
            None if is_open => {}
            None => found.note(),
        });
    }

    fn value(&mut self, schema: &'static Value, value: &Json) {
        // A value of another type is told by who reads it.
        match value {
            Json::Object(members) => members.iter().for_each(|(name, value)| self.member(schema, name, value)),
            Json::Array(items) => {
                let Some(schema) = schema.get("items") else { return };
                for (number, item) in items.iter().enumerate() {
                    self.within(&format!("[{number}]"), |found| found.value(resolved(schema), item));
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }

    fn within(&mut self, step: &str, search: impl FnOnce(&mut Self)) {
        if self.paths.len() == TOLD_MAX {
            return;
        }
        let length = self.at.len();
        self.at.push_str(step);
        search(self);
        self.at.truncate(length);
    }

    fn note(&mut self) {
        self.paths.push(self.at.trim_start_matches('.').to_owned());
    }
}
