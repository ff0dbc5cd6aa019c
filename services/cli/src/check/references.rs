//! Names that lead nowhere, each where it is written and with the name that was meant: templates, and variables in tags.

use argosy_engine::validate::Problem;
use serde_json::Value;

use super::locate::{self, Found};
use crate::{
    diagnostic::Diagnostic,
    load::{Document, Place},
    suggest::{self, closest},
};

/// The problem, told once for every place where the name is written; `None` where it is about something else, or the name
/// is written elsewhere, in another file or in a flag.
pub fn diagnostics(document: &Document, spec_path: &str, problem: &Problem) -> Option<Vec<Diagnostic>> {
    let found = template(document, spec_path, problem).or_else(|| tag(document, spec_path, problem))?;
    (!found.is_empty()).then_some(found)
}

/// A template that is not there: `entrypoint`, `onExit`, or `template` of a step, a task or a hook.
fn template(document: &Document, spec_path: &str, problem: &Problem) -> Option<Vec<Diagnostic>> {
    let name = undefined(&problem.message)?;
    let holder = locate::find(document, spec_path, last(&problem.path));
    let mut found = Vec::new();
    let of_spec = problem.path.is_empty() || problem.path == "spec";
    holder.texts(&mut |path, text, place| {
        let field = path.rsplit('.').next().unwrap_or_default();
        let direct = path.strip_prefix(holder.path.as_str()).unwrap_or(path).trim_start_matches('.');
        // Templates have steps of their own, which have problems of their own.
        let is_meant =
            if of_spec { matches!(direct, "entrypoint" | "onExit") || direct.starts_with("hooks.") } else { true };
        // A flag may have set it: then the file says something else.
        let written = document.source.text.get(place.value.clone()).is_some_and(|text| text.contains(name));
        if text == name && written && is_meant && matches!(field, "entrypoint" | "onExit" | "template") {
            found.push((path.to_owned(), place.clone()));
        }
    });
    let help = suggestion(document, spec_path, &problem.message).unwrap_or_default();
    let at = |(path, place): (String, Place)| {
        let base = Diagnostic::of_source(&document.source, problem.message.clone());
        Diagnostic { span: Some(place.value), path, help: Some(help.clone()), ..base }
    };
    Some(found.into_iter().map(at).collect())
}

/// The template that a message says is not there.
fn undefined(message: &str) -> Option<&str> {
    message.split_once("template name '")?.1.strip_suffix("' undefined")
}

/// The template that was meant where `message` says that one is not there.
pub fn suggestion(document: &Document, spec_path: &str, message: &str) -> Option<String> {
    let names = names(document, spec_path, "templates");
    Some(match closest(undefined(message)?, names.iter().map(String::as_str)) {
        Some(best) => suggest::question(best),
        None if names.is_empty() => "define a template of this name, or correct the name".to_owned(),
        None => format!("define a template of this name, or name one of {}", names.join(", ")),
    })
}

/// A tag whose variable is not there.
fn tag(document: &Document, spec_path: &str, problem: &Problem) -> Option<Vec<Diagnostic>> {
    let (before, rest) = problem.message.split_once("failed to resolve {{")?;
    let variable = rest.strip_suffix("}}")?;
    // The words before say more than the path: `templates.a.steps[0].b templates.c: `.
    let words = before.trim_end_matches([' ', ':']).rsplit(' ').next().unwrap_or_default();
    let whole = format!("{{{{{variable}}}}}");
    [words, last(&problem.path)].into_iter().filter(|words| words.starts_with("templates.")).find_map(|words| {
        let holder = locate::find(document, spec_path, words);
        let mut found = Vec::new();
        holder.texts(&mut |path, text, place| {
            if text.contains(&whole) {
                found.push((path.to_owned(), place.clone()));
            }
        });
        let help = help(document, spec_path, words, variable.trim());
        let at = |(path, place): (String, Place)| {
            let written = document.source.text.get(place.value.clone()).and_then(|text| text.find(&whole));
            let span = written.map_or(place.value.clone(), |at| {
                let start = place.value.start + at;
                start..start + whole.len()
            });
            let base = Diagnostic::of_source(&document.source, problem.message.clone());
            Diagnostic { span: Some(span), path, help: Some(help.clone()), ..base }
        };
        let told: Vec<_> = found.into_iter().map(at).collect();
        (!told.is_empty()).then_some(told)
    })
}

/// What was meant by `variable` in the template that `words` speak of.
fn help(document: &Document, spec_path: &str, words: &str, variable: &str) -> String {
    if variable == "item" || variable.starts_with("item.") {
        return "only a step or task with withItems, withParam or withSequence has an item".to_owned();
    }
    let template = words.split('.').nth(1).unwrap_or_default();
    let of_template = |field: &str| names(document, spec_path, &format!("templates.{template}.{field}"));
    let kinds = [
        ("inputs.parameters.", of_template("inputs.parameters")),
        ("inputs.artifacts.", of_template("inputs.artifacts")),
        ("workflow.parameters.", names(document, spec_path, "arguments.parameters")),
        ("steps.", steps(document, spec_path, template)),
        ("tasks.", of_template("dag.tasks")),
    ];
    for (prefix, known) in kinds {
        let Some(rest) = variable.strip_prefix(prefix) else { continue };
        let (name, more) = rest.split_once('.').unwrap_or((rest, ""));
        let dot = if more.is_empty() { "" } else { "." };
        let best = closest(name, known.iter().map(String::as_str)).filter(|best| *best != name);
        if let Some(best) = best {
            return suggest::question(&format!("{prefix}{best}{dot}{more}"));
        }
        if !known.is_empty() && !known.iter().any(|known| known == name) {
            let known: Vec<_> = known.iter().map(|name| format!("{prefix}{name}")).collect();
            return format!("known here: {}", known.join(", "));
        }
    }
    "correct the name in the braces; only inputs, earlier steps and workflow variables are known here".to_owned()
}

/// The names of the items of a list of the spec.
fn names(document: &Document, spec_path: &str, words: &str) -> Vec<String> {
    let last = words.rsplit('.').next().unwrap_or_default();
    let list = locate::find(document, spec_path, words);
    if !list.path.ends_with(last) {
        return Vec::new();
    }
    let items = list.value.as_array().into_iter().flatten();
    items.filter_map(|item| Some(item.get("name")?.as_str()?.to_owned())).collect()
}

fn steps(document: &Document, spec_path: &str, template: &str) -> Vec<String> {
    let list = locate::find(document, spec_path, &format!("templates.{template}.steps"));
    let groups = list.value.as_array().into_iter().flatten().filter_map(Value::as_array).flatten();
    groups.filter_map(|step| Some(step.get("name")?.as_str()?.to_owned())).collect()
}

fn last(path: &str) -> &str {
    path.rsplit(' ').next().unwrap_or_default()
}

impl Found<'_> {
    /// Calls `each` with every text below, its path and its place.
    fn texts(&self, each: &mut dyn FnMut(&str, &str, &Place)) {
        texts(self.value, self.place, &self.path, each);
    }
}

fn texts(value: &Value, place: &Place, path: &str, each: &mut dyn FnMut(&str, &str, &Place)) {
    match value {
        Value::String(text) => each(path, text, place),
        Value::Object(members) => {
            for (key, inner) in members {
                let Some(part) = place.member(key) else { continue };
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                texts(inner, part, &path, each);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                let Some(part) = place.item(index) else { continue };
                texts(inner, part, &format!("{path}[{index}]"), each);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
