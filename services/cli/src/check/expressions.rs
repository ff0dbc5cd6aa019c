//! `{{=expression}}` tags that can never be evaluated, found before anything runs.

use argosy_template::{Tag, expr, tags, when};
use serde_json::Value;

use crate::{
    diagnostic::Diagnostic,
    load::{Document, Place},
};

/// Expressions of the document that do not parse, each with the place of the text that holds it.
pub fn check(document: &Document) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    walk(document, &document.value, Some(&document.place), "", &mut found);
    found
}

/// A step's `when` without tags that cannot be evaluated: it says the same in every run.
fn condition(document: &Document, key: &str, value: &Value, place: Option<&Place>, path: &str) -> Option<Diagnostic> {
    let text = value.as_str().filter(|text| key == "when" && !text.is_empty() && !text.contains("{{"))?;
    if !path.contains(".steps[") && !path.contains(".tasks[") {
        return None;
    }
    let error = when::evaluate(text).err()?;
    Some(Diagnostic {
        span: place.map(|p| p.value.clone()),
        path: path.to_owned(),
        help: Some("write a comparison such as `{{steps.a.outputs.result}} == yes`".to_owned()),
        ..Diagnostic::of_source(&document.source, error.to_string())
    })
}

fn walk(document: &Document, value: &Value, place: Option<&Place>, path: &str, found: &mut Vec<Diagnostic>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let place = place.and_then(|p| p.member(key));
                if let Some(problem) = condition(document, key, inner, place, &path) {
                    found.push(problem);
                }
                walk(document, inner, place, &path, found);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                walk(document, inner, place.and_then(|p| p.item(index)), &format!("{path}[{index}]"), found);
            }
        }
        Value::String(text) => {
            let expressions = tags(text).into_iter().filter_map(|tag| match tag {
                Tag::Expression(text) => Some(text),
                Tag::Simple(_) => None,
            });
            for error in expressions.filter_map(|text| expr::Program::compile(&text).err()) {
                found.push(Diagnostic {
                    span: place.map(|p| p.value.clone()),
                    path: path.to_owned(),
                    help: Some("see https://expr-lang.org for the language of {{=…}}".to_owned()),
                    ..Diagnostic::of_source(&document.source, format!("bad expression: {error}"))
                });
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
