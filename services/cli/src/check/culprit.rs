//! The field that keeps an object from being read, where its reader does not say which.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Readings that are tried before the place found so far is told.
const TRIES_MAX: usize = 300;

/// The path of the smallest part of `value` without which it can be read as a `T`; empty where there is none.
///
/// Of several such parts it is the first that helps by itself; where only several together help, what holds them.
pub fn find<T: DeserializeOwned>(value: &Value, read: fn(Value) -> Result<T, serde_json::Error>) -> String {
    let (mut way, mut path, mut left) = (Vec::new(), String::new(), TRIES_MAX);
    loop {
        let Some((pointer, step)) = parts(value, &way).into_iter().find(|(pointer, _)| {
            left = left.saturating_sub(1);
            left > 0 && read(without(value, pointer)).is_ok()
        }) else {
            return path;
        };
        path.push_str(&step);
        path = path.trim_start_matches('.').to_owned();
        way = pointer;
    }
}

/// The parts of what is at `way`: the way to each, and what its path has behind that of the whole.
fn parts(value: &Value, way: &[Key]) -> Vec<(Vec<Key>, String)> {
    let below = |key: Key| way.iter().cloned().chain([key]).collect::<Vec<_>>();
    match way.iter().try_fold(value, |value, key| key.of(value)) {
        Some(Value::Object(members)) => {
            members.keys().map(|key| (below(Key::Member(key.clone())), format!(".{key}"))).collect()
        }
        Some(Value::Array(items)) => {
            (0..items.len()).map(|index| (below(Key::Item(index)), format!("[{index}]"))).collect()
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => Vec::new(),
    }
}

#[derive(Clone)]
enum Key {
    Member(String),
    Item(usize),
}

impl Key {
    fn of<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        match self {
            Self::Member(key) => value.get(key),
            Self::Item(index) => value.get(index),
        }
    }
}

/// `value` without what is at `way`.
fn without(value: &Value, way: &[Key]) -> Value {
    let mut copy = value.clone();
    let Some((last, holder)) = way.split_last() else { return copy };
    let inner = holder.iter().try_fold(&mut copy, |value, key| match key {
        Key::Member(key) => value.get_mut(key),
        Key::Item(index) => value.get_mut(index),
    });
    match (inner, last) {
        (Some(Value::Object(members)), Key::Member(key)) => _ = members.remove(key),
        (Some(Value::Array(items)), Key::Item(index)) if *index < items.len() => _ = items.remove(*index),
        _ => {}
    }
    copy
}

#[cfg(test)]
mod tests {
    use argosy_api::v1alpha1::{self as v1, Workflow};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_smallest_part_is_found() {
        let find = |value: Value| find::<Workflow>(&value, v1::from_value);
        let step = json!({ "name": "a", "withItems": "[1,2]" });
        let spec = json!({ "templates": [{ "name": "t" }, { "name": "m", "steps": [[{ "name": "z" }, step]] }] });
        assert_eq!(find(json!({ "metadata": {}, "spec": spec })), "spec.templates[1].steps[0][1].withItems");
        assert_eq!(find(json!({ "spec": { "templates": 5 } })), "spec.templates");
        assert_eq!(find(json!({ "metadata": 1, "spec": 2 })), "", "only both together help");
    }
}
