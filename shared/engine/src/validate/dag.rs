//! DAG templates: each task sees what its ancestors gave.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use argosy_api::v1alpha1::*;
use foldhash::fast::RandomState;

use super::{
    arguments,
    calls::{Call, Home, Walker, is_item, loops},
    names, outputs, scope,
    scope::Scope,
};
use crate::{depends::Depends, json, tagged::mentions_tags};

impl Walker<'_> {
    pub(super) fn dag(
        &mut self,
        home: &Home,
        template: &Template,
        dag: &DAGTemplate,
        scope: &mut Scope,
        is_exit: bool,
    ) {
        let place = format!("templates.{}", template.name);
        self.say_all(names::list(&format!("{place}.tasks"), dag.tasks.iter().map(|t| t.name.as_str()), true));
        let (uses_depends, uses_dependencies) =
            (dag.tasks.iter().any(|t| !t.depends.is_empty()), dag.tasks.iter().any(|t| !t.dependencies.is_empty()));
        for task in &dag.tasks {
            let at = || format!("{place}.tasks.{}", task.name);
            if (uses_depends || uses_dependencies) && task.name.starts_with(|c: char| c.is_ascii_digit()) {
                self.say(format!(
                    "{} name cannot begin with a digit when using either 'depends' or 'dependencies'",
                    at()
                ));
            }
            if uses_depends && task.continue_on.is_some() {
                self.say(format!(
                    "{} cannot use 'continueOn' when using 'depends'. Instead use 'dep-task.Failed'/'dep-task.Errored'",
                    at()
                ));
            }
        }
        if uses_depends && uses_dependencies {
            self.say(format!("{place} cannot use both 'depends' and 'dependencies' in the same DAG template"));
        }
        let order = self.order(&place, &dag.tasks);
        let mut called: Vec<Option<Arc<Template>>> = Vec::with_capacity(dag.tasks.len());
        for task in &dag.tasks {
            let at = format!("{place}.tasks.{}", task.name);
            let call = Call {
                arguments: &task.arguments,
                template: &task.template,
                reference: task.template_ref.as_ref(),
                inline: task.inline.as_deref(),
                on_exit: &task.on_exit,
                hooks: &task.hooks,
                sequence: task.with_sequence.as_ref(),
                loops: loops(&task.with_items, &task.with_param, task.with_sequence.as_ref()),
            };
            self.check_hooks(&at, call.hooks);
            self.say_all(arguments::check(&at, call.arguments, true));
            self.step_in(at);
            let target = self.follow(home, &call, is_exit);
            self.step_out();
            called.push(target);
        }
        // What is known of a task while it runs, and once it is over: of those that anything speaks of.
        let mut over = Scope::default();
        let text = if mentions_tags(template) { json::text(template) } else { String::new() };
        let spoken_of: BTreeSet<&str> = scope::tags(&text).filter_map(|tag| task_of(tag.trim())).collect();
        for name in spoken_of {
            if let Some(target) = order.index.get(name).map(|task| &called[*task]) {
                outputs::add_to_scope(scope, &format!("tasks.{name}"), target.as_deref(), false);
                outputs::add_to_scope(&mut over, &format!("tasks.{name}"), target.as_deref(), true);
            }
        }
        let tagged = if text.is_empty() { &[] } else { dag.tasks.as_slice() };
        for (at, task) in tagged.iter().enumerate() {
            let comes_before = |name: &str| order.comes_before(name, at);
            let has_loop = loops(&task.with_items, &task.with_param, task.with_sequence.as_ref()) > 0;
            let is_local = |name: &str| {
                let is_of_ancestor = task_of(name).is_some_and(comes_before);
                scope.has(name) || has_loop && is_item(name) || is_of_ancestor && over.has(name)
            };
            self.step_in(format!("{place}.tasks.{}", task.name));
            let has_more = !task.hooks.is_empty() || task.inline.is_some();
            let own = has_more.then(|| DAGTask { hooks: BTreeMap::new(), inline: None, ..task.clone() });
            if self.check_tags(&is_local, own.as_ref().unwrap_or(task), "") {
                self.check_dependencies(task, &comes_before, &order);
            }
            self.step_out();
        }
        for target in dag.target.split_whitespace().filter(|t| !t.contains("{{") && !t.contains("}}")) {
            if !order.index.contains_key(target) {
                self.say(format!("{place}.targets target '{target}' is not defined"));
            }
        }
        scope.extend(over);
    }

    /// Arguments may speak only of tasks that come before.
    fn check_dependencies(&mut self, task: &DAGTask, comes_before: &dyn Fn(&str) -> bool, order: &Order<'_>) {
        for parameter in &task.arguments.parameters {
            let Some(value) = &parameter.value else {
                continue;
            };
            let missing = scope::tags(value)
                .filter_map(|tag| task_of(tag.trim()))
                .find(|name| order.index.contains_key(name) && !comes_before(name));
            if let Some(missing) = missing {
                self.say(format!("missing dependency '{missing}' for parameter '{}'", parameter.name));
            }
        }
    }

    /// Which tasks come before which; also finds what is wrong with `depends` itself.
    fn order<'t>(&mut self, place: &str, tasks: &'t [DAGTask]) -> Order<'t> {
        let index: Index<'t> = tasks.iter().map(|t| t.name.as_str()).zip(0..).collect();
        let tolerated = |_: &str| (false, false);
        let mut parents = vec![Vec::new(); tasks.len()];
        for (at, task) in tasks.iter().enumerate() {
            let depends = match Depends::of_task(task, &tolerated) {
                Ok(depends) => depends,
                Err(error) => {
                    self.say(format!("{place}.tasks.{} {error}", task.name));
                    continue;
                }
            };
            for name in &depends.names {
                match index.get(name.as_ref()) {
                    Some(parent) => parents[at].push(*parent),
                    None => self.say(format!("{place}.tasks.{} dependency '{name}' not defined", task.name)),
                }
            }
            for name in depends.about_items() {
                let Some(other) = index.get(name).map(|other| &tasks[*other]) else {
                    continue;
                };
                if loops(&other.with_items, &other.with_param, other.with_sequence.as_ref()) == 0 {
                    self.say(format!(
                        "{place}.tasks.{name} dependency '{name}' uses an items-based condition such as .AnySucceeded or .AllFailed but does not contain any items"
                    ));
                }
            }
        }
        let order = Order { index, parents };
        let in_cycle: Vec<&str> = order.in_cycle().into_iter().map(|task| tasks[task].name.as_str()).collect();
        if !in_cycle.is_empty() {
            self.say(format!("{place}.tasks dependency cycle detected: {}", in_cycle.join("->")));
        }
        order
    }
}

/// The task that a variable speaks of.
fn task_of(variable: &str) -> Option<&str> {
    Some(variable.strip_prefix("tasks.")?.split_once('.')?.0)
}

/// Indices of tasks by name.
type Index<'t> = HashMap<&'t str, usize, RandomState>;

/// Which tasks come before which.
struct Order<'t> {
    index: Index<'t>,
    /// Direct dependencies, by index of the task.
    parents: Vec<Vec<usize>>,
}

impl Order<'_> {
    /// Searched for when asked: few tasks speak of others, and most of those of one just before them.
    fn comes_before(&self, other: &str, task: usize) -> bool {
        let Some(other) = self.index.get(other) else {
            return false;
        };
        let mut stack = vec![task];
        let mut seen = HashSet::new();
        while let Some(task) = stack.pop() {
            if self.parents[task].contains(other) {
                return true;
            }
            stack.extend(self.parents[task].iter().filter(|parent| seen.insert(**parent)));
        }
        false
    }

    /// The tasks that wait for each other.
    fn in_cycle(&self) -> Vec<usize> {
        let mut waits: Vec<usize> = self.parents.iter().map(Vec::len).collect();
        let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); waits.len()];
        for (task, parents) in self.parents.iter().enumerate() {
            parents.iter().for_each(|parent| dependents[*parent].push(task));
        }
        let mut ready: VecDeque<usize> = (0..waits.len()).filter(|task| waits[*task] == 0).collect();
        while let Some(task) = ready.pop_front() {
            for dependent in &dependents[task] {
                waits[*dependent] -= 1;
                if waits[*dependent] == 0 {
                    ready.push_back(*dependent);
                }
            }
        }
        (0..waits.len()).filter(|task| waits[*task] > 0).collect()
    }
}
