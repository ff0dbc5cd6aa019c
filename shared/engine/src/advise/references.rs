//! Expressions that refer to a step or task which has not ended by then. Plain tags of that kind are mistakes, which validation
//! finds; an expression is looked at only when it is evaluated.

use std::collections::BTreeMap;

use argosy_api::v1alpha1::{DAGTemplate, ParallelSteps, WorkflowSpec};

use super::{
    advice::{Rule, Say, templates},
    texts::named_in_expressions,
};
use crate::{depends, json};

pub(super) fn check(spec: &WorkflowSpec, say: &mut Say<'_>) {
    for (path, template) in templates(spec) {
        steps(&path, &template.steps, say);
        if let Some(dag) = &template.dag {
            tasks(&path, dag, say);
        }
    }
}

fn steps(path: &str, groups: &[ParallelSteps], say: &mut Say<'_>) {
    let numbered = groups.iter().enumerate();
    let group_of: BTreeMap<&str, usize> =
        numbered.clone().flat_map(|(g, group)| group.steps.iter().map(move |step| (step.name.as_str(), g))).collect();
    for (g, group) in numbered {
        for (s, step) in group.steps.iter().enumerate() {
            // Hooks run when the step has ended.
            let mut own = step.clone();
            own.hooks.clear();
            for name in named_in_expressions(&json::text(&own), "steps") {
                let when = match group_of.get(name.as_str()) {
                    Some(other) if *other > g => "comes later",
                    Some(_) if name == step.name => "is this one",
                    Some(other) if *other == g => "runs beside it",
                    Some(_) | None => continue,
                };
                let message = format!("an expression refers to the step `{name}`, which {when}");
                say(Rule::LaterReference, format!("{path}.steps[{g}][{s}]"), message);
            }
        }
    }
}

fn tasks(path: &str, dag: &DAGTemplate, say: &mut Say<'_>) {
    for (t, task) in dag.tasks.iter().enumerate() {
        let mut own = task.clone();
        own.hooks.clear();
        let named = named_in_expressions(&json::text(&own), "tasks");
        if named.is_empty() {
            continue;
        }
        let Ok(before) = depends::ancestry(&task.name, &dag.tasks) else { return };
        for name in named {
            let exists = dag.tasks.iter().any(|other| other.name == name);
            if exists && !before.contains(&name) {
                let message = format!("an expression refers to the task `{name}`, which this one does not depend on");
                say(Rule::LaterReference, format!("{path}.dag.tasks[{t}]"), message);
            }
        }
    }
}
