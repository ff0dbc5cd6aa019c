//! Dictionaries. Sprig changes them in place; here a changed one is returned, which is what expressions can see.

use std::collections::BTreeMap;

use super::super::error::Fail;
use super::super::value::Value;
use super::{Answer, types};

type Dict = BTreeMap<String, Value>;

pub(super) fn call(name: &str, args: &[Value]) -> Answer {
    use Value::{Map, Str};
    Some(Ok(match (name, args) {
        ("dict", items) => {
            let pair = |pair: &[Value]| (pair[0].display(), pair.get(1).cloned().unwrap_or_else(|| Value::str("")));
            Value::map(items.chunks(2).map(pair).collect())
        }
        ("get", [Map(map), Str(key)]) => map.get(key.as_ref()).cloned().unwrap_or_else(|| Value::str("")),
        ("set", [Map(map), Str(key), value]) => {
            let mut map: Dict = map.as_ref().clone();
            map.insert(key.to_string(), value.clone());
            Value::map(map)
        }
        ("unset", [Map(map), Str(key)]) => {
            let mut map: Dict = map.as_ref().clone();
            map.remove(key.as_ref());
            Value::map(map)
        }
        ("hasKey", [Map(map), Str(key)]) => Value::Bool(map.contains_key(key.as_ref())),
        ("pluck", [Str(key), maps @ ..]) => {
            let found = maps.iter().filter_map(|m| match m {
                Map(map) => map.get(key.as_ref()).cloned(),
                _ => None,
            });
            Value::array(found.collect())
        }
        ("keys", maps) => {
            let mut keys = Vec::new();
            for map in maps {
                let Map(map) = map else { return None };
                keys.extend(map.keys().map(Value::str));
            }
            Value::array(keys)
        }
        ("values", [Map(map)]) => Value::array(map.values().cloned().collect()),
        ("pick", [Map(map), keys @ ..]) => select(map, keys, true),
        ("omit", [Map(map), keys @ ..]) => select(map, keys, false),
        ("merge" | "mustMerge", [Map(first), others @ ..]) => merge_all(first, others, false)?,
        ("mergeOverwrite" | "mustMergeOverwrite", [Map(first), others @ ..]) => merge_all(first, others, true)?,
        ("dig", [path @ .., default, Map(map)]) if !path.is_empty() => {
            return Some(dig(map, path, default));
        }
        _ => return None,
    }))
}

fn select(map: &Dict, keys: &[Value], keep: bool) -> Value {
    let named = |key: &String| keys.iter().any(|k| k.as_str() == Some(key));
    Value::map(map.iter().filter(|(key, _)| named(key) == keep).map(|(k, v)| (k.clone(), v.clone())).collect())
}

fn merge_all(first: &Dict, others: &[Value], overwrite: bool) -> Option<Value> {
    let mut merged = first.clone();
    for other in others {
        let Value::Map(other) = other else {
            return None;
        };
        merge(&mut merged, other, overwrite);
    }
    Some(Value::map(merged))
}

fn merge(into: &mut Dict, from: &Dict, overwrite: bool) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(Value::Map(old)), Value::Map(new)) => {
                let mut joined = old.as_ref().clone();
                merge(&mut joined, new, overwrite);
                *old = std::sync::Arc::new(joined);
            }
            (Some(old), value) => {
                if types::is_empty(old) || (overwrite && !types::is_empty(value)) {
                    *old = value.clone();
                }
            }
            (None, value) => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

fn dig(map: &Dict, path: &[Value], default: &Value) -> Result<Value, Fail> {
    let mut at = map;
    for (i, key) in path.iter().enumerate() {
        let key = key.as_str().ok_or_else(|| {
            Fail::run(format!("interface conversion: interface {{}} is {}, not string", key.type_name()))
        })?;
        let Some(found) = at.get(key) else {
            return Ok(default.clone());
        };
        if i + 1 == path.len() {
            return Ok(found.clone());
        }
        let Value::Map(next) = found else {
            return Err(Fail::run(format!(
                "interface conversion: interface {{}} is {}, not map[string]interface {{}}",
                found.type_name()
            )));
        };
        at = next;
    }
    Ok(default.clone())
}
