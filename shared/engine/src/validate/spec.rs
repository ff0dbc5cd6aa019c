//! The spec as a whole: arguments, global variables, settings, and which templates are walked.

use argosy_api::v1alpha1::*;
use serde_json::Value;

use super::{
    Options, Problem, Templates, arguments,
    calls::{Home, Walker},
    containers::{self, CLAIM_NAME},
    known::{Given, Globals},
    metrics, names,
    target::Target,
};
use crate::ops::merge;

/// What the spec belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// Is going to run: needs an entry point, and values for its arguments unless linting.
    Workflow,
    /// Is a library.
    Template,
}

/// All mistakes of a spec.
pub(super) fn check(
    subject: &Subject,
    metadata: &ObjectMeta,
    spec: &WorkflowSpec,
    templates: &dyn Templates,
    options: &Options,
) -> Vec<Problem> {
    let single = |message: String| vec![Problem { path: "spec".to_owned(), message }];
    let reference = spec.workflow_template_ref.as_ref();
    if reference.is_some() && !spec.templates.is_empty() {
        return single("Templates is invalid field in spec if workflow referred WorkflowTemplate reference".to_owned());
    }
    let template = match reference {
        None => None,
        Some(r) => match templates.get(r.cluster_scope, &r.name) {
            Some(found) => Some(found),
            None => {
                let kind = if r.cluster_scope { "clusterworkflowtemplates" } else { "workflowtemplates" };
                let why = templates.why_missing(r.cluster_scope, &r.name);
                return single(format!("{kind}.argoproj.io \"{}\" {why}", r.name));
            }
        },
    };
    let spec = match merge::effective_spec(options.workflow_defaults.as_ref(), template.as_deref(), spec) {
        Ok(spec) => spec,
        Err(error) => return single(error.to_string()),
    };
    let are_open = match subject {
        Subject::Workflow => options.lint,
        Subject::Template => !options.submit,
    };
    let is_library = *subject == Subject::Template;
    let mut walker = Walker::new(&spec, templates, globals(metadata, &spec), is_library);
    walker.are_arguments_open = are_open;
    if options.lint {
        walker.follow_hooks();
    }
    if reference.is_none() {
        walker.say_all(names::list("spec.templates", spec.templates.iter().map(|t| t.name.as_str()), true));
    }
    let rules = arguments::Rules { are_open, takes_expressions: true };
    walker.say_all(arguments::check("spec", &spec.arguments, rules));
    walker.say_all(settings(&spec));
    walker.say_all(containers::volumes("spec.volumes", &spec.volumes, "/name"));
    walker.say_all(containers::volumes("spec.volumeClaimTemplates", &spec.volume_claim_templates, CLAIM_NAME));
    if spec.entrypoint.is_empty() && !is_library {
        walker.say("spec.entrypoint is required".to_owned());
    }
    // The templates of a workflow that refers to a WorkflowTemplate are that one's.
    let there = |name: &str| {
        reference.map(|r| TemplateRef {
            name: r.name.clone(),
            template: name.to_owned(),
            cluster_scope: r.cluster_scope,
        })
    };
    let call = |walker: &mut Walker<'_>, name: &str, given: Given<'_>| {
        let reference = there(name);
        let template = if reference.is_some() { "" } else { name };
        walker.call(
            &Home::Local,
            &Target { template, reference: reference.as_ref(), inline: None, is_settled: false },
            given,
        );
    };
    if !spec.entrypoint.is_empty() {
        let given = if is_library { Given::Anything } else { Given::Arguments(&spec.arguments) };
        call(&mut walker, &spec.entrypoint, given);
    }
    if !spec.on_exit.is_empty() || spec.hooks.contains_key("exit") {
        walker.globals.insert("workflow.failures".to_owned(), None);
    }
    if !spec.on_exit.is_empty() {
        walker.are_artifacts_open = has_late_artifacts(&spec);
        call(&mut walker, &spec.on_exit, Given::Arguments(&spec.arguments));
    }
    walker.check_hooks("hooks", &spec.hooks);
    if options.lint {
        for hook in spec.hooks.values() {
            let target = Target {
                template: &hook.template,
                reference: hook.template_ref.as_ref(),
                inline: None,
                is_settled: false,
            };
            walker.call(&Home::Local, &target, Given::Anything);
        }
    }
    walker.say_all(pod_gc(&spec));
    match reference {
        Some(r) => walker.walk_rest(&Home::Other { cluster: r.cluster_scope, name: r.name.clone() }),
        None => walker.walk_rest(&Home::Local),
    }
    walker.say_all(metrics::check("spec", spec.metrics.as_ref()));
    walker.problems
}

/// Some template gives the workflow an artifact whose name only the run knows.
fn has_late_artifacts(spec: &WorkflowSpec) -> bool {
    spec.templates.iter().flat_map(|t| &t.outputs.artifacts).any(|artifact| artifact.global_name.contains("{{"))
}

/// The variables that exist everywhere in the workflow.
fn globals(metadata: &ObjectMeta, spec: &WorkflowSpec) -> Globals {
    let always = [
        "name",
        "namespace",
        "uid",
        "mainEntrypoint",
        "serviceAccountName",
        "status",
        "labels",
        "labels.json",
        "annotations",
        "annotations.json",
    ];
    let mut globals: Globals = always.iter().map(|name| (format!("workflow.{name}"), None)).collect();
    if let Some(priority) = spec.priority {
        globals.insert("workflow.priority".to_owned(), Some(priority.to_string()));
    }
    if !spec.arguments.parameters.is_empty() {
        globals.extend(["workflow.parameters", "workflow.parameters.json"].map(|name| (name.to_owned(), None)));
    }
    for parameter in &spec.arguments.parameters {
        let value = parameter.value.as_deref().map(str::to_owned);
        globals.insert(format!("workflow.parameters.{}", parameter.name), value);
    }
    let from_spec = spec.workflow_metadata.clone().unwrap_or_default();
    let labels = metadata.labels.keys().chain(from_spec.labels.keys()).chain(from_spec.labels_from.keys());
    globals.extend(labels.map(|name| (format!("workflow.labels.{name}"), None)));
    let annotations = metadata.annotations.keys().chain(from_spec.annotations.keys());
    globals.extend(annotations.map(|name| (format!("workflow.annotations.{name}"), None)));
    globals
}

fn pod_gc(spec: &WorkflowSpec) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(gc) = &spec.pod_gc {
        let known = ["", "OnPodCompletion", "OnPodSuccess", "OnWorkflowCompletion", "OnWorkflowSuccess"];
        if !known.contains(&gc.strategy.as_str()) {
            problems.push(format!("podGC.strategy unknown strategy '{}'", gc.strategy));
        }
        let terms = gc.label_selector.as_ref().and_then(|s| s.get("matchExpressions")).and_then(Value::as_array);
        for operator in terms.into_iter().flatten().map(|t| t["operator"].as_str().unwrap_or_default()) {
            if !["In", "NotIn", "Exists", "DoesNotExist"].contains(&operator) {
                problems.push(format!(
                    "podGC.labelSelector invalid: \"{operator}\" is not a valid label selector operator"
                ));
            }
        }
    }
    problems
}

fn settings(spec: &WorkflowSpec) -> Vec<String> {
    let mut problems = Vec::new();
    for (index, claim) in spec.volume_claim_templates.iter().enumerate() {
        let at = format!("spec.volumeClaimTemplates[{index}]");
        let is_map = |value: Option<&Value>| value.is_none_or(|value| value.is_object() || value.is_null());
        let metadata = claim.get("metadata");
        if !claim.is_object() {
            problems.push(format!("{at} must be a map"));
        } else if !is_map(metadata) {
            problems.push(format!("{at}.metadata must be a map"));
        } else if !is_map(metadata.and_then(|m| m.get("labels"))) {
            problems.push(format!("{at}.metadata.labels must be a map"));
        } else if metadata.and_then(|m| m.get("name")).is_some_and(|name| !name.is_string() && !name.is_null()) {
            problems.push(format!("{at}.metadata.name must be a text"));
        }
    }
    if let Some(resources) = &spec.pod_resources {
        containers::pod_resources("spec.podResources", resources, &mut problems);
    }
    for plugin in &spec.executor_plugins {
        let mut wrong = |text: &str| problems.push(format!("spec.executorPlugins: {text}"));
        let container = &plugin.spec.sidecar.container;
        if plugin.metadata.name.is_empty() {
            wrong("executor plugin metadata name is mandatory");
        }
        if container.name.is_empty() {
            wrong("sidecar container name is mandatory");
        }
        if container.rest.get("ports").and_then(Value::as_array).is_none_or(Vec::is_empty) {
            wrong("at least one port is mandatory");
        }
    }
    problems
}
