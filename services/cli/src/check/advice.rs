//! What can be read and run, and is surely not meant: warnings, each with the rule that gives it.

use std::collections::BTreeSet;

use argosy_api::{labels, v1alpha1::WorkflowSpec};
use argosy_engine::advise::{self, Rule, Subject};

use super::{locate, pods, read::read, unsupported};
use crate::{diagnostic::Diagnostic, load::Document, suggest};

/// All advice on a document whose meaning is right, but by rules that are silenced: here, or on the document itself.
pub fn check(document: &Document, silenced: &BTreeSet<Rule>) -> Vec<Diagnostic> {
    let (subject, pointer, spec_path) = match document.kind() {
        "Workflow" => (Subject::Workflow, "/spec", "spec"),
        "CronWorkflow" => (Subject::Workflow, "/spec/workflowSpec", "spec.workflowSpec"),
        "WorkflowTemplate" | "ClusterWorkflowTemplate" => (Subject::Template, "/spec", "spec"),
        _ => return Vec::new(),
    };
    let (own, mut found) = silenced_by(document);
    // Where it cannot be read, that has been told.
    let spec: Option<WorkflowSpec> = document.value.pointer(pointer).and_then(|spec| read(spec.clone()).ok());
    let advice = spec.map(|spec| advise::spec(subject, &spec)).unwrap_or_default();
    let is_loud = |rule: Rule| !silenced.contains(&rule) && !own.contains(&rule);
    let mut told: Vec<(Rule, Diagnostic)> = Vec::new();
    told.extend(advice.into_iter().map(|advice| {
        let path = format!("{spec_path}.{}", advice.path);
        (advice.rule, locate::at(document, &path, advice.message))
    }));
    told.extend(unsupported::check(document).into_iter().map(|problem| (Rule::Unsupported, problem)));
    told.extend(pods::check(document).into_iter().map(|problem| (Rule::RefusedPod, problem)));
    let loud = told.into_iter().filter(|(rule, _)| is_loud(*rule));
    found.extend(loud.map(|(rule, problem)| Diagnostic { warning: true, rule: Some(rule.name()), ..problem }));
    found
}

/// The rules that a document's annotation silences, and a warning for each name that is none.
fn silenced_by(document: &Document) -> (BTreeSet<Rule>, Vec<Diagnostic>) {
    let annotation = document.value["metadata"]["annotations"][labels::LINT_SILENCE].as_str().unwrap_or_default();
    let (mut rules, mut unknown) = (BTreeSet::new(), Vec::new());
    for name in annotation.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match Rule::named(name) {
            Some(rule) => _ = rules.insert(rule),
            None => unknown.push(Diagnostic {
                warning: true,
                help: Some(meant(name)),
                ..locate::at(document, "metadata.annotations", unknown_rule(name))
            }),
        }
    }
    (rules, unknown)
}

/// The rules of these names.
///
/// Errors: a name that is none, and what was meant.
pub fn rules(names: &[String]) -> Result<BTreeSet<Rule>, String> {
    let rule = |name: &String| Rule::named(name).ok_or_else(|| format!("{}; {}", unknown_rule(name), meant(name)));
    names.iter().map(rule).collect()
}

fn unknown_rule(name: &str) -> String {
    format!("there is no rule `{name}`")
}

fn meant(name: &str) -> String {
    let names = || Rule::ALL.into_iter().map(Rule::name);
    match suggest::closest(name, names()) {
        Some(best) => suggest::question(best),
        None => format!("rules are {}", names().collect::<Vec<_>>().join(", ")),
    }
}
