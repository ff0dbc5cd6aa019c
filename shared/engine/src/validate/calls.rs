//! The walk: from call to call through steps and DAGs down to the templates that do work.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use argosy_api::v1alpha1::*;
use foldhash::fast::RandomState;

use super::{
    Problem, Templates, arguments, containers, kinds, metrics, names, outputs,
    scope::{self, Scope},
};
use crate::{ops::merge, tagged::mentions_tags};

/// Calls inside each other that are followed; deeper ones are left to the engine's own limit.
const DEPTH_MAX: usize = 200;

/// Where plain template names are looked up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Home {
    Local,
    Other { cluster: bool, name: String },
}

pub(super) struct Walker<'a> {
    spec: &'a WorkflowSpec,
    templates: &'a dyn Templates,
    globals: Scope,
    /// Arguments of the workflow need no values.
    is_lenient: bool,
    /// Nothing calls the entry point yet, so that its inputs may lack arguments.
    is_library: bool,
    path: Vec<String>,
    /// Templates that were looked at, each as called by an exit handler or not.
    seen: HashMap<Home, HashSet<String, RandomState>, RandomState>,
    seen_on_exit: HashMap<Home, HashSet<String, RandomState>, RandomState>,
    refs_seen: BTreeSet<(bool, String)>,
    /// Templates found, with the defaults under them.
    found: HashMap<Home, HashMap<String, Option<Arc<Template>>, RandomState>, RandomState>,
    pub problems: Vec<Problem>,
}

/// What a step and a task have in common.
pub(super) struct Call<'a> {
    pub arguments: &'a Arguments,
    pub template: &'a str,
    pub reference: Option<&'a TemplateRef>,
    pub inline: Option<&'a Template>,
    pub on_exit: &'a str,
    pub hooks: &'a BTreeMap<String, LifecycleHook>,
    pub sequence: Option<&'a Sequence>,
    pub loops: usize,
}

impl<'a> Walker<'a> {
    pub fn new(
        spec: &'a WorkflowSpec,
        templates: &'a dyn Templates,
        globals: Scope,
        is_lenient: bool,
        is_library: bool,
    ) -> Self {
        let mut walker = Self {
            spec,
            templates,
            globals,
            is_lenient,
            is_library,
            path: Vec::new(),
            seen: HashMap::default(),
            seen_on_exit: HashMap::default(),
            refs_seen: BTreeSet::new(),
            found: HashMap::default(),
            problems: Vec::new(),
        };
        for template in &spec.templates {
            outputs::add_global(&mut walker.globals, template);
        }
        walker
    }

    /// What is said from here on happens inside `place`.
    pub fn step_in(&mut self, place: String) {
        self.path.push(place);
    }

    pub fn step_out(&mut self) {
        self.path.pop();
    }

    pub fn say(&mut self, message: String) {
        let path = self.path.join(" ");
        let message = if path.is_empty() { message } else { format!("{path} {message}") };
        self.problems.push(Problem { path, message });
    }

    pub fn say_all(&mut self, messages: Vec<String>) {
        messages.into_iter().for_each(|message| self.say(message));
    }

    fn find(&mut self, home: &Home, name: &str) -> Option<Arc<Template>> {
        if let Some(found) = self.found.get(home).and_then(|found| found.get(name)) {
            return found.clone();
        }
        let other;
        let spec = match home {
            Home::Local => Some(self.spec),
            Home::Other { cluster, name } => {
                other = self.templates.get(*cluster, name);
                other.as_deref()
            }
        };
        let template = spec.and_then(|spec| spec.templates.iter().find(|t| t.name == name));
        let found = template.map(|template| self.with_defaults(template));
        self.found.entry(home.clone()).or_default().insert(name.to_owned(), found.clone());
        found
    }

    fn with_defaults(&self, template: &Arc<Template>) -> Arc<Template> {
        let defaults = self.spec.template_defaults.as_ref();
        let merged = defaults.and_then(|d| merge::template_defaults(d, template).ok());
        merged.map_or_else(|| template.clone(), Arc::new)
    }

    /// Follows a call by name. The answer is the template called, unless only the run will know it or it is missing.
    pub fn call_named(
        &mut self,
        home: &Home,
        name: &str,
        arguments: &Arguments,
        is_exit: bool,
    ) -> Option<Arc<Template>> {
        self.call(home, name, None, None, arguments, is_exit)
    }

    pub fn call(
        &mut self,
        home: &Home,
        name: &str,
        reference: Option<&TemplateRef>,
        inline: Option<&Template>,
        arguments: &Arguments,
        is_exit: bool,
    ) -> Option<Arc<Template>> {
        if self.path.len() > DEPTH_MAX {
            return None;
        }
        if let Some(inline) = inline {
            let template = self.with_defaults(&Arc::new(inline.clone()));
            self.enter(home, &template, arguments, is_exit);
            return Some(template);
        }
        let Some(reference) = reference else {
            if name.contains("{{") {
                return None;
            }
            let Some(template) = self.find(home, name) else {
                self.say(format!("template name '{name}' undefined"));
                return None;
            };
            self.enter(home, &template, arguments, is_exit);
            return Some(template);
        };
        if reference.name.contains("{{") || reference.template.contains("{{") {
            self.globals.add_prefix("workflow.outputs.");
            return None;
        }
        self.learn_globals(reference);
        let home = Home::Other { cluster: reference.cluster_scope, name: reference.name.clone() };
        let Some(template) = self.find(&home, &reference.template) else {
            let TemplateRef { name, template, cluster_scope } = reference;
            let why = match self.templates.get(*cluster_scope, name) {
                Some(_) => "not found".to_owned(),
                None => self.templates.why_missing(*cluster_scope, name),
            };
            self.say(format!("template reference {name}.{template} {why}"));
            return None;
        };
        self.enter(&home, &template, arguments, is_exit);
        Some(template)
    }

    /// Learns what the templates beside a referenced one give the whole workflow.
    fn learn_globals(&mut self, reference: &TemplateRef) {
        if !self.refs_seen.insert((reference.cluster_scope, reference.name.clone())) {
            return;
        }
        let spec: Option<Arc<WorkflowSpec>> = self.templates.get(reference.cluster_scope, &reference.name);
        for template in spec.iter().flat_map(|s| &s.templates) {
            outputs::add_global(&mut self.globals, template);
        }
    }

    fn enter(&mut self, home: &Home, template: &Template, arguments: &Arguments, is_exit: bool) {
        let is_entry = self.path.is_empty();
        let is_lenient = self.is_lenient && is_entry;
        let inputs_are_open = self.is_library && is_entry;
        for missing in arguments::missing(template, arguments, is_lenient).into_iter().filter(|_| !inputs_are_open) {
            self.say(format!("templates.{} {missing}", template.name));
        }
        if template.name.is_empty() || self.is_first_look(home, &template.name, is_exit) {
            self.body(home, template, is_exit);
        }
    }

    fn has_seen(&self, home: &Home, name: &str, is_exit: bool) -> bool {
        let seen = if is_exit { &self.seen_on_exit } else { &self.seen };
        seen.get(home).is_some_and(|names| names.contains(name))
    }

    /// From now on the template has been looked at. Answers whether it had not been before.
    fn is_first_look(&mut self, home: &Home, name: &str, is_exit: bool) -> bool {
        if self.has_seen(home, name, is_exit) {
            return false;
        }
        let seen = if is_exit { &mut self.seen_on_exit } else { &mut self.seen };
        seen.entry(home.clone()).or_default().insert(name.to_owned())
    }

    /// Looks at the local templates that nobody calls. They may be meant for exit handlers.
    pub fn walk_rest(&mut self) {
        let spec = self.spec;
        for template in &spec.templates {
            let called = |exit| self.has_seen(&Home::Local, &template.name, exit);
            if !called(false) && !called(true) {
                let template = self.with_defaults(template);
                self.is_first_look(&Home::Local, &template.name, true);
                self.body(&Home::Local, &template, true);
            }
        }
    }

    fn body(&mut self, home: &Home, template: &Template, is_exit: bool) {
        let kind = match kinds::kind(template) {
            Ok(kind) => kind,
            Err(message) => return self.say(message),
        };
        let place = format!("templates.{}", template.name);
        let parameters = template.inputs.parameters.iter().map(|p| p.name.as_str());
        self.say_all(names::list(&format!("{place}.inputs.parameters"), parameters, false));
        let artifacts = template.inputs.artifacts.iter().map(|a| a.name.as_str());
        self.say_all(names::list(&format!("{place}.inputs.artifacts"), artifacts, false));

        let mut scope = inputs_scope(template);
        if is_exit {
            scope.add("workflow.failures");
        }
        if let Some(dag) = &template.dag {
            self.dag(home, template, dag, &mut scope, is_exit);
        } else if !template.steps.is_empty() {
            self.steps(home, template, &mut scope, is_exit);
        } else {
            leaf_scope(template, &mut scope);
            self.check_tags(&|name| scope.has(name), template, &format!("{place}: "));
        }
        if matches!(kind, "Steps" | "DAG") {
            self.check_tags(&|name| scope.has(name), &template.outputs, &format!("{place}.outputs "));
        }
        self.say_all(containers::check(template, kind));
        self.say_all(outputs::check(template, kind));
        self.say_all(metrics::check(&place, template.metrics.as_deref()));
    }

    /// Reports the variables in `value` that are neither global nor, by `is_local`, there; false where one is.
    pub(super) fn check_tags<T: serde::Serialize>(
        &mut self,
        is_local: &dyn Fn(&str) -> bool,
        value: &T,
        prefix: &str,
    ) -> bool {
        if !mentions_tags(value) {
            return true;
        }
        let text = serde_json::to_string(value).expect("API types are written as JSON");
        let is_there = |name: &str| self.globals.has(name) || is_local(name);
        let lost = scope::unresolved(&text, &is_there);
        for tag in &lost {
            self.say(format!("{prefix}failed to resolve {{{{{tag}}}}}"));
        }
        lost.is_empty()
    }

    /// A hook other than `exit` fires when its expression holds, so it needs one. `place` is what the hooks belong to.
    pub(super) fn check_hooks(&mut self, place: &str, hooks: &BTreeMap<String, LifecycleHook>) {
        for (key, _) in hooks.iter().filter(|(key, hook)| *key != "exit" && hook.expression.is_empty()) {
            self.say(format!("{place}.{key} Expression required"));
        }
    }

    /// Follows a step or task and its hooks.
    pub(super) fn follow(&mut self, home: &Home, call: &Call<'_>, is_exit: bool) -> Option<Arc<Template>> {
        if call.loops > 1 {
            self.say("only one of withItems, withParam or withSequence can be specified".to_owned());
        }
        if let Some(sequence) = call.sequence {
            match (&sequence.count, &sequence.end) {
                (Some(_), Some(_)) => self.say("only one of count or end can be defined in withSequence".to_owned()),
                (None, None) => self.say("must have count or end in withSequence".to_owned()),
                _ => {}
            }
        }
        let target = self.call(home, call.template, call.reference, call.inline, call.arguments, is_exit);
        if !call.on_exit.is_empty() {
            self.call_named(home, call.on_exit, &Arguments::default(), true);
        }
        for hook in call.hooks.values() {
            self.call(home, &hook.template, hook.template_ref.as_ref(), None, &hook.arguments, true);
        }
        target
    }
}

/// How many of the three loops are there.
pub(super) fn loops(items: &[serde_json::Value], param: &str, sequence: Option<&Sequence>) -> usize {
    usize::from(!items.is_empty()) + usize::from(!param.is_empty()) + usize::from(sequence.is_some())
}

/// A variable of the loop.
pub(super) fn is_item(name: &str) -> bool {
    name == "item" || name.starts_with("item.")
}

fn inputs_scope(template: &Template) -> Scope {
    let mut scope = Scope::default();
    scope.add("inputs.parameters");
    scope.add("steps.name");
    scope.add("tasks.name");
    for parameter in &template.inputs.parameters {
        scope.add(format!("inputs.parameters.{}", parameter.name));
    }
    for artifact in &template.inputs.artifacts {
        scope.add(format!("inputs.artifacts.{}", artifact.name));
        scope.add(format!("inputs.artifacts.{}.path", artifact.name));
    }
    scope
}

fn leaf_scope(template: &Template, scope: &mut Scope) {
    scope.add("pod.name");
    scope.add("outputs.result");
    scope.add("outputs.exitCode");
    for (kind, name) in template
        .outputs
        .parameters
        .iter()
        .map(|p| ("parameters", &p.name))
        .chain(template.outputs.artifacts.iter().map(|a| ("artifacts", &a.name)))
    {
        scope.add(format!("outputs.{kind}.{name}"));
        scope.add(format!("outputs.{kind}.{name}.path"));
    }
}
