//! DAG templates: each task sees what its ancestors gave.

use std::collections::{BTreeMap, VecDeque};

use argosy_api::v1alpha1::*;

use super::{
    arguments,
    calls::{Call, Home, Walker, is_item, loops},
    names, outputs, scope,
    scope::Scope,
};
use crate::depends::{self, Depends};

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
        let mut called = BTreeMap::new();
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
            self.say_all(arguments::check(&format!("{}.", call.place), call.arguments, true));
            self.step_in(call.place.clone());
            let target = self.follow(home, &call, is_exit);
            self.step_out();
            outputs::add_to_scope(scope, &format!("tasks.{}", task.name), target.as_ref(), false);
            called.insert(task.name.as_str(), target);
        }
        // What is known of a task once it is over.
        let mut over = Scope::default();
        for (name, target) in &called {
            outputs::add_to_scope(&mut over, &format!("tasks.{name}"), target.as_ref(), true);
        }
        for task in &dag.tasks {
            let comes_before = |name: &str| ancestors.has(&task.name, name);
            let has_loop = loops(&task.with_items, &task.with_param, task.with_sequence.as_ref()) > 0;
            let is_local = |name: &str| {
                let is_of_ancestor = task_of(name).is_some_and(comes_before);
                scope.has(name) || has_loop && is_item(name) || is_of_ancestor && over.has(name)
            };
            self.step_in(format!("{place}.tasks.{}", task.name));
            let own = DAGTask { hooks: BTreeMap::new(), inline: None, ..task.clone() };
            if self.check_tags(&is_local, &own, "") {
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
        tasks: &BTreeMap<&str, Option<Template>>,
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
        let by_name: BTreeMap<&str, &DAGTask> = tasks.iter().map(|t| (t.name.as_str(), t)).collect();
        let tolerated = |_: &str| (false, false);
        let mut direct: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for task in tasks {
            let depends = match Depends::compile(&depends::raw_logic(task), &tolerated) {
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

/// Which tasks come before which: a bit per pair, as a DAG may have thousands of tasks.
struct Ancestors<'t> {
    index: BTreeMap<&'t str, usize>,
    /// By index of the task; empty for one in a cycle.
    sets: Vec<Vec<u64>>,
}

impl<'t> Ancestors<'t> {
    fn has(&self, task: &str, other: &str) -> bool {
        let (Some(task), Some(other)) = (self.index.get(task), self.index.get(other)) else {
            return false;
        };
        let word = self.sets[*task].get(other / 64);
        word.is_some_and(|word| word >> (other % 64) & 1 == 1)
    }

    /// From the direct dependencies; with the tasks that wait for each other.
    fn of(direct: &BTreeMap<&'t str, Vec<&'t str>>, tasks: &'t [DAGTask]) -> (Self, Vec<&'t str>) {
        let names = tasks.iter().map(|t| t.name.as_str());
        let index: BTreeMap<&str, usize> = names.clone().zip(0..).collect();
        let mut waits = vec![0; tasks.len()];
        let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); tasks.len()];
        for (name, parents) in direct {
            waits[index[name]] = parents.len();
            parents.iter().for_each(|parent| dependents[index[parent]].push(index[name]));
        }
        let mut ready: VecDeque<usize> = index.values().copied().filter(|i| waits[*i] == 0).collect();
        let mut sets: Vec<Vec<u64>> = vec![Vec::new(); tasks.len()];
        let mut is_settled = vec![false; tasks.len()];
        while let Some(task) = ready.pop_front() {
            let mut all = vec![0; tasks.len().div_ceil(64)];
            for parent in direct.get(tasks[task].name.as_str()).into_iter().flatten() {
                let parent = index[parent];
                all[parent / 64] |= 1 << (parent % 64);
                for (word, more) in all.iter_mut().zip(&sets[parent]) {
                    *word |= more;
                }
            }
            sets[task] = all;
            is_settled[task] = true;
            for dependent in &dependents[task] {
                waits[*dependent] -= 1;
                if waits[*dependent] == 0 {
                    ready.push_back(*dependent);
                }
            }
        }
        let in_cycle = names.filter(|name| !is_settled[index[name]]).collect();
        (Self { index, sets }, in_cycle)
    }
}
