//! Every value of a document with the way to it.

use serde_json::Value;

use crate::load::{Document, Place};

/// A step of the way.
#[derive(Clone, Copy)]
pub enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

type Visit<'v, 'a> = dyn FnMut(&[Step<'a>], &'a Value, Option<&'a Place>) + 'v;

/// Calls `visit` with every value, those that hold others first, the way to it and its place.
pub fn each<'a>(document: &'a Document, visit: &mut Visit<'_, 'a>) {
    walk(&document.value, Some(&document.place), &mut Vec::new(), visit);
}

fn walk<'a>(value: &'a Value, place: Option<&'a Place>, way: &mut Vec<Step<'a>>, visit: &mut Visit<'_, 'a>) {
    visit(way, value, place);
    match value {
        Value::Object(members) => {
            for (key, inner) in members {
                way.push(Step::Key(key));
                walk(inner, place.and_then(|place| place.member(key)), way, visit);
                way.pop();
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                way.push(Step::Index(index));
                walk(inner, place.and_then(|place| place.item(index)), way, visit);
                way.pop();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The way in words: `spec.templates[0].name`.
pub fn path(way: &[Step<'_>]) -> String {
    let mut text = String::new();
    for step in way {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.push_str(&format!(".{key}")),
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

/// The key so many steps before the end of the way, from 1; empty where there is none, or an index.
pub fn key<'a>(way: &[Step<'a>], from_end: usize) -> &'a str {
    match way.len().checked_sub(from_end).and_then(|at| way.get(at)) {
        Some(Step::Key(key)) => key,
        Some(Step::Index(_)) | None => "",
    }
}

/// True where the way ends at a template: an item of `templates`, `templateDefaults`, or one that stands inline.
pub fn is_template(way: &[Step<'_>]) -> bool {
    // The index stands between the list and what is in it.
    matches!(key(way, 1), "templateDefaults" | "inline") || (key(way, 2) == "templates" && key(way, 1).is_empty())
}
