//! DAG templates: each task sees what its ancestors gave.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use argosy_api::v1alpha1::*;

use super::{
    arguments,
    calls::{Call, Home, Walker, is_item, loops},
    names, outputs, scope,
    scope::Scope,
};
use crate::{depends::Depends, publish, tagged::mentions_tags};

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
            let at = format!("{place}.tasks.{}", task.name);
            if (uses_depends || uses_dependencies) && task.name.starts_with(|c: char| c.is_ascii_digit()) {
                self.say(format!("{at} name cannot begin with a digit when using either 'depends' or 'dependencies'"));
            }
            if uses_depends && task.continue_on.is_some() {
                self.say(format!(
                    "{at} cannot use 'continueOn' when using 'depends'. Instead use 'dep-task.Failed'/'dep-task.Errored'"
                ));
            }
        }
        if uses_depends && uses_dependencies {
            self.say(format!("{place} cannot use both 'depends' and 'dependencies' in the same DAG template"));
        }
        let ancestors = self.ancestors(&place, &dag.tasks);
        let mut called = HashMap::new();
        for task in &dag.tasks {
            let call = Call {
                place: format!("{place}.tasks.{}", task.name),
                arguments: &task.arguments,
                template: &task.template,
                reference: task.template_ref.as_ref(),
                inline: task.inline.as_deref(),
                on_exit: &task.on_exit,
                hooks: &task.hooks,
                sequence: task.with_sequence.as_ref(),
                loops: loops(&task.with_items, &task.with_param, task.with_sequence.as_ref()),
            };
            self.check_hooks(&call.place, call.hooks);
            self.say_all(arguments::check(&format!("{}.", call.place), call.arguments, true));
            self.step_in(call.place.clone());
            let target = self.follow(home, &call, is_exit);
            self.step_out();
            called.insert(task.name.as_str(), target);
        }
        // What is known of a task while it runs, and once it is over: of those that anything speaks of.
        let mut over = Scope::default();
        let text = if mentions_tags(template) { publish::text(template) } else { String::new() };
        let spoken_of: BTreeSet<&str> = scope::tags(&text).filter_map(|tag| task_of(tag.trim())).collect();
        for name in spoken_of {
            if let Some(target) = called.get(name) {
                outputs::add_to_scope(scope, &format!("tasks.{name}"), target.as_deref(), false);
                outputs::add_to_scope(&mut over, &format!("tasks.{name}"), target.as_deref(), true);
            }
        }
        for task in &dag.tasks {
            let comes_before = |name: &str| ancestors.has(&task.name, name);
            let has_loop = loops(&task.with_items, &task.with_param, task.with_sequence.as_ref()) > 0;
            let is_local = |name: &str| {
                let is_of_ancestor = task_of(name).is_some_and(comes_before);
                scope.has(name) || has_loop && is_item(name) || is_of_ancestor && over.has(name)
            };
            self.step_in(format!("{place}.tasks.{}", task.name));
            let has_more = !task.hooks.is_empty() || task.inline.is_some();
            let own = has_more.then(|| DAGTask { hooks: BTreeMap::new(), inline: None, ..task.clone() });
            if self.check_tags(&is_local, own.as_ref().unwrap_or(task), "") {
                self.check_dependencies(task, &comes_before, &called);
            }
            self.step_out();
        }
        for target in dag.target.split_whitespace().filter(|t| !t.contains("{{") && !t.contains("}}")) {
            if !called.contains_key(target) {
                self.say(format!("{place}.targets target '{target}' is not defined"));
            }
        }
        scope.extend(over);
    }

    /// Arguments may speak only of tasks that come before.
    fn check_dependencies(
        &mut self,
        task: &DAGTask,
        comes_before: &dyn Fn(&str) -> bool,
        tasks: &HashMap<&str, Option<Arc<Template>>>,
    ) {
        for parameter in &task.arguments.parameters {
            let Some(value) = &parameter.value else {
                continue;
            };
            let missing = scope::tags(value)
                .filter_map(|tag| task_of(tag.trim()))
                .find(|name| tasks.contains_key(name) && !comes_before(name));
            if let Some(missing) = missing {
                self.say(format!("missing dependency '{missing}' for parameter '{}'", parameter.name));
            }
        }
    }

    /// All tasks before each task; also finds what is wrong with `depends` itself.
    fn ancestors<'t>(&mut self, place: &str, tasks: &'t [DAGTask]) -> Ancestors<'t> {
        let by_name: HashMap<&str, &DAGTask> = tasks.iter().map(|t| (t.name.as_str(), t)).collect();
        let tolerated = |_: &str| (false, false);
        let mut direct: HashMap<&str, Vec<&str>> = HashMap::new();
        for task in tasks {
            let depends = match Depends::of_task(task, &tolerated) {
                Ok(depends) => depends,
                Err(error) => {
                    self.say(format!("{place}.tasks.{} {error}", task.name));
                    continue;
                }
            };
            for name in &depends.names {
                match by_name.get_key_value(name.as_str()) {
                    Some((name, _)) => direct.entry(&task.name).or_default().push(name),
                    None => self.say(format!("{place}.tasks.{} dependency '{name}' not defined", task.name)),
                }
            }
            for name in depends.about_items() {
                let Some(other) = by_name.get(name) else {
                    continue;
                };
                if loops(&other.with_items, &other.with_param, other.with_sequence.as_ref()) == 0 {
                    self.say(format!(
                        "{place}.tasks.{name} dependency '{name}' uses an items-based condition such as .AnySucceeded or .AllFailed but does not contain any items"
                    ));
                }
            }
        }
        let (ancestors, in_cycle) = Ancestors::of(&direct, tasks);
        if !in_cycle.is_empty() {
            self.say(format!("{place}.tasks dependency cycle detected: {}", in_cycle.join("->")));
        }
        ancestors
    }
}

/// The task that a variable speaks of.
fn task_of(variable: &str) -> Option<&str> {
    Some(variable.strip_prefix("tasks.")?.split_once('.')?.0)
}

/// Which tasks come before which.
struct Ancestors<'t> {
    index: HashMap<&'t str, usize>,
    /// Direct dependencies, by index of the task.
    parents: Vec<Vec<usize>>,
}

impl<'t> Ancestors<'t> {
    /// Searched for when asked: few tasks speak of others, and most of those of one just before them.
    fn has(&self, task: &str, other: &str) -> bool {
        let (Some(task), Some(other)) = (self.index.get(task), self.index.get(other)) else {
            return false;
        };
        let mut stack = vec![*task];
        let mut seen = HashSet::new();
        while let Some(task) = stack.pop() {
            if self.parents[task].contains(other) {
                return true;
            }
            stack.extend(self.parents[task].iter().filter(|parent| seen.insert(**parent)));
        }
        false
    }

    /// From the direct dependencies; with the tasks that wait for each other.
    fn of(direct: &HashMap<&'t str, Vec<&'t str>>, tasks: &'t [DAGTask]) -> (Self, Vec<&'t str>) {
        let names = tasks.iter().map(|t| t.name.as_str());
        let index: HashMap<&str, usize> = names.clone().zip(0..).collect();
        let parents_of = |name| direct.get(name).into_iter().flatten().map(|parent| index[parent]).collect();
        let parents: Vec<Vec<usize>> = names.clone().map(parents_of).collect();
        let mut waits: Vec<usize> = parents.iter().map(Vec::len).collect();
        let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); tasks.len()];
        for (task, parents) in parents.iter().enumerate() {
            parents.iter().for_each(|parent| dependents[*parent].push(task));
        }
        let mut ready: VecDeque<usize> = (0..tasks.len()).filter(|i| waits[*i] == 0).collect();
        while let Some(task) = ready.pop_front() {
            for dependent in &dependents[task] {
                waits[*dependent] -= 1;
                if waits[*dependent] == 0 {
                    ready.push_back(*dependent);
                }
            }
        }
        let in_cycle = names.zip(&waits).filter(|(_, waits)| **waits > 0).map(|(name, _)| name).collect();
        (Self { index, parents }, in_cycle)
    }
}
