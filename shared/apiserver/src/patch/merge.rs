//! JSON merge patch, RFC 7386.

use crate::json::Json;

/// `base` with `patch` merged in; what the patch does not name is shared with `base`.
pub(super) fn merged(base: &Json, patch: &Json) -> Json {
    let Some(changes) = patch.as_map() else {
        return patch.clone();
    };
    let mut out = match base {
        Json::Object(_) => base.clone(),
        _ => Json::object(),
    };
    let map = out.map_mut();
    for (key, change) in changes.iter() {
        match (change, map.get(key)) {
            (Json::Null, _) => {
                map.remove(key);
            }
            (Json::Object(_), old) => {
                let value = merged(old.unwrap_or(&Json::Null), change);
                map.insert(key, value);
            }
            (value, old) => {
                if old != Some(value) {
                    map.insert(key, value.clone());
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rfc_7386_cases_hold() {
        for (base, patch, want) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            assert_eq!(merged(&base.into(), &patch.into()).to_value(), want);
        }
    }
}
