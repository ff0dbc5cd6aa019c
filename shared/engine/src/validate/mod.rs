//! Semantic validation of workflows and templates.
//!
//! Like Argo, it walks from the entry point through every call, checks names, arguments and variables, and then the
//! templates nobody calls. It goes on after a mistake; the first one has Argo's text.
//! Source: table validate.json; Argo `workflow/validate/validate.go` for which checks there are.

mod arguments;
mod calls;
mod containers;
mod dag;
mod inputs;
mod kinds;
mod known;
mod metrics;
mod names;
mod options;
mod order;
mod outputs;
mod resources;
mod scope;
mod spec;
mod steps;
mod target;

use argosy_api::v1alpha1::*;

pub use options::{Options, Problem, Templates};
use spec::Subject;

/// The most characters a workflow's or a template's name may have: it becomes a label's value.
const NAME_CHARS_MAX: usize = 63;
/// As above less the eleven characters that a scheduled workflow's name gets behind it.
const CRON_NAME_CHARS_MAX: usize = 52;

/// All mistakes of a workflow; the first is the one Argo reports.
pub fn workflow(workflow: &Workflow, templates: &dyn Templates, options: &Options) -> Vec<Problem> {
    if let Some(problem) = name_length("workflow", &workflow.metadata.name, NAME_CHARS_MAX) {
        return vec![problem];
    }
    spec::check(&Subject::Workflow, &workflow.metadata, &workflow.spec, templates, options)
}

/// All mistakes of a WorkflowTemplate.
pub fn workflow_template(template: &WorkflowTemplate, templates: &dyn Templates, options: &Options) -> Vec<Problem> {
    if let Some(problem) = name_length("workflow template", &template.metadata.name, NAME_CHARS_MAX) {
        return vec![problem];
    }
    spec::check(&Subject::Template, &template.metadata, &template.spec, templates, options)
}

/// All mistakes of a ClusterWorkflowTemplate.
pub fn cluster_workflow_template(
    template: &ClusterWorkflowTemplate,
    templates: &dyn Templates,
    options: &Options,
) -> Vec<Problem> {
    if let Some(problem) = name_length("cluster workflow template", &template.metadata.name, NAME_CHARS_MAX) {
        return vec![problem];
    }
    spec::check(&Subject::Template, &template.metadata, &template.spec, templates, options)
}

/// All mistakes of a CronWorkflow, but for the syntax of its schedules, which whoever schedules it knows.
pub fn cron_workflow(cron: &CronWorkflow, templates: &dyn Templates, options: &Options) -> Vec<Problem> {
    let mut problems: Vec<Problem> =
        name_length("cron workflow", &cron.metadata.name, CRON_NAME_CHARS_MAX).into_iter().collect();
    let mut say = |message: String| problems.push(Problem { path: "spec".to_owned(), message });
    let spec = &cron.spec;
    if spec.schedules.is_empty() {
        say("cron workflow must have at least one schedule".to_owned());
    }
    if !spec.timezone.is_empty() && jiff::tz::TimeZone::get(&spec.timezone).is_err() {
        say(format!("invalid timezone \"{0}\": unknown time zone {0}", spec.timezone));
    }
    if !matches!(spec.concurrency_policy.as_str(), "" | "Allow" | "Forbid" | "Replace") {
        say(format!("'{}' is not a valid concurrencyPolicy", spec.concurrency_policy));
    }
    if spec.starting_deadline_seconds.is_some_and(|s| s < 0) {
        say("startingDeadlineSeconds must be positive".to_owned());
    }
    let metadata = spec.workflow_metadata.clone().unwrap_or_default();
    for inner in spec::check(&Subject::Workflow, &metadata, &spec.workflow_spec, templates, options) {
        problems.push(Problem { message: format!("cannot validate Workflow: {}", inner.message), ..inner });
    }
    problems
}

fn name_length(kind: &str, name: &str, max: usize) -> Option<Problem> {
    let chars = name.chars().count();
    let message = format!("{kind} name \"{name}\" must not be more than {max} characters long (currently {chars})");
    (chars > max).then(|| Problem { path: "metadata.name".to_owned(), message })
}
