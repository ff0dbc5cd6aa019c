//! The `jsonpath()` function: one value for a path that names one place, a list for any other.
//!
//! Source: github.com/evilmonkeyinc/jsonpath, which Argo uses, by its answers; it predates RFC 9535. A step with many
//! results applies the rest of the path to each and collects what that gives, so lists nest; `..` joins them.
//! Differs: none known.

mod filter;
mod parse;

use serde_json::Value as Json;

use super::{budget::Budget, error::Fail};

/// Limit of brackets within brackets of a path.
const NESTING_MAX: usize = 64;

/// One step of a path.
#[derive(Debug, Clone)]
enum Step {
    Key(String),
    Index(i64),
    Wildcard,
    Recursive,
    Range {
        from: Option<i64>,
        to: Option<i64>,
        by: Option<i64>,
    },
    Keys(Vec<String>),
    Indexes(Vec<i64>),
    /// `[?(…)]`; an expression that cannot be read holds for nothing.
    Filter(Option<filter::Expr>),
    /// `[(…)]`
    Script(filter::Expr),
}

/// Looks `path` up in `json`. Errors: a bad path, or a definite path that leads nowhere; a query that takes too much.
pub(crate) fn query(json: &Json, path: &str, budget: &Budget<'_>) -> Result<Json, Fail> {
    let found = look_up(json, path, budget);
    if budget.is_spent() {
        // Whatever hid it: asking again says which limit it was.
        budget.steps(1)?;
    }
    found.map_err(Fail::run)
}

fn look_up(json: &Json, path: &str, budget: &Budget<'_>) -> Result<Json, String> {
    if is_nested_too_deeply(path) {
        return Err(format!("invalid JSONPath selector: brackets nested deeper than {NESTING_MAX} levels"));
    }
    let steps = parse::steps(path).map_err(|why| format!("invalid JSONPath selector '{path}' {why}"))?;
    if json.is_null() {
        return Err("invalid data. unexpected type or nil".into());
    }
    Query { root: json, budget }.apply(json, &steps)
}

/// Brackets count wherever they stand, in quotes too: no path that anyone writes has as many.
fn is_nested_too_deeply(path: &str) -> bool {
    let mut depth = 0usize;
    path.bytes().any(|byte| {
        match byte {
            b'[' | b'(' => depth += 1,
            b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > NESTING_MAX
    })
}

#[derive(Clone, Copy)]
struct Query<'a> {
    root: &'a Json,
    budget: &'a Budget<'a>,
}

impl Query<'_> {
    fn apply(self, at: &Json, steps: &[Step]) -> Result<Json, String> {
        self.budget.steps(1).map_err(|fail| fail.message)?;
        let Some((step, rest)) = steps.split_first() else {
            self.budget.copied(at).map_err(|fail| fail.message)?;
            return Ok(at.clone());
        };
        match step {
            Step::Key(name) => self.apply(key(at, name)?.as_ref(), rest),
            Step::Index(index) => self.apply(element(at, *index)?, rest),
            Step::Wildcard => Ok(self.each(children(at, "wildcard")?, rest)),
            Step::Recursive => {
                let mut found = Vec::new();
                self.descend(at, rest, &mut found);
                Ok(Json::Array(found))
            }
            Step::Range { from, to, by } => {
                let items = array(at, "range")?;
                self.picked(range(items, *from, *to, by.unwrap_or(1))?, rest)
            }
            Step::Keys(names) => {
                let map = at.as_object().ok_or_else(|| wrong("union", "map", at))?;
                self.picked(names.iter().filter_map(|name| map.get(name)).collect(), rest)
            }
            Step::Indexes(indexes) => {
                array(at, "union")?;
                self.picked(indexes.iter().filter_map(|i| element(at, *i).ok()).collect(), rest)
            }
            Step::Filter(test) => {
                let holds = |item: &&Json| test.as_ref().is_some_and(|test| test.holds(self, item));
                self.picked(children(at, "filter")?.into_iter().filter(holds).collect(), rest)
            }
            Step::Script(script) => match script.value(self, at) {
                Some(Json::Number(n)) => {
                    let index = n.as_f64().unwrap_or_default() as i64;
                    self.apply(element(at, index)?, rest)
                }
                Some(Json::String(name)) => self.apply(key(at, &name)?.as_ref(), rest),
                _ => Err("script: invalid token result. expected [int string]".into()),
            },
        }
    }

    /// Like [`Query::each`], but an index behind a range, union or filter picks from what they found.
    fn picked(self, items: Vec<&Json>, rest: &[Step]) -> Result<Json, String> {
        match rest.split_first() {
            Some((Step::Index(index), rest)) => {
                items.iter().try_for_each(|item| self.budget.copied(item)).map_err(|fail| fail.message)?;
                let items = Json::Array(items.into_iter().cloned().collect());
                self.apply(element(&items, *index)?, rest)
            }
            _ => Ok(self.each(items, rest)),
        }
    }

    /// The rest of the path for each item; those it fails for are left out.
    fn each(self, items: Vec<&Json>, rest: &[Step]) -> Json {
        Json::Array(items.into_iter().filter_map(|item| self.apply(item, rest).ok()).collect())
    }

    /// The rest of the path for a value and everything in it; lists are joined.
    fn descend(self, at: &Json, rest: &[Step], found: &mut Vec<Json>) {
        match self.apply(at, rest) {
            Ok(Json::Array(items)) if !rest.is_empty() => found.extend(items),
            Ok(value) => found.push(value),
            Err(_) => {}
        }
        match at {
            Json::Array(items) => items.iter().for_each(|item| self.descend(item, rest, found)),
            Json::Object(map) => map.values().for_each(|item| self.descend(item, rest, found)),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }
}

fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "nil",
        Json::Bool(_) => "bool",
        Json::Number(_) => "float64",
        Json::String(_) => "string",
        Json::Array(_) => "slice",
        Json::Object(_) => "map",
    }
}

fn wrong(step: &str, wanted: &str, got: &Json) -> String {
    format!("{step}: invalid token target. expected [{wanted}] got [{}]", kind(got))
}

fn array<'j>(at: &'j Json, step: &str) -> Result<&'j Vec<Json>, String> {
    at.as_array().ok_or_else(|| wrong(step, "array slice", at))
}

fn children<'j>(at: &'j Json, step: &str) -> Result<Vec<&'j Json>, String> {
    match at {
        Json::Array(items) => Ok(items.iter().collect()),
        Json::Object(map) => Ok(map.values().collect()),
        _ => Err(wrong(step, "array map slice", at)),
    }
}

/// A member, or the `length` of what has one.
fn key<'j>(at: &'j Json, name: &str) -> Result<std::borrow::Cow<'j, Json>, String> {
    use std::borrow::Cow;
    let length = match at {
        Json::Array(items) => Some(items.len()),
        Json::Object(map) => Some(map.len()),
        Json::String(text) => Some(text.len()),
        _ => None,
    };
    match (at.as_object().and_then(|map| map.get(name)), name, length) {
        (Some(found), ..) => Ok(Cow::Borrowed(found)),
        (None, "length", Some(n)) => Ok(Cow::Owned(Json::from(n))),
        (None, "length", None) => Err(wrong("length", "array map slice string", at)),
        (None, ..) if at.is_object() => Err(format!("key: invalid token key '{name}' not found")),
        (None, ..) => Err(wrong("key", "map", at)),
    }
}

fn element(at: &Json, index: i64) -> Result<&Json, String> {
    let items = array(at, "index")?;
    let place = if index < 0 { index.saturating_add(items.len() as i64) } else { index };
    let found = usize::try_from(place).ok().and_then(|place| items.get(place));
    found.ok_or_else(|| "index: invalid token out of range".into())
}

/// Items from one place to before another; a negative step takes them backwards.
fn range(items: &[Json], from: Option<i64>, to: Option<i64>, by: i64) -> Result<Vec<&Json>, String> {
    let len = items.len() as i64;
    let place = |n: i64| if n < 0 { n.saturating_add(len).max(0) } else { n.min(len) } as usize;
    let (from, to) = (place(from.unwrap_or(0)), place(to.unwrap_or(len)));
    let part = items.get(from..to).unwrap_or_default();
    let step = usize::try_from(by.unsigned_abs()).unwrap_or(usize::MAX);
    match by {
        0 => Err("range: invalid token out of range".into()),
        by if by > 0 => Ok(part.iter().step_by(step).collect()),
        _ => Ok(part.iter().rev().step_by(step).collect()),
    }
}
