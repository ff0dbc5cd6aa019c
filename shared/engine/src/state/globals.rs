//! The variables `workflow.*`.

use std::{borrow::Cow, collections::BTreeMap};

use argosy_template::{Limits, Scope, expr::Env, limits::Allowance};
use jiff::Timestamp;
use serde_json::Value;

/// The variables `workflow.*`, but those that depend on a node; the moment that expressions take for now; and what they may
/// use. Moment and allowance are those of the event in hand, so that a replay gives the same.
#[derive(Debug, Default)]
pub(crate) struct Globals {
    values: BTreeMap<String, String>,
    now: Timestamp,
    /// What one evaluation may use.
    limits: Limits,
    /// What all evaluations of the event in hand may use together.
    allowance: Allowance,
}

impl Globals {
    /// No variables yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// The value of a variable, by its whole name.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// `name` without the `workflow.` in front.
    pub fn set(&mut self, name: &str, value: String) {
        self.values.insert(format!("workflow.{name}"), value);
    }

    /// Sets the variable where it has no value yet.
    pub fn set_default(&mut self, name: &str, value: impl FnOnce() -> String) {
        BTreeMap::entry(&mut self.values, format!("workflow.{name}")).or_insert_with(value);
    }

    /// More variables, by their whole names.
    pub fn extend(&mut self, values: impl IntoIterator<Item = (String, String)>) {
        self.values.extend(values);
    }

    /// All variables anew, by their whole names.
    pub fn replace(&mut self, values: BTreeMap<String, String>) {
        self.values = values;
    }

    pub fn set_now(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// With Argo's functions, and what the event in hand may use.
    pub fn env<'a>(&'a self, environment: &'a Value) -> Env<'a> {
        Env::new(environment)
            .with_functions()
            .with_now(self.now)
            .with_limits(self.limits)
            .with_allowance(&self.allowance)
    }

    /// A new event is taken in hand, whose evaluations may take so many steps together.
    pub fn allow(&mut self, steps: u64) {
        self.allowance = Allowance::new(steps);
    }

    /// The evaluations of the event in hand have taken more than they may.
    pub fn is_used_up(&self) -> bool {
        self.allowance.is_exceeded()
    }
}

impl Scope for Globals {
    fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        Scope::get(&self.values, name)
    }

    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Scope::keys(&self.values)
    }

    fn keys_under<'s>(&'s self, root: &'s str) -> Box<dyn Iterator<Item = &'s str> + 's> {
        self.values.keys_under(root)
    }

    fn now(&self) -> Option<Timestamp> {
        Some(self.now)
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn allowance(&self) -> Option<&Allowance> {
        Some(&self.allowance)
    }
}
