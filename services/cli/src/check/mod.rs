//! All checks of documents before anything is created: shape, schema, then meaning.

pub mod advice;
mod culprit;
mod dependencies;
mod expressions;
pub mod locate;
mod naming;
mod pods;
mod problems;
mod purpose;
mod read;
mod references;
pub mod refusal;
mod unsupported;
mod values;
mod walk;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use argosy_api::v1alpha1::{self as v1, API_VERSION, WorkflowSpec};
use argosy_engine::{advise::Rule, validate};
use serde_json::Value;

pub use purpose::Purpose;
use read::read;

use crate::{
    diagnostic::Diagnostic,
    load::Document,
    schema,
    suggest::{self, closest},
};

/// The templates that the documents may refer to.
#[derive(Clone, Debug, Default)]
pub struct Library {
    namespaced: BTreeMap<String, Arc<WorkflowSpec>>,
    cluster: BTreeMap<String, Arc<WorkflowSpec>>,
}

impl Library {
    /// The templates among `documents`.
    pub fn of(documents: &[Document]) -> Self {
        let mut library = Self::default();
        library.add_documents(documents);
        library
    }

    /// Adds the templates among `documents`.
    pub fn add_documents(&mut self, documents: &[Document]) {
        documents.iter().for_each(|document| self.add_document(document));
    }

    /// Adds a WorkflowTemplate, or a ClusterWorkflowTemplate where `cluster` is true.
    pub fn add(&mut self, cluster: bool, name: &str, spec: WorkflowSpec) {
        let map = if cluster { &mut self.cluster } else { &mut self.namespaced };
        map.insert(name.to_owned(), Arc::new(spec));
    }

    fn add_document(&mut self, document: &Document) {
        let cluster = match document.kind() {
            "WorkflowTemplate" => false,
            "ClusterWorkflowTemplate" => true,
            _ => return,
        };
        if let Ok(template) = v1::from_value::<v1::WorkflowTemplate>(document.value.clone()) {
            self.add(cluster, document.name(), template.spec);
        }
    }
}

impl validate::Templates for Library {
    fn get(&self, cluster: bool, name: &str) -> Option<Arc<WorkflowSpec>> {
        if cluster { self.cluster.get(name).cloned() } else { self.namespaced.get(name).cloned() }
    }
}

/// How documents are checked.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Templates that are known besides those among the documents.
    pub library: &'a Library,
    /// What the documents are for.
    pub purpose: Purpose,
    /// Unknown fields are mistakes.
    pub strict: bool,
    /// Documents without mistakes get advice, but by these rules; without a set, none.
    pub silenced: Option<&'a BTreeSet<Rule>>,
}

/// All mistakes of `documents`. Templates among them are known to each other.
///
/// `edit` sets what flags say on each workflow of sound shape before its meaning is checked; its error is one of the
/// mistakes. The meaning of a document is also looked at where fields have values of the wrong type, as far as one can tell
/// what was meant by them; those that are missing are told but once.
pub fn documents(
    documents: &mut [Document],
    rules: Rules<'_>,
    edit: &mut dyn FnMut(&mut Value) -> Result<(), String>,
) -> Vec<Diagnostic> {
    let mut library = rules.library.clone();
    library.add_documents(documents);
    let mut problems = Vec::new();
    for document in documents {
        let mut found = shape(document);
        if found.is_empty() {
            found = schema::check(document);
            found.retain(|problem| rules.strict || !problem.strict);
        }
        let is_sound = found.iter().all(|problem| problem.strict);
        let mut mended = if is_sound { None } else { schema::mended(document) };
        if let Some(document) = if is_sound { Some(&mut *document) } else { mended.as_mut() } {
            let written = document.value.clone();
            if document.kind() == "Workflow"
                && let Err(message) = edit(&mut document.value)
            {
                found.push(Diagnostic { of_flags: true, ..Diagnostic::of_source(&document.source, message) });
            } else {
                let mut of_meaning = meaning(document, &library, rules.purpose, &found);
                if document.value != written && !of_meaning.is_empty() {
                    let before = Document { value: written, ..document.clone() };
                    let before = meaning(&before, &library, rules.purpose, &found);
                    let is_there = |problem: &Diagnostic| before.iter().any(|other| other.line() == problem.line());
                    of_meaning.iter_mut().for_each(|problem| problem.of_flags = !is_there(problem));
                }
                found.extend(of_meaning);
            }
        }
        if let Some(silenced) = rules.silenced
            && found.iter().all(|problem| problem.warning)
        {
            found.extend(advice::check(document, silenced));
        }
        found.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
        problems.extend(found);
    }
    problems
}

/// Mistakes of meaning, but for those that follow from `of_shape`.
fn meaning(document: &Document, library: &Library, purpose: Purpose, of_shape: &[Diagnostic]) -> Vec<Diagnostic> {
    let mut found = semantic(document, library, purpose);
    found.extend(naming::check(document, purpose));
    found.retain(|problem| !follows(problem, of_shape));
    let of_the_run = expressions::check(document).into_iter().chain(values::check(document));
    found.extend(of_the_run.map(|problem| Diagnostic { of_run: true, ..problem }));
    found
}

/// True for a mistake of meaning that is there because of one of shape: in the same place a field's name is misspelt, or a
/// field is missing or has a value that it cannot have.
fn follows(problem: &Diagnostic, of_shape: &[Diagnostic]) -> bool {
    let causes = |other: &Diagnostic| {
        let holder = other.path.rsplit_once('.').map_or("", |(holder, _)| holder);
        let is_misspelt = other.help.as_ref().is_some_and(|help| help.starts_with("did you mean"));
        (holder == problem.path && (is_misspelt || !other.strict)) || (other.path == problem.path && !other.strict)
    };
    of_shape.iter().any(causes)
}

/// Kinds of the group argoproj.io that other projects have, or that only controllers write.
const FOREIGN_KINDS: [&str; 13] = [
    "AnalysisRun",
    "AnalysisTemplate",
    "AppProject",
    "Application",
    "ApplicationSet",
    "ClusterAnalysisTemplate",
    "EventBus",
    "EventSource",
    "Experiment",
    "Rollout",
    "Sensor",
    "WorkflowTaskResult",
    "WorkflowTaskSet",
];

/// True for an object of a kind that nothing is known about here: a Deployment.
pub fn is_foreign(document: &Document) -> bool {
    let kind = document.kind();
    let version = document.value.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let is_of_argo = version.is_empty() || version.starts_with("argoproj.io/");
    let is_known = schema::kinds().any(|known| known == kind);
    !kind.is_empty() && !is_known && (!is_of_argo || FOREIGN_KINDS.contains(&kind))
}

fn shape(document: &Document) -> Vec<Diagnostic> {
    let problem = |message: String, help: Option<String>, key: &str| {
        let place = document.place.member(key).unwrap_or(&document.place);
        let start = place.value.start;
        let span = if document.place.member(key).is_some() { place.value.clone() } else { start..start };
        let base = Diagnostic::of_source(&document.source, message);
        vec![Diagnostic { span: Some(span), path: key.to_owned(), help, ..base }]
    };
    let Value::Object(members) = &document.value else {
        return problem("expected a mapping with apiVersion, kind, metadata".to_owned(), None, "");
    };
    let Some(kind) = members.get("kind").and_then(Value::as_str) else {
        let help = "add `kind: Workflow` (or another kind)".to_owned();
        return problem("`kind` is missing".to_owned(), Some(help), "kind");
    };
    let version = members.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let core = ["ConfigMap", "Secret", "ServiceAccount", "PersistentVolumeClaim"].contains(&kind);
    let expected = if core { "v1" } else { API_VERSION };
    if schema::kinds().any(|known| known == kind) {
        if version == expected {
            return Vec::new();
        }
        let help = Some(format!("write `apiVersion: {expected}`"));
        let message = if version.is_empty() {
            "`apiVersion` is missing".to_owned()
        } else {
            format!("{kind} is no kind of {version}")
        };
        return problem(message, help, "apiVersion");
    }
    if !is_foreign(document) {
        let help = closest(kind, schema::kinds()).map(suggest::question);
        return problem(format!("unknown kind `{kind}`"), help, "kind");
    }
    Vec::new()
}

/// Mistakes of meaning: references, cycles, expressions, arguments.
fn semantic(document: &Document, library: &Library, purpose: Purpose) -> Vec<Diagnostic> {
    let lint = purpose == Purpose::Lint;
    let options = validate::Options { lint, submit: !lint, workflow_defaults: None };
    let value = document.value.clone();
    let found = match document.kind() {
        "Workflow" => read(value).map(|object| validate::workflow(&object, library, &options)),
        "WorkflowTemplate" => read(value).map(|object| validate::workflow_template(&object, library, &LINT)),
        "ClusterWorkflowTemplate" => {
            read(value).map(|object| validate::cluster_workflow_template(&object, library, &LINT))
        }
        "CronWorkflow" => read(value).map(|object| argosy_cron::problems(&object, library, &LINT)),
        _ => return Vec::new(),
    };
    let spec_path = if document.kind() == "CronWorkflow" { "spec.workflowSpec" } else { "spec" };
    match found {
        Ok(problems) => {
            let of_cron = |problem: &validate::Problem| CRON_PATHS.iter().any(|path| problem.path.starts_with(path));
            problems
                .iter()
                .flat_map(|problem| match of_cron(problem) {
                    true => vec![locate::at(document, &problem.path, problem.message.clone())],
                    false => problems::diagnostics(document, spec_path, problem),
                })
                .collect()
        }
        Err((path, message)) => vec![locate::at(document, &path, message)],
    }
}

/// Where mistakes of a CronWorkflow itself are, not of its workflow's spec.
const CRON_PATHS: [&str; 2] = ["spec.schedules", "spec.timezone"];

/// For objects that do not run by themselves.
static LINT: validate::Options = validate::Options { lint: true, submit: false, workflow_defaults: None };
