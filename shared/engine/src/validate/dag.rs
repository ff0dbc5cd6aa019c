//! DAG templates: each task sees what its ancestors gave.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use argosy_api::v1alpha1::*;

use super::{
    arguments,
    calls::{Call, Home, Walker, loops, with_item},
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
        self.say_all(names::list(
            &format!("{place}.tasks"),
            dag.tasks.iter().map(|t| t.name.as_str()),
            true,
        ));
        let (uses_depends, uses_dependencies) = (
            dag.tasks.iter().any(|t| !t.depends.is_empty()),
            dag.tasks.iter().any(|t| !t.dependencies.is_empty()),
        );
        for task in &dag.tasks {
            let at = format!("{place}.tasks.{}", task.name);
            if (uses_depends || uses_dependencies)
                && task.name.starts_with(|c: char| c.is_ascii_digit())
            {
                self.say(format!("{at} name cannot begin with a digit when using either 'depends' or 'dependencies'"));
            }
            if uses_depends && task.continue_on.is_some() {
                self.say(format!(
                    "{at} cannot use 'continueOn' when using 'depends'. Instead use 'dep-task.Failed'/'dep-task.Errored'"
                ));
            }
        }
        if uses_depends && uses_dependencies {
            self.say(format!(
                "{place} cannot use both 'depends' and 'dependencies' in the same DAG template"
            ));
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
                loops: loops(
                    &task.with_items,
                    &task.with_param,
                    task.with_sequence.as_ref(),
                ),
            };
            self.say_all(arguments::check(
                &format!("{}.", call.place),
                call.arguments,
                true,
            ));
            self.step_in(call.place.clone());
            let target = self.follow(home, &call, is_exit);
            self.step_out();
            outputs::add_to_scope(
                scope,
                &format!("tasks.{}", task.name),
                target.as_ref(),
                false,
            );
            called.insert(task.name.as_str(), target);
        }
        let none = BTreeSet::new();
        for task in &dag.tasks {
            let before = ancestors.get(task.name.as_str()).unwrap_or(&none);
            let loops = loops(
                &task.with_items,
                &task.with_param,
                task.with_sequence.as_ref(),
            );
            let mut own_scope = with_item(scope, loops);
            for name in before {
                let target = called.get(name).and_then(Option::as_ref);
                outputs::add_to_scope(&mut own_scope, &format!("tasks.{name}"), target, true);
            }
            self.step_in(format!("{place}.tasks.{}", task.name));
            let own = DAGTask {
                hooks: BTreeMap::new(),
                inline: None,
                ..task.clone()
            };
            if self.check_tags(&own_scope, &own, "") {
                self.check_dependencies(task, before, &called);
            }
            self.step_out();
        }
        for target in dag
            .target
            .split_whitespace()
            .filter(|t| !t.contains("{{") && !t.contains("}}"))
        {
            if !called.contains_key(target) {
                self.say(format!("{place}.targets target '{target}' is not defined"));
            }
        }
        for (name, target) in &called {
            outputs::add_to_scope(scope, &format!("tasks.{name}"), target.as_ref(), true);
        }
    }

    /// Arguments may speak only of tasks that come before.
    fn check_dependencies(
        &mut self,
        task: &DAGTask,
        before: &BTreeSet<&str>,
        tasks: &BTreeMap<&str, Option<Template>>,
    ) {
        for parameter in &task.arguments.parameters {
            let Some(value) = &parameter.value else {
                continue;
            };
            let named = scope::tags(value)
                .filter_map(|tag| tag.trim().strip_prefix("tasks.")?.split_once('.'));
            let missing = named
                .map(|(name, _)| name)
                .find(|name| tasks.contains_key(name) && !before.contains(name));
            if let Some(missing) = missing {
                self.say(format!(
                    "missing dependency '{missing}' for parameter '{}'",
                    parameter.name
                ));
            }
        }
    }

    /// All tasks before each task; also finds what is wrong with `depends` itself.
    fn ancestors<'t>(
        &mut self,
        place: &str,
        tasks: &'t [DAGTask],
    ) -> BTreeMap<&'t str, BTreeSet<&'t str>> {
        let by_name: BTreeMap<&str, &DAGTask> =
            tasks.iter().map(|t| (t.name.as_str(), t)).collect();
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
                    None => self.say(format!(
                        "{place}.tasks.{} dependency '{name}' not defined",
                        task.name
                    )),
                }
            }
            for name in depends.about_items() {
                let Some(other) = by_name.get(name) else {
                    continue;
                };
                if loops(
                    &other.with_items,
                    &other.with_param,
                    other.with_sequence.as_ref(),
                ) == 0
                {
                    self.say(format!(
                        "{place}.tasks.{name} dependency '{name}' uses an items-based condition such as .AnySucceeded or .AllFailed but does not contain any items"
                    ));
                }
            }
        }
        let (before, in_cycle) = close(&direct, tasks);
        if !in_cycle.is_empty() {
            self.say(format!(
                "{place}.tasks dependency cycle detected: {}",
                in_cycle.join("->")
            ));
        }
        before
    }
}

/// All ancestors of each task, and the tasks that have none because they wait for each other.
fn close<'t>(
    direct: &BTreeMap<&'t str, Vec<&'t str>>,
    tasks: &'t [DAGTask],
) -> (BTreeMap<&'t str, BTreeSet<&'t str>>, Vec<&'t str>) {
    let mut waits: BTreeMap<&str, usize> = BTreeMap::new();
    let mut dependents: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for task in tasks {
        let names = direct
            .get(task.name.as_str())
            .map_or(&[][..], Vec::as_slice);
        waits.insert(&task.name, names.len());
        names
            .iter()
            .for_each(|name| dependents.entry(name).or_default().push(&task.name));
    }
    let mut ready: VecDeque<&str> = waits
        .iter()
        .filter(|(_, n)| **n == 0)
        .map(|(name, _)| *name)
        .collect();
    let mut before: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    while let Some(name) = ready.pop_front() {
        let mut all: BTreeSet<&str> = BTreeSet::new();
        for parent in direct.get(name).into_iter().flatten() {
            all.insert(parent);
            all.extend(before.get(parent).into_iter().flatten());
        }
        before.insert(name, all);
        for dependent in dependents.get(name).into_iter().flatten() {
            if let Some(left) = waits.get_mut(dependent) {
                *left -= 1;
                if *left == 0 {
                    ready.push_back(dependent);
                }
            }
        }
    }
    let in_cycle = tasks
        .iter()
        .map(|t| t.name.as_str())
        .filter(|name| !before.contains_key(name))
        .collect();
    (before, in_cycle)
}
