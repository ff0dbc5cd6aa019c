//! JSON merge patches (RFC 7396): how they are made. `json_patch::merge` applies them.

use serde_json::{Map, Value};

/// The merge patch that makes `new` of `old`; `None` when they are equal. Null members of `new` count as absent.
pub fn diff(old: &Value, new: &Value) -> Option<Value> {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let mut patch = Map::new();
            for name in old.keys().filter(|name| new.get(*name).is_none_or(Value::is_null)) {
                patch.insert(name.clone(), Value::Null);
            }
            for (name, value) in new.iter().filter(|(_, value)| !value.is_null()) {
                match old.get(name) {
                    None => _ = patch.insert(name.clone(), value.clone()),
                    Some(before) => {
                        if let Some(change) = diff(before, value) {
                            patch.insert(name.clone(), change);
                        }
                    }
                }
            }
            (!patch.is_empty()).then_some(Value::Object(patch))
        }
        _ => (old != new).then(|| new.clone()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_diff_merged_into_the_old_gives_the_new() {
        let cases = [
            (json!({"a": 1, "b": {"c": 2, "d": 3}}), json!({"a": 1, "b": {"c": 4}, "e": [1, {"f": null}]})),
            (json!({}), json!({"a": {"b": {}}})),
            (json!({"a": {"x": 1}}), json!({"a": [1]})),
            (json!({"a": [1]}), json!({"a": {"x": 1}})),
            (json!({"a": "x", "b": "y"}), json!({})),
        ];
        for (old, new) in cases {
            let patch = diff(&old, &new).expect("they differ");
            let mut merged = old.clone();
            json_patch::merge(&mut merged, &patch);
            assert_eq!(merged, new, "{old} {patch}");
            assert_eq!(diff(&new, &new), None);
        }
        assert_eq!(
            diff(&json!({"a": 1, "b": {"c": 2}}), &json!({"a": 1, "b": {"c": 3}})),
            Some(json!({"b": {"c": 3}}))
        );
    }
}
