//! Steps templates: each group sees what the groups before it gave.

use std::collections::{BTreeSet, HashSet};

use argosy_api::v1alpha1::*;
use foldhash::fast::RandomState;

use super::{
    arguments,
    calls::{Call, Home, Walker},
    known::{self, Given},
    names, outputs,
    scope::{self, Scope},
    target::{Called, Target},
};
use crate::{json, tagged::mentions_tags};

impl Walker<'_> {
    pub(super) fn steps(&mut self, home: &Home, template: &Template, scope: &mut Scope, given: Given<'_>) {
        let place = format!("templates.{}", template.name);
        let text = if mentions_tags(template) { json::text(template) } else { String::new() };
        let spoken_of: BTreeSet<&str> = scope::tags(&text).filter_map(|tag| step_of(tag.trim())).collect();
        let mut seen: HashSet<String, RandomState> = HashSet::default();
        for (index, group) in template.steps.iter().enumerate() {
            let group_place = format!("{place}.steps[{index}]");
            let mut called = Vec::with_capacity(group.steps.len());
            for step in &group.steps {
                let own = self.step(home, (&group_place, &place), step, scope, &mut seen, |text, globals| {
                    known::settled(text, globals, template, given).into_owned()
                });
                called.push((step, own));
            }
            for (step, called) in called {
                self.learn_globals(scope, &called);
                if step.name.contains("{{") {
                    scope.add_prefix("steps.");
                } else if spoken_of.contains(step.name.as_str()) {
                    let is_aggregate = call_of(step, &step.template, None).is_aggregate();
                    outputs::add_to_scope(scope, &format!("steps.{}", step.name), &called, is_aggregate);
                }
            }
        }
    }

    /// One step; `places` are its group's and its template's.
    fn step(
        &mut self,
        home: &Home,
        (group_place, template_place): (&str, &str),
        step: &WorkflowStep,
        scope: &mut Scope,
        seen: &mut HashSet<String, RandomState>,
        settled: impl Fn(&str, &known::Globals) -> String,
    ) -> Called {
        let name = settled(&step.name, &self.globals);
        if name.is_empty() {
            self.say(format!("{group_place}.name is required"));
        } else if seen.contains(&name) {
            self.say(format!("{group_place}.name '{name}' is not unique"));
        } else if let Some(wrong) = names::template_name(&name) {
            self.say(format!("{group_place}.name {wrong}"));
        }
        scope.add(format!("steps.{name}.status"));
        let place = [group_place, name.as_str()].join(".");
        seen.insert(name);
        let reference = step.template_ref.as_ref().map(|r| TemplateRef {
            name: settled(&r.name, &self.globals),
            template: settled(&r.template, &self.globals),
            cluster_scope: r.cluster_scope,
        });
        let template = settled(&step.template, &self.globals);
        let call = call_of(step, &template, reference.as_ref());
        self.step_in(place.clone());
        if let Some(problem) = call.loop_problem() {
            self.say(problem.to_owned());
        }
        self.step_out();
        let rules = arguments::Rules { takes_expressions: true, ..Default::default() };
        self.say_all(arguments::check(&place, call.arguments, rules));
        self.step_in(place.clone());
        let called = self.call(home, &call.target, Given::Anything);
        self.step_out();
        self.check_hooks(&place, call.hooks);
        let mut own = Scope::default();
        if call.has_exit_hook() {
            outputs::add_to_scope(&mut own, &format!("steps.{}", step.name), &called, false);
        }
        for parameter in step.inline.iter().flat_map(|inline| &inline.inputs.parameters) {
            own.add(format!("inputs.parameters.{}", parameter.name));
        }
        let is_local = |name: &str| scope.has(name) || own.has(name) || call.has_item(name);
        self.check_tags(&is_local, step, &format!("{template_place}.steps "));
        self.step_in(place);
        self.supply(&called, call.arguments);
        self.hooks_of(home, &call);
        self.step_out();
        called
    }
}

fn call_of<'s>(step: &'s WorkflowStep, template: &'s str, reference: Option<&'s TemplateRef>) -> Call<'s> {
    Call {
        arguments: &step.arguments,
        target: Target {
            template,
            reference,
            inline: step.inline.as_deref(),
            is_settled: reference.map(|r| &r.name) != step.template_ref.as_ref().map(|r| &r.name),
        },
        on_exit: &step.on_exit,
        hooks: &step.hooks,
        items: &step.with_items,
        param: &step.with_param,
        sequence: step.with_sequence.as_ref(),
    }
}

/// The step that a variable speaks of.
fn step_of(variable: &str) -> Option<&str> {
    Some(variable.strip_prefix("steps.")?.split_once('.')?.0)
}
