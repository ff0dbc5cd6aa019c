//! Tasks of a DAG as steps: what is called is the same.

use argosy_api::v1alpha1::{DAGTask, WorkflowStep};

/// Whether the task as a step is this one, which has no name: most tasks of a large DAG differ in nothing but the name and
/// what they depend on.
pub(crate) fn is_step_of(step: &WorkflowStep, task: &DAGTask) -> bool {
    step.template == task.template
        && step.inline == task.inline
        && step.arguments == task.arguments
        && step.template_ref == task.template_ref
        && step.with_items == task.with_items
        && step.with_param == task.with_param
        && step.with_sequence == task.with_sequence
        && step.when == task.when
        && step.continue_on == task.continue_on
        && step.on_exit == task.on_exit
        && step.hooks == task.hooks
}

/// The task as a step without a name.
pub(crate) fn step_of(task: &DAGTask) -> WorkflowStep {
    WorkflowStep {
        name: String::new(),
        template: task.template.clone(),
        inline: task.inline.clone(),
        arguments: task.arguments.clone(),
        template_ref: task.template_ref.clone(),
        with_items: task.with_items.clone(),
        with_param: task.with_param.clone(),
        with_sequence: task.with_sequence.clone(),
        when: task.when.clone(),
        continue_on: task.continue_on.clone(),
        on_exit: task.on_exit.clone(),
        hooks: task.hooks.clone(),
    }
}
