//! Parameters, templates and tasks that nothing leads to.

use std::collections::{BTreeMap, BTreeSet};

use argosy_api::v1alpha1::{DAGTemplate, LifecycleHook, Template, WorkflowSpec};

use super::{
    advice::{Rule, Say, templates},
    texts::{is_dynamic, mentions},
};
use crate::{depends, json};

/// `is_workflow`: nothing outside calls the templates.
pub(super) fn check(is_workflow: bool, spec: &WorkflowSpec, say: &mut Say<'_>) {
    let templates = templates(spec);
    for (path, template) in &templates {
        inputs(path, template, say);
        if let Some(dag) = &template.dag {
            tasks(path, dag, say);
        }
    }
    // What stands elsewhere may refer to arguments, and may call templates.
    let is_whole = spec.workflow_template_ref.is_none();
    if is_whole && !calls_elsewhere(&templates) {
        arguments(spec, say);
    }
    if is_whole && is_workflow {
        unreachable(spec, say);
    }
}

/// Input parameters that their template does not use.
fn inputs(path: &str, template: &Template, say: &mut Say<'_>) {
    if template.inputs.parameters.is_empty() || template.plugin.is_some() {
        return;
    }
    let text = json::text(template);
    // Who resumes a suspended node is shown its inputs, and supplies the outputs of the same names.
    let is_shown = |name: &str| {
        template.suspend.is_some() && template.outputs.parameters.iter().any(|parameter| parameter.name == name)
    };
    for (i, parameter) in template.inputs.parameters.iter().enumerate() {
        if !is_shown(&parameter.name) && !mentions(&text, "inputs.parameters", &parameter.name) {
            let message = format!("nothing in this template refers to the parameter `{}`", parameter.name);
            say(Rule::UnusedParameter, format!("{path}.inputs.parameters[{i}]"), message);
        }
    }
}

/// Arguments that nothing refers to, and that the entry point does not take as inputs.
fn arguments(spec: &WorkflowSpec, say: &mut Say<'_>) {
    if spec.arguments.parameters.is_empty() || is_dynamic(&spec.entrypoint) {
        return;
    }
    let text = json::text(spec);
    let hooks = spec.hooks.values().map(|hook| hook.template.as_str());
    let called: BTreeSet<&str> = [spec.entrypoint.as_str(), spec.on_exit.as_str()].into_iter().chain(hooks).collect();
    let takes = |name: &str| {
        let mut called = spec.templates.iter().filter(|template| called.contains(template.name.as_str()));
        called.any(|template| template.inputs.parameters.iter().any(|parameter| parameter.name == name))
    };
    for (i, parameter) in spec.arguments.parameters.iter().enumerate() {
        if !takes(&parameter.name) && !mentions(&text, "workflow.parameters", &parameter.name) {
            let message = format!("nothing refers to the parameter `{}`", parameter.name);
            say(Rule::UnusedParameter, format!("arguments.parameters[{i}]"), message);
        }
    }
}

/// Templates that no call leads to.
fn unreachable(spec: &WorkflowSpec, say: &mut Say<'_>) {
    if spec.entrypoint.is_empty() {
        return;
    }
    let by_name: BTreeMap<&str, &Template> = spec.templates.iter().map(|t| (t.name.as_str(), &**t)).collect();
    let mut open: Vec<String> = vec![spec.entrypoint.clone(), spec.on_exit.clone()];
    open.extend(spec.hooks.values().map(|hook| hook.template.clone()));
    let mut reached = BTreeSet::new();
    while let Some(name) = open.pop() {
        // Which one is meant is known only when it runs.
        if is_dynamic(&name) {
            return;
        }
        if let Some(template) = by_name.get(name.as_str()).filter(|_| reached.insert(name.clone())) {
            open.extend(called(template));
        }
    }
    for (i, template) in spec.templates.iter().enumerate() {
        if !reached.contains(&template.name) && !template.name.is_empty() {
            let message = format!("no call leads to the template `{}`", template.name);
            say(Rule::UnreachableTemplate, format!("templates[{i}].name"), message);
        }
    }
}

/// The templates that one calls, in steps, tasks and hooks, also from within those that stand inline.
fn called(template: &Template) -> Vec<String> {
    let mut names = Vec::new();
    let mut open = vec![template];
    let of_hooks = |hooks: &BTreeMap<String, LifecycleHook>, names: &mut Vec<String>| {
        names.extend(hooks.values().map(|hook| hook.template.clone()));
    };
    while let Some(template) = open.pop() {
        for step in template.steps.iter().flat_map(|group| &group.steps) {
            names.extend([step.template.clone(), step.on_exit.clone()]);
            of_hooks(&step.hooks, &mut names);
            open.extend(step.inline.as_deref());
        }
        for task in template.dag.iter().flat_map(|dag| &dag.tasks) {
            names.extend([task.template.clone(), task.on_exit.clone()]);
            of_hooks(&task.hooks, &mut names);
            open.extend(task.inline.as_deref());
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Some step or task calls a template of another object.
fn calls_elsewhere(templates: &[(String, &Template)]) -> bool {
    templates.iter().any(|(_, template)| {
        let mut steps = template.steps.iter().flat_map(|group| &group.steps);
        let mut tasks = template.dag.iter().flat_map(|dag| &dag.tasks);
        steps.any(|step| step.template_ref.is_some()) || tasks.any(|task| task.template_ref.is_some())
    })
}

/// Tasks that the targets do not need.
fn tasks(path: &str, dag: &DAGTemplate, say: &mut Say<'_>) {
    if dag.target.trim().is_empty() || is_dynamic(&dag.target) {
        return;
    }
    let mut needed: BTreeSet<String> = dag.target.split_whitespace().map(str::to_owned).collect();
    for target in needed.clone() {
        match depends::ancestry(&target, &dag.tasks) {
            Ok(tasks) => needed.extend(tasks),
            Err(_) => return,
        }
    }
    for (i, task) in dag.tasks.iter().enumerate() {
        if !needed.contains(&task.name) {
            let message =
                format!("the target `{}` does not need the task `{}`, which never runs", dag.target, task.name);
            say(Rule::UnreachableTask, format!("{path}.dag.tasks[{i}].name"), message);
        }
    }
}
