//! What of the steps and tasks of a template is left alone when the template is called, since it is rendered once its step
//! or task begins: arguments, conditions and loops. Rendering them twice would look for tags in what was put in.

use argosy_api::v1alpha1::{LifecycleHook, Template};
use serde_json::Value;

const OF_STEPS: [&str; 6] = ["arguments", "when", "withItems", "withParam", "withSequence", "inline"];

/// The JSON of a template without these, and without its inputs.
pub(crate) fn without(mut template: Value) -> Value {
    if let Some(template) = template.as_object_mut() {
        template.remove("inputs");
    }
    let groups = template.get_mut("steps").and_then(Value::as_array_mut).into_iter().flatten();
    groups.filter_map(Value::as_array_mut).flatten().for_each(strip);
    let tasks = template.pointer_mut("/dag/tasks").and_then(Value::as_array_mut);
    tasks.into_iter().flatten().for_each(strip);
    template
}

fn strip(step: &mut Value) {
    let Some(step) = step.as_object_mut() else { return };
    for member in OF_STEPS {
        step.remove(member);
    }
    let hooks = step.get_mut("hooks").and_then(Value::as_object_mut);
    for hook in hooks.into_iter().flat_map(|hooks| hooks.values_mut()).filter_map(Value::as_object_mut) {
        hook.remove("arguments");
    }
}

/// Gives a rendered template back what was left out of it.
pub(crate) fn restore(template: &mut Template, from: &Template) {
    let steps = template.steps.iter_mut().flat_map(|group| &mut group.steps);
    for (step, from) in steps.zip(from.steps.iter().flat_map(|group| &group.steps)) {
        step.arguments.clone_from(&from.arguments);
        step.when.clone_from(&from.when);
        step.with_items.clone_from(&from.with_items);
        step.with_param.clone_from(&from.with_param);
        step.with_sequence.clone_from(&from.with_sequence);
        step.inline.clone_from(&from.inline);
        step.hooks.values_mut().zip(from.hooks.values()).for_each(|(hook, from)| restore_hook(hook, from));
    }
    let tasks = template.dag.iter_mut().flat_map(|dag| &mut dag.tasks);
    for (task, from) in tasks.zip(from.dag.iter().flat_map(|dag| &dag.tasks)) {
        task.arguments.clone_from(&from.arguments);
        task.when.clone_from(&from.when);
        task.with_items.clone_from(&from.with_items);
        task.with_param.clone_from(&from.with_param);
        task.with_sequence.clone_from(&from.with_sequence);
        task.inline.clone_from(&from.inline);
        task.hooks.values_mut().zip(from.hooks.values()).for_each(|(hook, from)| restore_hook(hook, from));
    }
}

fn restore_hook(hook: &mut LifecycleHook, from: &LifecycleHook) {
    hook.arguments.clone_from(&from.arguments);
}
