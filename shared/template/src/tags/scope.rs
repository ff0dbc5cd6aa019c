//! What tags can name.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use jiff::Timestamp;
use serde_json::Value as Json;

use crate::limits::{Allowance, Limits};

/// What a name stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry<'a> {
    /// Text, as nearly all variables are.
    Text(Cow<'a, str>),
    /// The output of a node that did not run and has no default: nil in expressions, an error in simple tags.
    Absent,
    /// Structured data; only expressions can use it.
    Json(Cow<'a, Json>),
    /// A moment; only expressions can use it.
    Time(Timestamp),
}

impl<'a> Entry<'a> {
    fn of_json(json: &'a Json) -> Self {
        match json {
            Json::Null => Entry::Absent,
            Json::String(text) => Entry::Text(Cow::Borrowed(text)),
            other => Entry::Json(Cow::Borrowed(other)),
        }
    }

    /// The value that expressions see.
    pub fn into_json(self) -> Json {
        match self {
            Entry::Text(text) => Json::String(text.into_owned()),
            Entry::Absent => Json::Null,
            Entry::Json(json) => json.into_owned(),
            Entry::Time(at) => crate::expr::time_json(at),
        }
    }
}

/// Variables by their flat dotted names (`inputs.parameters.message`).
pub trait Scope {
    /// The text of a variable.
    fn get(&self, name: &str) -> Option<Cow<'_, str>>;

    /// All names, in any order; used to build the environment of expressions.
    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_>;

    /// What a name stands for, text or not. Implement it when the scope holds more than text.
    fn entry(&self, name: &str) -> Option<Entry<'_>> {
        self.get(name).map(Entry::Text)
    }

    /// The names that are `root`, or have it and a dot in front; `root` may have dots itself. Implement it when that can be found without a look at every name.
    fn keys_under<'s>(&'s self, root: &'s str) -> Box<dyn Iterator<Item = &'s str> + 's> {
        Box::new(self.keys().filter(move |key| is_under(key, root)))
    }

    /// The answer of `now()` in expressions; `None` makes it an error.
    fn now(&self) -> Option<Timestamp> {
        None
    }

    /// What rendering a text, with the expressions in it, may use.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// What the expressions share with others; `None`: nothing.
    fn allowance(&self) -> Option<&Allowance> {
        None
    }
}

/// Is `root` the first part of `key`?
fn is_under(key: &str, root: &str) -> bool {
    key.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The names of a sorted map that have `root` as first part, in time that does not depend on the others.
fn range_under<'s, V>(map: &'s BTreeMap<String, V>, root: &str) -> Box<dyn Iterator<Item = &'s str> + 's> {
    // `/` is the character behind `.`.
    let (from, to) = (format!("{root}."), format!("{root}/"));
    let bounds = (Bound::Included(from.as_str()), Bound::Excluded(to.as_str()));
    let own = map.get_key_value(root).into_iter();
    Box::new(own.chain(map.range::<str, _>(bounds)).map(|(key, _)| key.as_str()))
}

impl Scope for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        BTreeMap::get(self, name).map(|text| Cow::Borrowed(text.as_str()))
    }

    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(BTreeMap::keys(self).map(String::as_str))
    }

    fn keys_under<'s>(&'s self, root: &'s str) -> Box<dyn Iterator<Item = &'s str> + 's> {
        range_under(self, root)
    }
}

impl Scope for HashMap<String, String> {
    fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        HashMap::get(self, name).map(|text| Cow::Borrowed(text.as_str()))
    }

    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(HashMap::keys(self).map(String::as_str))
    }
}

/// `None` is an absent output.
impl Scope for BTreeMap<String, Option<String>> {
    fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        BTreeMap::get(self, name)?.as_deref().map(Cow::Borrowed)
    }

    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(BTreeMap::keys(self).map(String::as_str))
    }

    fn entry(&self, name: &str) -> Option<Entry<'_>> {
        Some(match BTreeMap::get(self, name)? {
            Some(text) => Entry::Text(Cow::Borrowed(text)),
            None => Entry::Absent,
        })
    }

    fn keys_under<'s>(&'s self, root: &'s str) -> Box<dyn Iterator<Item = &'s str> + 's> {
        range_under(self, root)
    }
}

/// Null is an absent output; structured values are for expressions.
impl Scope for serde_json::Map<String, Json> {
    fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        serde_json::Map::get(self, name)?.as_str().map(Cow::Borrowed)
    }

    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(serde_json::Map::keys(self).map(String::as_str))
    }

    fn entry(&self, name: &str) -> Option<Entry<'_>> {
        serde_json::Map::get(self, name).map(Entry::of_json)
    }
}

/// Several scopes as one; the first that has a name wins.
#[derive(Default)]
pub struct Layered<'a> {
    layers: Vec<&'a dyn Scope>,
    now: Option<Timestamp>,
}

impl<'a> Layered<'a> {
    /// Joins the scopes, nearest first.
    pub fn new(layers: impl IntoIterator<Item = &'a dyn Scope>) -> Self {
        Layered { layers: layers.into_iter().collect(), now: None }
    }

    /// Gives expressions the time.
    pub fn with_now(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }

    /// Adds a scope behind the others.
    pub fn push(&mut self, layer: &'a dyn Scope) {
        self.layers.push(layer);
    }
}

impl Scope for Layered<'_> {
    fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.entry(name)? {
            Entry::Text(text) => Some(text),
            Entry::Absent | Entry::Json(_) | Entry::Time(_) => None,
        }
    }

    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(self.layers.iter().flat_map(|layer| layer.keys()))
    }

    fn entry(&self, name: &str) -> Option<Entry<'_>> {
        self.layers.iter().find_map(|layer| layer.entry(name))
    }

    fn keys_under<'s>(&'s self, root: &'s str) -> Box<dyn Iterator<Item = &'s str> + 's> {
        Box::new(self.layers.iter().flat_map(move |layer| layer.keys_under(root)))
    }

    fn now(&self) -> Option<Timestamp> {
        self.now.or_else(|| self.layers.iter().find_map(|layer| layer.now()))
    }

    /// Those of the farthest scope, which is the widest.
    fn limits(&self) -> Limits {
        self.layers.last().map(|layer| layer.limits()).unwrap_or_default()
    }

    fn allowance(&self) -> Option<&Allowance> {
        self.layers.last()?.allowance()
    }
}
