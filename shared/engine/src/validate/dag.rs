//! DAG templates: each task sees what its ancestors gave.

use std::collections::{BTreeSet, HashSet};

use argosy_api::v1alpha1::*;

use super::{
    arguments,
    calls::{Call, Home, Walker},
    known::{self, Given},
    names,
    order::Order,
    outputs,
    scope::{self, Scope},
    target::{Called, Target},
};
use crate::{depends::Depends, json, tagged::mentions_tags};

impl Walker<'_> {
    pub(super) fn dag(
        &mut self,
        home: &Home,
        template: &Template,
        dag: &DAGTemplate,
        scope: &mut Scope,
        given: Given<'_>,
    ) {
        let place = format!("templates.{}", template.name);
        if dag.tasks.is_empty() {
            return self.say(format!("{place} must have at least one task"));
        }
        let order = Order::of(&dag.tasks);
        if let Some(problem) = &order.problem {
            self.say(format!("{place} sorting failed: {problem}"));
        }
        let tasks: Vec<&DAGTask> = order.sorted.iter().map(|task| &dag.tasks[*task]).collect();
        self.say_all(names::list(&format!("{place}.tasks"), tasks.iter().map(|t| t.name.as_str()), true));
        let uses_depends = dag.tasks.iter().any(|t| !t.depends.is_empty());
        let mut called = vec![Called::Missing; dag.tasks.len()];
        let text = if mentions_tags(template) { json::text(template) } else { String::new() };
        let spoken_of: BTreeSet<&str> = scope::tags(&text).filter_map(|tag| task_of(tag.trim())).collect();
        for (at, task) in order.sorted.iter().zip(&tasks) {
            self.manner(&place, task, uses_depends);
            self.step_in(format!("{place}.tasks.{}", task.name));
            let settled = |text: &str| known::settled(text, &self.globals, template, given).into_owned();
            let name = settled(&task.template);
            let reference = task.template_ref.as_ref().map(|r| TemplateRef {
                name: settled(&r.name),
                template: settled(&r.template),
                cluster_scope: r.cluster_scope,
            });
            let call = call_of(task, &name, reference.as_ref());
            let found = self.call(home, &call.target, Given::Anything);
            self.learn_globals(scope, &found);
            if spoken_of.contains(task.name.as_str()) {
                outputs::add_to_scope(scope, &format!("tasks.{}", task.name), &found, call.is_aggregate());
            }
            self.depends(task);
            self.step_out();
            self.say_all(order.wrongly_about_items(&dag.tasks, *at).map(|name| {
                format!("{place}.tasks.{name} dependency '{name}' uses an items-based condition such as .AnySucceeded or .AllFailed but does not contain any items")
            }).collect());
            called[*at] = found;
        }
        self.targets(&place, template, dag, scope, given, &order);
        for (at, task) in order.sorted.iter().zip(&tasks) {
            self.task(home, &place, task, &called[*at], scope, &|name| order.comes_before(name, *at), &order);
        }
    }

    /// What cannot stand beside each other in one DAG.
    fn manner(&mut self, place: &str, task: &DAGTask, uses_depends: bool) {
        let has_list = !task.dependencies.is_empty();
        if (uses_depends || has_list) && task.name.starts_with(|c: char| c.is_ascii_digit()) {
            self.say(format!(
                "{place}.tasks.{} name cannot begin with a digit when using either 'depends' or 'dependencies'",
                task.name
            ));
        }
        if uses_depends && has_list {
            self.say(format!("{place} cannot use both 'depends' and 'dependencies' in the same DAG template"));
        }
        if uses_depends && task.continue_on.is_some() {
            self.say(format!(
                "{place} cannot use 'continueOn' when using 'depends'. Instead use 'dep-task.Failed'/'dep-task.Errored'"
            ));
        }
    }

    fn depends(&mut self, task: &DAGTask) {
        if let Err(error) = Depends::of_task(task, &|_| (false, false)) {
            self.say(error.to_string());
        }
    }

    fn targets(
        &mut self,
        place: &str,
        template: &Template,
        dag: &DAGTemplate,
        scope: &Scope,
        given: Given<'_>,
        order: &Order<'_>,
    ) {
        self.check_tags(&|name| scope.has(name), &dag.target, &format!("{place}.targets "));
        let targets = known::settled(&dag.target, &self.globals, template, given).into_owned();
        for target in targets.split(' ').filter(|_| !targets.is_empty()) {
            if !target.contains("{{") && order.index(target).is_none() {
                self.say(format!("{place}.targets: target '{target}' is not defined"));
            }
        }
    }

    /// A task with all that it says.
    #[expect(clippy::too_many_arguments, reason = "what is known of a task comes from many sides")]
    fn task(
        &mut self,
        home: &Home,
        place: &str,
        task: &DAGTask,
        called: &Called,
        scope: &mut Scope,
        comes_before: &dyn Fn(&str) -> bool,
        order: &Order<'_>,
    ) {
        let at = format!("{place}.tasks.{}", task.name);
        let call = call_of(task, &task.template, task.template_ref.as_ref());
        if !task.hooks.is_empty() {
            scope.add(format!("tasks.{}.status", task.name));
        }
        self.step_in(at.clone());
        if let Some(problem) = call.loop_problem() {
            self.say(problem.to_owned());
        }
        let inline = task.inline.iter().flat_map(|inline| &inline.inputs.parameters);
        let of_inline: HashSet<String> = inline.map(|p| format!("inputs.parameters.{}", p.name)).collect();
        let is_local = |name: &str| {
            let is_status = || task_of(name).is_some_and(|other| name.ends_with(".status") && comes_before(other));
            scope.has(name) || call.has_item(name) || of_inline.contains(name) || is_status()
        };
        let is_resolved = self.check_tags(&is_local, task, "");
        self.step_out();
        self.say_all(arguments::check(&at, call.arguments, arguments::Rules::default()));
        self.step_in(at.clone());
        if is_resolved {
            self.check_dependencies(task, comes_before, order);
        }
        self.supply(called, call.arguments);
        self.hooks_of(home, &call);
        self.step_out();
    }

    /// Arguments may speak only of tasks that come before.
    fn check_dependencies(&mut self, task: &DAGTask, comes_before: &dyn Fn(&str) -> bool, order: &Order<'_>) {
        let missing = |text: &str| -> Option<String> {
            let mut names = scope::tags(text).filter_map(|tag| task_of(tag.trim()));
            names.find(|name| order.index(name).is_some() && !comes_before(name)).map(str::to_owned)
        };
        let parameters =
            task.arguments.parameters.iter().filter_map(|p| Some(("parameter", &p.name, p.value.as_deref()?)));
        let artifacts = task.arguments.artifacts.iter().map(|a| ("artifact", &a.name, a.from.as_str()));
        for (kind, name, text) in parameters.chain(artifacts) {
            if let Some(missing) = missing(text) {
                self.say(format!("missing dependency '{missing}' for {kind} '{name}'"));
            }
        }
    }
}

fn call_of<'t>(task: &'t DAGTask, template: &'t str, reference: Option<&'t TemplateRef>) -> Call<'t> {
    Call {
        arguments: &task.arguments,
        target: Target {
            template,
            reference,
            inline: task.inline.as_deref(),
            is_settled: reference.map(|r| &r.name) != task.template_ref.as_ref().map(|r| &r.name),
        },
        on_exit: &task.on_exit,
        hooks: &task.hooks,
        items: &task.with_items,
        param: &task.with_param,
        sequence: task.with_sequence.as_ref(),
    }
}

/// The task that a variable speaks of.
fn task_of(variable: &str) -> Option<&str> {
    Some(variable.strip_prefix("tasks.")?.split_once('.')?.0)
}
