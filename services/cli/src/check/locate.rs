//! From the validator's words for a place to a place in the file.

use serde_json::Value;

use crate::{
    diagnostic::Diagnostic,
    load::{Document, Place},
};

/// A place of a document.
pub struct Found<'a> {
    /// Its path: `spec.templates[0].name`.
    pub path: String,
    pub value: &'a Value,
    pub place: &'a Place,
}

/// What is wrong with the field at `path`, `spec.templates[0].name`.
pub fn at(document: &Document, path: &str, message: String) -> Diagnostic {
    let (path, place) = walk(document, split(path)).named();
    Diagnostic { span: Some(place.value.clone()), path, ..Diagnostic::of_source(&document.source, message) }
}

/// Follows `words` as far as the document has them; items of lists are found by index or by name.
pub fn find<'a>(document: &'a Document, spec_path: &str, words: &str) -> Found<'a> {
    let mut steps: Vec<&str> = Vec::new();
    if !words.starts_with("spec") && !words.starts_with("metadata") {
        steps.extend(spec_path.split('.'));
    } else if let Some(rest) = words.strip_prefix("spec.").filter(|_| spec_path != "spec") {
        steps.extend(spec_path.split('.'));
        return walk(document, steps.into_iter().chain(split(rest)));
    }
    walk(document, steps.into_iter().chain(split(words)))
}

fn split(words: &str) -> impl Iterator<Item = &str> {
    words.split(['.', '[', ']']).filter(|word| !word.is_empty())
}

fn walk<'a, 'w>(document: &'a Document, words: impl Iterator<Item = &'w str>) -> Found<'a> {
    let (mut value, mut place, mut path) = (&document.value, &document.place, String::new());
    for word in words {
        // Argo's words leave out the `dag` that holds the tasks.
        let through_dag = word == "tasks" && value.get("tasks").is_none();
        let steps = ["dag", word];
        for step in &steps[usize::from(!through_dag)..] {
            let Some((next, part, name)) = below(value, place, step) else {
                continue;
            };
            (value, place) = (next, part);
            if !name.starts_with('[') && !path.is_empty() {
                path.push('.');
            }
            path.push_str(&name);
        }
    }
    Found { path, value, place }
}

impl<'a> Found<'a> {
    /// Its path and where it is best shown: an item by its name.
    pub fn named(self) -> (String, &'a Place) {
        match self.place.member("name") {
            Some(name) if self.path.ends_with(']') => (self.path, name),
            Some(_) | None => (self.path, self.place),
        }
    }
}

/// The member or item `word`, its place, and its name in a path.
fn below<'a>(value: &'a Value, place: &'a Place, word: &str) -> Option<(&'a Value, &'a Place, String)> {
    match value {
        Value::Object(members) => Some((members.get(word)?, place.member(word)?, word.to_owned())),
        Value::Array(items) => {
            let named = |item: &Value| item.get("name").and_then(Value::as_str) == Some(word);
            let index = word.parse().ok().filter(|index| *index < items.len());
            let index = index.or_else(|| items.iter().position(named))?;
            Some((items.get(index)?, place.item(index)?, format!("[{index}]")))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}
