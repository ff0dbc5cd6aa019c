//! Steps templates: each group sees what the groups before it gave.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use argosy_api::v1alpha1::*;
use foldhash::fast::RandomState;

use super::{
    arguments,
    calls::{Call, Home, Walker, is_item, loops},
    names, outputs,
    scope::{self, Scope},
};
use crate::{json, tagged::mentions_tags};

impl Walker<'_> {
    pub(super) fn steps(&mut self, home: &Home, template: &Template, scope: &mut Scope, is_exit: bool) {
        let has_tags = mentions_tags(template);
        let text = if has_tags { json::text(template) } else { String::new() };
        let spoken_of: BTreeSet<&str> = scope::tags(&text).filter_map(|tag| step_of(tag.trim())).collect();
        let mut seen: HashSet<&str, RandomState> = HashSet::default();
        for (index, group) in template.steps.iter().enumerate() {
            let mut called = Vec::with_capacity(group.steps.len());
            let group_place = format!("templates.{}.steps[{index}]", template.name);
            for step in &group.steps {
                if !step.name.contains("{{") {
                    if let Some(wrong) = names::template_name(&step.name) {
                        self.say(format!("{group_place}.name {wrong}"));
                    } else if !seen.insert(step.name.as_str()) {
                        self.say(format!("{group_place}.name '{}' is not unique", step.name));
                    }
                }
                let place = [group_place.as_str(), step.name.as_str()].join(".");
                let call = Call {
                    arguments: &step.arguments,
                    template: &step.template,
                    reference: step.template_ref.as_ref(),
                    inline: step.inline.as_deref(),
                    on_exit: &step.on_exit,
                    hooks: &step.hooks,
                    sequence: step.with_sequence.as_ref(),
                    loops: loops(&step.with_items, &step.with_param, step.with_sequence.as_ref()),
                };
                self.check_hooks(&place, call.hooks);
                self.say_all(arguments::check(&place, call.arguments, true));
                self.step_in(place);
                if has_tags {
                    let has_more = !step.hooks.is_empty() || step.inline.is_some();
                    let own = has_more.then(|| WorkflowStep { hooks: BTreeMap::new(), inline: None, ..step.clone() });
                    let is_local = |name: &str| scope.has(name) || call.loops > 0 && is_item(name);
                    self.check_tags(&is_local, own.as_ref().unwrap_or(step), "");
                }
                let target = self.follow(home, &call, is_exit);
                self.step_out();
                called.push((step.name.as_str(), target));
            }
            for (name, target) in called {
                if name.contains("{{") {
                    scope.add_prefix("steps.");
                } else if spoken_of.contains(name) {
                    outputs::add_to_scope(scope, &format!("steps.{name}"), target.as_deref(), true);
                }
            }
        }
    }
}

/// The step that a variable speaks of.
fn step_of(variable: &str) -> Option<&str> {
    Some(variable.strip_prefix("steps.")?.split_once('.')?.0)
}
