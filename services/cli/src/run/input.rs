//! Files to what is created, in its order.

use argosy_client::objects;
use argosy_engine::ops::submit::SubmitOptions;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    channel::say,
    check::{self, Library, Purpose, Rules, refusal},
    diagnostic::Diagnostic,
    failure::{self, Failure},
    load::{self, Document},
    overrides,
    parameters::Known,
    terminal,
};

/// What a run creates.
#[derive(Debug)]
pub struct Plan {
    /// Namespace of objects that name none.
    pub namespace: String,
    /// ConfigMaps, templates and so on, with their kinds; created first.
    pub supports: Vec<(String, Value)>,
    /// The workflows.
    pub workflows: Vec<Value>,
}

/// Why nothing is run.
#[derive(Debug)]
pub struct Refused {
    /// All mistakes.
    pub failure: Failure,
    /// The workflows that a controller would have taken up and failed, as it leaves them.
    pub workflows: Vec<Value>,
}

/// Reads and checks `files`. Errors: all mistakes in them at once.
///
/// `for_objects`: who reads the finished workflows reads there what the run came to, so that mistakes that a controller does not
/// find are only told.
pub fn plan(
    files: &[String],
    options: &SubmitOptions,
    namespace: Option<&str>,
    for_objects: bool,
) -> Result<Plan, Box<Refused>> {
    let (mut documents, mut problems) = load::files(files);
    failure::settle(load::nothing_in(files, &documents, &problems))
        .map_err(|failure| Box::new(Refused { failure, workflows: Vec::new() }))?;
    let mut edit = |value: &mut Value| overrides::apply(value, options);
    let of_files = Library::of(&documents);
    let workflows = documents.iter().filter(|document| document.kind() == "Workflow").map(|document| &document.value);
    problems.extend(Known::of(workflows, &of_files).warnings(&options.parameters));
    let rules = Rules { library: &Library::default(), purpose: Purpose::Run, strict: true, silenced: None };
    let mut found = check::documents(&mut documents, rules, &mut edit);
    overrides::blame(&mut found, options);
    for problem in found.iter_mut().filter(|problem| for_objects && problem.of_run) {
        problem.warning = true;
    }
    problems.extend(found);
    problems.extend(documents.iter().filter_map(not_to_be_run));
    if problems.iter().all(|problem| problem.warning) && !documents.iter().any(|document| document.kind() == "Workflow")
    {
        let mut problem = Diagnostic::of_file(files.join(", "), "there is no Workflow to run");
        problem.help = Some("a template runs through a Workflow with spec.workflowTemplateRef".to_owned());
        problems.push(problem);
    }
    if options.name.is_empty() {
        problems.extend(same_names(&documents));
    }
    let named =
        |document: &Document| document.value.pointer("/metadata/namespace").and_then(Value::as_str).map(str::to_owned);
    let namespace = namespace.map(str::to_owned).or_else(|| documents.iter().find_map(named));
    let namespace = namespace.unwrap_or_else(|| "default".to_owned());
    if let Err(failure) = failure::settle(problems) {
        let workflows = refusal::refused(&documents, &namespace, Timestamp::now());
        return Err(Box::new(Refused { failure, workflows }));
    }
    let mut plan = Plan { namespace, supports: Vec::new(), workflows: Vec::new() };
    for document in documents {
        let kind = document.kind().to_owned();
        let mut value = document.value;
        if kind != "ClusterWorkflowTemplate" && value.pointer("/metadata/namespace").is_none() {
            value["metadata"]["namespace"] = json!(plan.namespace);
        }
        if kind == "Workflow" {
            plan.workflows.push(value);
        } else if objects::is_known(&kind) {
            plan.supports.push((kind, value));
        } else {
            let said = format!("{}: {kind} means nothing here, skipped", document.source.name);
            say!("warning: {}", terminal::line(&said));
        }
    }
    Ok(plan)
}

fn not_to_be_run(document: &Document) -> Option<Diagnostic> {
    let help = match document.kind() {
        "CronWorkflow" => {
            "`run` ends when its workflows end and a schedule does not: use `argosy dev` and `argosy cron create`, or put spec.workflowSpec into a Workflow"
        }
        "WorkflowEventBinding" => "`run` receives no events: leave it out",
        _ => return None,
    };
    let place = document.place.member("kind").unwrap_or(&document.place);
    Some(Diagnostic {
        span: Some(place.value.clone()),
        path: "kind".to_owned(),
        help: Some(help.to_owned()),
        ..Diagnostic::of_source(&document.source, format!("a {} cannot be run", document.kind()))
    })
}

fn same_names(documents: &[Document]) -> Vec<Diagnostic> {
    let mut seen = std::collections::BTreeSet::new();
    let name =
        |document: &Document| document.value.pointer("/metadata/name").and_then(Value::as_str).map(str::to_owned);
    let mut problems = Vec::new();
    for document in documents.iter().filter(|document| document.kind() == "Workflow") {
        let Some(name) = name(document).filter(|name| !name.is_empty()) else {
            continue;
        };
        if !seen.insert(name.clone()) {
            let place = document.place.member("metadata").unwrap_or(&document.place);
            problems.push(Diagnostic {
                span: Some(place.key.clone()),
                path: "metadata.name".to_owned(),
                help: Some("give it another name, or use generateName".to_owned()),
                ..Diagnostic::of_source(&document.source, format!("two workflows are named `{name}`"))
            });
        }
    }
    problems
}
