//! The difference of two revisions of an object, exact for every JSON value.
//!
//! A merge patch cannot set a member to `null`, so a delta has three parts, each left out when empty:
//! `=` members set, `-` members removed, `~` objects that changed inside.

use std::sync::Arc;

use crate::json::Json;
use crate::json_map::Map;

/// What turns `old` into `new`. Parts the two share are not looked at.
pub(super) fn difference(old: &Map, new: &Map) -> Json {
    let (mut set, mut inside, mut removed) = (Map::default(), Map::default(), Vec::new());
    old.differences(new, &mut |key, before, after| match (before, after) {
        (Some(Json::Object(before)), Some(Json::Object(after))) => {
            let change = difference(before, after);
            if change.as_map().is_some_and(|m| !m.is_empty()) {
                inside.insert(key, change);
            }
        }
        (Some(before), Some(after)) if before == after => {}
        (_, Some(after)) => set.insert(key, after.clone()),
        (_, None) => removed.push(Json::string(key)),
    });
    let mut delta = Json::object();
    if !set.is_empty() {
        delta.set(&["="], Json::Object(set));
    }
    if !removed.is_empty() {
        delta.set(&["-"], Json::Array(Arc::new(removed)));
    }
    if !inside.is_empty() {
        delta.set(&["~"], Json::Object(inside));
    }
    delta
}

/// Applies what [`difference`] made; `None` when the delta does not fit.
pub(super) fn apply(old: &mut Json, delta: &Json) -> Option<()> {
    let Json::Object(map) = old else { return None };
    for key in delta.get("-").and_then(Json::as_array).unwrap_or(&[]) {
        map.remove(key.as_str()?)?;
    }
    if let Some(set) = delta.get("=") {
        for (key, value) in set.as_map()?.iter() {
            map.insert(key, value.clone());
        }
    }
    if let Some(inside) = delta.get("~") {
        for (key, change) in inside.as_map()?.iter() {
            apply(map.get_mut(key)?, change)?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_delta_turns_the_old_into_the_new() {
        let many = |n: usize| -> Value {
            (0..n).map(|i| (format!("k{i:05}"), json!({"phase": i}))).collect::<serde_json::Map<_, _>>().into()
        };
        let cases = [
            (json!({}), json!({"a": null})),
            (json!({"a": null, "b": 1}), json!({"b": null})),
            (json!({"a": {"x": 1, "y": {"z": 1}}}), json!({"a": {"y": {"z": null}, "w": []}})),
            (json!({"a": {"x": 1}}), json!({"a": [1]})),
            (json!({"n": many(1000)}), json!({"n": many(300)})),
            (json!({"n": many(3)}), json!({"n": many(2000)})),
            (json!({"a": 1}), json!({"a": 1.0})),
        ];
        for (old, new) in cases {
            let (mut old, new) = (Json::from(old), Json::from(new));
            let (a, b) = (old.as_map().expect("a map"), new.as_map().expect("a map"));
            let delta = Json::parse(&difference(a, b).to_vec()).expect("readable");
            apply(&mut old, &delta).expect("fits");
            assert_eq!(old.to_value(), new.to_value());
        }
    }
}
