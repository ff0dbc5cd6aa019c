//! Parameters that flags set and that no workflow has: most often a slip of the pen, so that the workflow runs with what
//! it had.

use std::collections::BTreeSet;

use argosy_engine::validate::Templates;
use serde_json::Value;

use crate::{
    diagnostic::Diagnostic,
    suggest::{self, closest},
};

/// The parameters that workflows have, or use without having them.
#[derive(Default)]
pub struct Known {
    declared: BTreeSet<String>,
    /// The specs that may use some, as JSON.
    texts: Vec<String>,
    /// Something uses all there are, or is not to be seen.
    is_open: bool,
    /// Templates that were looked at.
    seen: BTreeSet<(bool, String)>,
}

impl Known {
    /// Those of `workflows`, with the templates that they refer to.
    pub fn of<'a>(workflows: impl IntoIterator<Item = &'a Value>, templates: &dyn Templates) -> Self {
        let mut known = Self::default();
        for workflow in workflows {
            let specs = ["/spec", "/status/storedWorkflowTemplateSpec"];
            specs.iter().filter_map(|path| workflow.pointer(path)).for_each(|spec| known.spec(spec, templates));
        }
        known
    }

    fn spec(&mut self, spec: &Value, templates: &dyn Templates) {
        let declared = spec.pointer("/arguments/parameters").and_then(Value::as_array).into_iter().flatten();
        self.declared.extend(declared.filter_map(|one| Some(one.get("name")?.as_str()?.to_owned())));
        self.texts.push(spec.to_string());
        self.references(spec, templates);
    }

    fn references(&mut self, value: &Value, templates: &dyn Templates) {
        match value {
            Value::Object(members) => {
                for (key, inner) in members {
                    if matches!(key.as_str(), "templateRef" | "workflowTemplateRef") {
                        self.reference(inner, templates);
                    }
                    self.references(inner, templates);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.references(item, templates)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn reference(&mut self, reference: &Value, templates: &dyn Templates) {
        let cluster = reference.get("clusterScope").and_then(Value::as_bool).unwrap_or_default();
        let name = reference.get("name").and_then(Value::as_str).unwrap_or_default();
        if !self.seen.insert((cluster, name.to_owned())) {
            return;
        }
        match templates.get(cluster, name).and_then(|spec| serde_json::to_value(&*spec).ok()) {
            Some(spec) => self.spec(&spec, templates),
            None => self.is_open = true,
        }
    }

    /// What is to be said of those of `given` (`NAME=VALUE`) that are not among them.
    pub fn warnings(&self, given: &[String]) -> Vec<Diagnostic> {
        let names = given.iter().filter_map(|text| Some(text.split_once('=')?.0));
        names.filter(|name| !self.has(name)).map(|name| self.warning(name)).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.is_open || self.declared.contains(name) || self.texts.iter().any(|text| uses(text, name))
    }

    fn warning(&self, name: &str) -> Diagnostic {
        let names = || self.declared.iter().map(String::as_str);
        let help = match closest(name, names()) {
            Some(best) => suggest::question(best),
            None if self.declared.is_empty() => "declare it in spec.arguments.parameters".to_owned(),
            None => format!("known here: {}", names().collect::<Vec<_>>().join(", ")),
        };
        let message = "no workflow has or uses a parameter of this name";
        Diagnostic { help: Some(help), warning: true, ..Diagnostic::of_file(format!("parameter {name}"), message) }
    }
}

/// True when the text names the workflow's parameter `name`, or all of its parameters.
fn uses(text: &str, name: &str) -> bool {
    text.match_indices("workflow.parameters").any(|(at, word)| {
        let rest = &text[at + word.len()..];
        if let Some(rest) = rest.strip_prefix('.') {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(rest.len());
            return rest[..end] == *name || rest[..end] == *"json";
        }
        match rest.strip_prefix('[') {
            // The quotes around the name are those of an expression, or those of JSON, with their escapes.
            Some(rest) => rest.trim_start_matches(['\\', '"', '\'']).strip_prefix(name).is_some_and(is_end),
            None => true,
        }
    })
}

fn is_end(rest: &str) -> bool {
    rest.starts_with(['\\', '"', '\''])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::check::Library;

    fn said(spec: Value, given: &str) -> Option<String> {
        let known = Known::of([&json!({ "spec": spec })], &Library::default());
        let given: Vec<_> = given.split(' ').map(str::to_owned).collect();
        known.warnings(&given).first().map(Diagnostic::line)
    }

    #[test]
    fn names_that_nobody_has_are_told_with_the_one_that_was_meant() {
        let spec = json!({ "arguments": { "parameters": [{ "name": "message" }, { "name": "count" }] } });
        assert_eq!(said(spec.clone(), "message=a count=b"), None);
        let slip = said(spec.clone(), "message=a mesage=b").expect("a warning");
        assert!(slip.starts_with("parameter mesage: no workflow has") && slip.contains("`message`"), "{slip}");
        assert!(said(spec, "else=b").is_some_and(|text| text.ends_with("(known here: count, message)")));
        assert!(said(json!({}), "a=b").is_some_and(|text| text.contains("declare it")));
    }

    #[test]
    fn what_is_used_is_known() {
        for text in [
            "{{workflow.parameters.a}}",
            "{{=workflow.parameters['a']}}",
            "{{=workflow.parameters[\"a\"]}}",
            "{{workflow.parameters.json}}",
            "{{workflow.parameters}}",
            "{{=toJson(workflow.parameters)}}",
        ] {
            assert_eq!(said(json!({ "templates": [text] }), "a=b"), None, "{text}");
        }
        for text in ["{{workflow.parameters.ab}}", "{{=workflow.parameters['ab']}}", "{{inputs.parameters.a}}"] {
            assert!(said(json!({ "templates": [text] }), "a=b").is_some(), "{text}");
        }
        let unseen = json!({ "templates": [{ "steps": [[{ "templateRef": { "name": "elsewhere" } }]] }] });
        assert_eq!(said(unseen, "a=b"), None);
    }
}
