//! The spec as a whole: arguments, global variables, settings, and which templates are walked.

use std::collections::BTreeSet;

use argosy_api::v1alpha1::*;
use serde_json::Value;

use super::{
    Options, Problem, Templates, arguments,
    calls::{Home, Walker},
    containers, metrics, names,
    scope::Scope,
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
    let template = match &spec.workflow_template_ref {
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
    let needs_values = match subject {
        Subject::Workflow => !options.lint,
        Subject::Template => options.submit,
    };

    let mut walker =
        Walker::new(&spec, templates, globals(subject, metadata, &spec), !needs_values, *subject == Subject::Template);
    walker.say_all(names::list("spec.templates", spec.templates.iter().map(|t| t.name.as_str()), true));
    walker.say_all(arguments::check("spec", &spec.arguments, needs_values));
    walker.say_all(settings(&spec));
    walker.say_all(containers::volumes("spec.volumes", &spec.volumes, "/name"));
    walker.say_all(containers::volumes("spec.volumeClaimTemplates", &spec.volume_claim_templates, "/metadata/name"));
    if spec.entrypoint.is_empty() && *subject == Subject::Workflow {
        walker.say("spec.entrypoint is required".to_owned());
    }
    let entries = [(&spec.entrypoint, false), (&spec.on_exit, true)];
    for (name, is_exit) in entries.into_iter().filter(|(name, _)| !name.is_empty()) {
        walker.call_named(&Home::Local, name, &spec.arguments, is_exit);
    }
    walker.check_hooks("hooks", &spec.hooks);
    for hook in spec.hooks.values() {
        let arguments = if hook.arguments == Arguments::default() { &spec.arguments } else { &hook.arguments };
        walker.call(&Home::Local, &hook.template, hook.template_ref.as_ref(), None, arguments, true);
    }
    walker.walk_rest();
    walker.say_all(metrics::check("spec", spec.metrics.as_ref()));
    walker.problems
}

/// The variables that exist everywhere in the workflow.
fn globals(subject: &Subject, metadata: &ObjectMeta, spec: &WorkflowSpec) -> Scope {
    let mut scope = Scope::default();
    for name in [
        "name",
        "namespace",
        "uid",
        "mainEntrypoint",
        "serviceAccountName",
        "priority",
        "creationTimestamp",
        "scheduledTime",
        "duration",
        "status",
        "parameters",
        "parameters.json",
        "labels",
        "labels.json",
        "annotations",
        "annotations.json",
    ] {
        scope.add(format!("workflow.{name}"));
    }
    scope.add_prefix("workflow.creationTimestamp.");
    if *subject == Subject::Template {
        // Who runs it may add parameters.
        scope.add_prefix("workflow.parameters.");
    }
    for parameter in &spec.arguments.parameters {
        scope.add(format!("workflow.parameters.{}", parameter.name));
    }
    let from_spec = spec.workflow_metadata.clone().unwrap_or_default();
    let labels: BTreeSet<&String> =
        metadata.labels.keys().chain(from_spec.labels.keys()).chain(from_spec.labels_from.keys()).collect();
    labels.into_iter().for_each(|name| scope.add(format!("workflow.labels.{name}")));
    for name in metadata.annotations.keys().chain(from_spec.annotations.keys()) {
        scope.add(format!("workflow.annotations.{name}"));
    }
    scope
}

fn settings(spec: &WorkflowSpec) -> Vec<String> {
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
        } else if metadata.and_then(|m| m.get("name")).and_then(Value::as_str).is_none_or(str::is_empty) {
            problems.push(format!("{at}.metadata.name is required"));
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
