//! What an expression can name.

use jiff::Timestamp;
use serde_json::Value as Json;

use super::functions;
use crate::limits::{Allowance, Limits};

/// The environment of one evaluation: the variables, whether Argo's functions are there, and the time.
#[derive(Debug, Clone, Copy)]
pub struct Env<'a> {
    pub(crate) vars: &'a Json,
    pub(crate) functions: bool,
    pub(crate) now: Option<Timestamp>,
    pub(crate) limits: Limits,
    pub(crate) allowance: Option<&'a Allowance>,
}

impl<'a> Env<'a> {
    /// Only variables: the members of `vars`, which is an object (anything else counts as empty).
    pub fn new(vars: &'a Json) -> Self {
        Env { vars, functions: false, now: None, limits: Limits::default(), allowance: None }
    }

    /// Adds Argo's functions: `asInt`, `asFloat`, `jsonpath`, `toJson`, `sprig`.
    pub fn with_functions(mut self) -> Self {
        self.functions = true;
        self
    }

    /// The answer of `now()`; without it `now()` is an error, as this crate has no clock.
    pub fn with_now(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }

    /// What the evaluation may use; otherwise the default.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What it shares with others.
    pub fn with_allowance(mut self, allowance: &'a Allowance) -> Self {
        self.allowance = Some(allowance);
        self
    }

    /// Argo's functions win over variables of the same name.
    pub(crate) fn is_function_name(&self, name: &str) -> bool {
        self.functions && functions::is_root(name)
    }

    pub(crate) fn var(&self, name: &str) -> Option<&'a Json> {
        self.vars.as_object()?.get(name)
    }

    /// Is there a variable or function at this dotted path?
    pub(crate) fn has_path(&self, path: &[&str]) -> bool {
        if let Some(root) = path.first()
            && self.is_function_name(root)
        {
            return functions::exists(&path.join("."));
        }
        has_path(self.vars, path)
    }
}

fn has_path(json: &Json, path: &[&str]) -> bool {
    let mut at = json;
    for name in path {
        match at.as_object().and_then(|map| map.get(*name)) {
            Some(next) => at = next,
            None => return false,
        }
    }
    !path.is_empty()
}

/// Is there a variable at the dotted path `name`?
/// Source: Argo util/template `hasVarInEnv`.
pub fn has_variable(name: &str, vars: &Json) -> bool {
    has_path(vars, &name.split('.').collect::<Vec<_>>())
}

/// Nests flat dotted keys: `{"a.b": 1}` becomes `{"a": {"b": 1}}`. A key that is also the parent of other keys loses
/// its own value.
/// Source: Argo util/expand.
pub fn expand<'k>(flat: impl IntoIterator<Item = (&'k str, Json)>) -> Json {
    let mut root = serde_json::Map::new();
    let mut entries: Vec<(&str, Json)> = flat.into_iter().collect();
    entries.sort_by(|a, b| a.0.cmp(b.0));
    for (key, value) in &entries {
        let parent = format!("{key}.");
        let child = entries.partition_point(|(other, _)| *other < parent.as_str());
        if entries.get(child).is_some_and(|(other, _)| other.starts_with(&parent)) {
            continue;
        }
        let mut at = &mut root;
        let mut parts = key.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                at.insert(part.to_owned(), value.clone());
                break;
            }
            let slot = at.entry(part).or_insert(Json::Null);
            if !slot.is_object() {
                *slot = Json::Object(serde_json::Map::new());
            }
            let Some(next) = slot.as_object_mut() else {
                break;
            };
            at = next;
        }
    }
    Json::Object(root)
}
