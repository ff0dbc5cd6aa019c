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

/// What may stand in the place of a tag in a condition; one with more tags than [`TAGS_MAX`] is not looked at.
const STAND_INS: [&str; 5] = ["1", "a", "==", "true", ""];
const TAGS_MAX: usize = 3;

/// A step's `when` that cannot be evaluated, whatever stands in its tags.
fn condition(document: &Document, key: &str, value: &Value, place: Option<&Place>, path: &str) -> Option<Diagnostic> {
    let text = value.as_str().filter(|text| key == "when" && !text.is_empty())?;
    if !path.contains(".steps[") && !path.contains(".tasks[") {
        return None;
    }
    let error = unconditional(text)?;
    Some(Diagnostic {
        span: place.map(|p| p.value.clone()),
        path: path.to_owned(),
        help: Some("write a comparison such as `{{steps.a.outputs.result}} == yes`".to_owned()),
        ..Diagnostic::of_source(&document.source, error)
    })
}

/// Why a condition can never be evaluated.
fn unconditional(text: &str) -> Option<String> {
    if !text.contains("{{") {
        return Some(when::evaluate(text).err()?.to_string());
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{{") {
        parts.push(before);
        rest = behind.split_once("}}")?.1;
    }
    let tags = parts.len();
    if tags > TAGS_MAX {
        return None;
    }
    let ways = STAND_INS.len().pow(u32::try_from(tags).ok()?);
    let filled = |mut way: usize| {
        let mut filled = String::new();
        for part in &parts {
            filled.push_str(part);
            filled.push_str(STAND_INS[way % STAND_INS.len()]);
            way /= STAND_INS.len();
        }
        filled + rest
    };
    if (0..ways).any(|way| when::evaluate(&filled(way)).is_ok()) {
        return None;
    }
    Some(format!("`{text}` is no condition, whatever stands in the braces"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_told_only_where_no_value_can_mend_it() {
        for text in ["x ==", "{{workflow.name}} ==", "== {{a}}", "{{a}} = 1", "{{a}} == 'x", "({{a}} == 1"] {
            assert!(unconditional(text).is_some(), "{text}");
        }
        for text in [
            "{{a}} == x",
            "{{a}} {{op}} 1",
            "{{a}}",
            "{{a}} {{b}} {{c}}",
            "'{{a}}' == 'x' && {{b}} > 2",
            "true",
            "{{= 1 > 2}}",
            "{{a}} in ('x', 'y')",
            "!{{a}}",
            "{{a",
            "{{a}} =~ '^x'",
        ] {
            assert_eq!(unconditional(text), None, "{text}");
        }
    }
}
