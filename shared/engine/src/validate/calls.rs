//! The walk: from call to call through steps and DAGs down to the templates that do work.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use argosy_api::v1alpha1::*;
use foldhash::fast::RandomState;

use super::{
    Problem, Templates, arguments, containers, inputs, kinds,
    known::{self, Given, Globals},
    metrics, outputs,
    scope::{self, Scope},
    target::{Called, Target},
};
use crate::tagged::mentions_tags;

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
    pub(super) globals: Globals,
    /// Templates are looked at for their own sake: who runs them may add parameters to the workflow.
    is_library: bool,
    /// Hooks are followed too, which a run finds out only when it comes to them.
    follows_hooks: bool,
    /// Arguments need no values yet.
    pub(super) are_arguments_open: bool,
    /// The workflow has artifacts whose names only the run knows.
    pub(super) are_artifacts_open: bool,
    path: Vec<String>,
    /// Templates that were looked at.
    seen: HashMap<Home, HashSet<String, RandomState>, RandomState>,
    found: HashMap<Home, HashMap<String, Option<Arc<Template>>, RandomState>, RandomState>,
    pub problems: Vec<Problem>,
}

/// What a step and a task have in common.
pub(super) struct Call<'a> {
    pub arguments: &'a Arguments,
    pub target: Target<'a>,
    pub on_exit: &'a str,
    pub hooks: &'a BTreeMap<String, LifecycleHook>,
    pub items: &'a [serde_json::Value],
    pub param: &'a str,
    pub sequence: Option<&'a Sequence>,
}

impl<'a> Walker<'a> {
    pub fn new(spec: &'a WorkflowSpec, templates: &'a dyn Templates, globals: Globals, is_library: bool) -> Self {
        Self {
            spec,
            templates,
            globals,
            is_library,
            follows_hooks: false,
            are_arguments_open: false,
            are_artifacts_open: false,
            path: Vec::new(),
            seen: HashMap::default(),
            found: HashMap::default(),
            problems: Vec::new(),
        }
    }

    pub fn follow_hooks(&mut self) {
        self.follows_hooks = true;
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

    /// Asks the spec that templates of a home stand in.
    fn ask<T>(&self, home: &Home, question: impl FnOnce(&WorkflowSpec) -> T) -> Option<T> {
        match home {
            Home::Local => Some(question(self.spec)),
            Home::Other { cluster, name } => self.templates.get(*cluster, name).map(|spec| question(&spec)),
        }
    }

    fn find(&mut self, home: &Home, name: &str) -> Option<Arc<Template>> {
        if let Some(found) = self.found.get(home).and_then(|found| found.get(name)) {
            return found.clone();
        }
        let named = |spec: &WorkflowSpec| spec.templates.iter().find(|t| t.name == name).cloned();
        let found = self.ask(home, named).flatten();
        self.found.entry(home.clone()).or_default().insert(name.to_owned(), found.clone());
        found
    }

    /// Looks at what is called, and at all that it calls. Each template is looked at once; whether its inputs have values
    /// is asked at every call.
    pub fn call(&mut self, home: &Home, target: &Target<'_>, given: Given<'_>) -> Called {
        if self.path.len() > DEPTH_MAX {
            return Called::Late;
        }
        match self.resolve(home, target) {
            Ok((home, template)) => {
                self.enter(&home, &template, given);
                Called::Template(template)
            }
            Err(called) => called,
        }
    }

    /// Looks once more at what was called, with its arguments.
    pub fn supply(&mut self, called: &Called, arguments: &Arguments) {
        if let Called::Template(template) = called {
            self.check_arguments(template, Given::Arguments(arguments), false);
        }
    }

    /// The template, and where it looks for others.
    fn resolve(&mut self, home: &Home, target: &Target<'_>) -> Result<(Home, Arc<Template>), Called> {
        let Target { template: name, reference, inline, is_settled } = *target;
        let missing = |walker: &mut Self, message: String| {
            walker.say(message);
            Err(Called::Missing)
        };
        if let Some(TemplateRef { name: other, template, .. }) = reference {
            let wrong = if !name.is_empty() {
                Some("template name cannot be specified with templateRef")
            } else if other.is_empty() {
                Some("resource name is required")
            } else {
                template.is_empty().then_some("template name is required")
            };
            if let Some(wrong) = wrong {
                return missing(self, wrong.to_owned());
            }
            if known::is_late(other) || known::is_late(template) {
                return Err(Called::Late);
            }
        } else if !name.is_empty() && self.find(home, name).is_none() {
            return missing(self, format!("template name '{name}' undefined"));
        }
        if let Some(inline) = inline {
            return Ok((home.clone(), Arc::new(inline.clone())));
        }
        let Some(TemplateRef { name: other, template, cluster_scope }) = reference else {
            return match self.find(home, name) {
                Some(found) => Ok((home.clone(), found)),
                None => missing(self, "failed to get a template".to_owned()),
            };
        };
        let there = Home::Other { cluster: *cluster_scope, name: other.clone() };
        match self.find(&there, template) {
            Some(found) => Ok((there, found)),
            None => {
                let why = match self.templates.get(*cluster_scope, other) {
                    Some(_) => "not found".to_owned(),
                    None if is_settled => return Err(Called::Late),
                    None => self.templates.why_missing(*cluster_scope, other),
                };
                missing(self, format!("template reference {other}.{template} {why}"))
            }
        }
    }

    fn enter(&mut self, home: &Home, template: &Template, given: Given<'_>) {
        let is_first = template.name.is_empty() || self.is_first_look(home, &template.name);
        let mut kind = None;
        if is_first {
            if let Some(policy) = inputs::unknown_policy(template) {
                self.say(format!("{policy} is not a valid RetryPolicy"));
            }
            kind = match kinds::kind(template) {
                Ok(kind) => Some(kind),
                Err(message) => return self.say(message),
            };
            self.say_all(inputs::check(template, kind.is_some_and(kinds::is_leaf)));
            self.say_all(containers::init_names(template));
        }
        self.check_arguments(template, given, is_first);
        if let Some(kind) = kind {
            self.body(home, template, given, kind);
        }
    }

    fn check_arguments(&mut self, template: &Template, given: Given<'_>, is_first: bool) {
        if let Given::Arguments(arguments) = given {
            let are_open = self.are_arguments_open && self.path.is_empty();
            for missing in arguments::missing(template, arguments, are_open) {
                self.say(format!("templates.{} {missing}", template.name));
            }
        }
        self.timeout("timeout", &template.timeout, template, given, is_first);
        self.timeout("pendingTimeout", &template.pending_timeout, template, given, is_first);
    }

    /// A timeout is for what runs, and has a unit.
    fn timeout(&mut self, field: &str, text: &str, template: &Template, given: Given<'_>, is_first: bool) {
        if text.is_empty() {
            return;
        }
        match kinds::kind(template) {
            Ok(kind) if !kinds::is_leaf(kind) => {
                if is_first {
                    self.say(format!("{kind} template doesn't support {field} field"));
                }
            }
            Ok(_) => {
                let timeout = known::settled(text, &self.globals, template, given);
                if timeout.parse::<i64>().is_ok() && (is_first || text.contains("{{")) {
                    self.say(format!("{} has invalid duration format in {field}", template.name));
                }
            }
            Err(_) => {}
        }
    }

    /// From now on the template has been looked at. Answers whether it had not been before.
    fn is_first_look(&mut self, home: &Home, name: &str) -> bool {
        if self.seen.get(home).is_some_and(|names| names.contains(name)) {
            return false;
        }
        self.seen.entry(home.clone()).or_default().insert(name.to_owned())
    }

    /// Looks at the templates of a home that nobody calls.
    pub fn walk_rest(&mut self, home: &Home) {
        let all = |spec: &WorkflowSpec| spec.templates.iter().map(|t| t.name.clone()).collect();
        let names: Vec<String> = self.ask(home, all).unwrap_or_default();
        for name in names {
            if let Some(template) = self.find(home, &name) {
                self.step_in(format!("templates.{name}"));
                self.enter(home, &template, Given::Anything);
                self.step_out();
            }
        }
    }

    fn body(&mut self, home: &Home, template: &Template, given: Given<'_>, kind: &'static str) {
        let place = format!("templates.{}", template.name);
        let mut scope = inputs::scope(template, kind);
        if let Some(dag) = &template.dag {
            self.not_for_composites(&place, template);
            self.dag(home, template, dag, &mut scope, given);
        } else if !template.steps.is_empty() {
            self.not_for_composites(&place, template);
            self.steps(home, template, &mut scope, given);
        } else {
            self.check_tags(&|name| scope.has(name), template, &format!("{place}: "));
            let has_image = self.ask(home, containers::default_images).unwrap_or_default();
            let settled = |text: &str| known::settled(text, &self.globals, template, given).into_owned();
            let problems = containers::check(template, has_image, &settled);
            self.say_all(problems);
        }
        self.say_all(outputs::names(template));
        if !kinds::is_leaf(kind) {
            self.check_tags(&|name| scope.has(name), &template.outputs, &format!("{place}.outputs "));
        }
        self.say_all(outputs::check(template, kind));
        self.say_all(inputs::location(&format!("{place}.archiveLocation"), template.archive_location.as_deref()));
        self.say_all(metrics::check(&place, template.metrics.as_deref()));
        self.say_all(containers::beyond_argo(template, kind));
    }

    fn not_for_composites(&mut self, place: &str, template: &Template) {
        if template.active_deadline_seconds.is_some() {
            self.say(format!("{place}.activeDeadlineSeconds is only valid for leaf templates"));
        }
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
        let is_open = |name: &str| {
            self.is_library && name.starts_with("workflow.parameters")
                || self.are_artifacts_open && name.starts_with("workflow.outputs.artifacts.")
        };
        let is_there = |name: &str| self.globals.contains_key(name) || is_local(name) || is_open(name);
        let mut lost = scope::unresolved(&text, &is_there);
        // By itself it is taken for plain text, and so it is at the run.
        if self.follows_hooks && !lost.is_empty() && !is_local("item") {
            lost.extend(scope::tags(&text).find(|tag| tag.trim() == "item"));
        }
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

    /// Learns what a template that is called gives the whole workflow.
    pub(super) fn learn_globals(&mut self, scope: &mut Scope, called: &Called) {
        if let Called::Template(template) = called {
            outputs::add_global(&mut self.globals, scope, template);
        }
    }

    /// Hooks, where they are followed.
    pub(super) fn hooks_of(&mut self, home: &Home, call: &Call<'_>) {
        if !self.follows_hooks {
            return;
        }
        let exit = (!call.on_exit.is_empty()).then_some((call.on_exit, None));
        let hooks = call.hooks.values().map(|hook| (hook.template.as_str(), hook.template_ref.as_ref()));
        for (template, reference) in exit.into_iter().chain(hooks) {
            self.call(home, &Target { template, reference, inline: None, is_settled: false }, Given::Anything);
        }
    }
}

impl Call<'_> {
    /// How many of the three loops are there.
    pub fn loops(&self) -> usize {
        usize::from(!self.items.is_empty()) + usize::from(!self.param.is_empty()) + usize::from(self.sequence.is_some())
    }

    /// The loop's outputs are lists, as far as Argo's validation goes: not those of a sequence.
    pub fn is_aggregate(&self) -> bool {
        !self.items.is_empty() || !self.param.is_empty()
    }

    pub fn has_exit_hook(&self) -> bool {
        !self.on_exit.is_empty() || self.hooks.contains_key("exit")
    }

    /// What is wrong with its loop.
    pub fn loop_problem(&self) -> Option<&'static str> {
        if self.loops() > 1 {
            return Some("only one of withItems, withParam, withSequence can be specified");
        }
        let both = self.sequence.is_some_and(|s| s.count.is_some() && s.end.is_some());
        both.then_some("only one of count or end can be defined in withSequence")
    }

    /// Whether its loop may have such a member: only that of objects that are written out can be told.
    pub fn has_item(&self, name: &str) -> bool {
        if name == "item" {
            return self.loops() > 0;
        }
        let Some(member) = name.strip_prefix("item.") else { return false };
        if self.items.is_empty() {
            return !self.param.is_empty();
        }
        let keys: BTreeSet<Cow<'_, str>> = self.items.iter().flat_map(members).collect();
        keys.contains(member)
    }
}

/// What follows `item.` for an item.
fn members(item: &serde_json::Value) -> Vec<Cow<'_, str>> {
    match item {
        serde_json::Value::Object(map) => map.keys().map(|key| Cow::Borrowed(key.as_str())).collect(),
        serde_json::Value::Array(list) => (0..list.len()).map(|index| Cow::Owned(format!("[{index}]"))).collect(),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => Vec::new(),
    }
}
