//! Steps templates: each group sees what the groups before it gave.

use std::collections::{BTreeMap, BTreeSet};

use argosy_api::v1alpha1::*;

use super::{
    arguments,
    calls::{Call, Home, Walker, is_item, loops},
    names, outputs,
    scope::Scope,
};

impl Walker<'_> {
    pub(super) fn steps(&mut self, home: &Home, template: &Template, scope: &mut Scope, is_exit: bool) {
        let mut seen = BTreeSet::new();
        for (index, group) in template.steps.iter().enumerate() {
            let mut called = Vec::with_capacity(group.steps.len());
            for step in &group.steps {
                let group_place = format!("templates.{}.steps[{index}]", template.name);
                if !step.name.contains("{{") {
                    if let Some(wrong) = names::template_name(&step.name) {
                        self.say(format!("{group_place}.name {wrong}"));
                    } else if !seen.insert(step.name.as_str()) {
                        self.say(format!("{group_place}.name '{}' is not unique", step.name));
                    }
                }
                let call = Call {
                    place: format!("{group_place}.{}", step.name),
                    arguments: &step.arguments,
                    template: &step.template,
                    reference: step.template_ref.as_ref(),
                    inline: step.inline.as_deref(),
                    on_exit: &step.on_exit,
                    hooks: &step.hooks,
                    sequence: step.with_sequence.as_ref(),
                    loops: loops(&step.with_items, &step.with_param, step.with_sequence.as_ref()),
                };
                self.say_all(arguments::check(&format!("{}.", call.place), call.arguments, true));
                self.step_in(call.place.clone());
                let own = WorkflowStep { hooks: BTreeMap::new(), inline: None, ..step.clone() };
                let is_local = |name: &str| scope.has(name) || call.loops > 0 && is_item(name);
                self.check_tags(&is_local, &own, "");
                let target = self.follow(home, &call, is_exit);
                self.step_out();
                called.push((step.name.as_str(), target));
            }
            for (name, target) in called {
                match name.contains("{{") {
                    true => scope.add_prefix("steps."),
                    false => outputs::add_to_scope(scope, &format!("steps.{name}"), target.as_ref(), true),
                }
            }
        }
    }
}
