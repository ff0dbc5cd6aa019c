//! Builtins on lists and maps that take no closure.

use std::collections::BTreeMap;

use super::super::error::Fail;
use super::super::ops;
use super::super::value::Value;
use super::{fetch, integer, slice};

pub(super) fn call(name: &str, args: &[Value]) -> Option<Result<Value, Fail>> {
    use Value::{Array, Int, Map, Str};
    Some(Ok(match (name, args) {
        ("len", [Str(s)]) => Int(s.chars().count() as i64),
        ("len", [Array(items)]) => Int(items.len() as i64),
        ("len", [Map(map)]) => Int(map.len() as i64),
        ("first", [Array(items)]) => items.first().cloned().unwrap_or(Value::Nil),
        ("last", [Array(items)]) => items.last().cloned().unwrap_or(Value::Nil),
        ("get", [base, property]) => fetch(base, property).unwrap_or(Value::Nil),
        ("take", [Array(_), count]) => {
            let count = integer(count)?;
            if count < 0 {
                return Some(Err(Fail::run(format!("cannot take {count} elements"))));
            }
            return Some(slice(&args[0], None, Some(&Int(count))));
        }
        ("keys", [Map(map)]) => Value::array(map.keys().map(Value::str).collect()),
        ("values", [Map(map)]) => Value::array(map.values().cloned().collect()),
        ("toPairs", [Map(map)]) => {
            Value::array(map.iter().map(|(k, v)| Value::array(vec![Value::str(k), v.clone()])).collect())
        }
        ("fromPairs", [Array(pairs)]) => {
            let mut map = BTreeMap::new();
            for pair in pairs.iter() {
                let Array(pair) = pair else {
                    return Some(Err(Fail::run(format!("invalid pair {}", pair.display()))));
                };
                let [key, value] = pair.as_slice() else {
                    return Some(Err(Fail::run(format!("invalid pair length {}", pair.len()))));
                };
                map.insert(key.display(), value.clone());
            }
            Value::map(map)
        }
        ("reverse", [Array(items)]) => Value::array(items.iter().rev().cloned().collect()),
        ("uniq", [Array(items)]) => {
            let mut seen: Vec<Value> = Vec::new();
            for item in items.iter() {
                if !seen.iter().any(|s| ops::equal(s, item)) {
                    seen.push(item.clone());
                }
            }
            Value::array(seen)
        }
        ("concat", lists) => {
            let mut all = Vec::new();
            for list in lists {
                let Array(items) = list else {
                    return Some(Err(Fail::run(format!("cannot concat {}", list.type_name()))));
                };
                all.extend(items.iter().cloned());
            }
            Value::array(all)
        }
        ("flatten", [Array(items)]) => {
            let mut all = Vec::new();
            flatten(items, &mut all);
            Value::array(all)
        }
        ("sort", [Array(items)]) => return Some(sort(items, "asc")),
        ("sort", [Array(items), Str(order)]) => return Some(sort(items, order)),
        _ => return None,
    }))
}

fn flatten(items: &[Value], out: &mut Vec<Value>) {
    for item in items {
        match item {
            Value::Array(inner) => flatten(inner, out),
            item => out.push(item.clone()),
        }
    }
}

/// Is the order ascending? Errors: neither `asc` nor `desc`.
pub(super) fn ascending(order: &str) -> Result<bool, Fail> {
    match order {
        "asc" => Ok(true),
        "desc" => Ok(false),
        _ => Err(Fail::run(format!("invalid order {order}, expected asc or desc"))),
    }
}

fn sort(items: &[Value], order: &str) -> Result<Value, Fail> {
    let ascending = ascending(order)?;
    let mut pairs: Vec<(Value, Value)> = items.iter().map(|i| (i.clone(), i.clone())).collect();
    sort_pairs(&mut pairs, ascending)?;
    Ok(Value::array(pairs.into_iter().map(|(_, item)| item).collect()))
}

/// Sorts by the first of each pair, stably. Errors: two keys without an order.
pub(super) fn sort_pairs(pairs: &mut [(Value, Value)], ascending: bool) -> Result<(), Fail> {
    let mut bad = None;
    pairs.sort_by(|(a, _), (b, _)| {
        let order = ops::compare(a, b).unwrap_or_else(|| {
            bad.get_or_insert_with(|| format!("invalid operation: {} < {}", a.type_name(), b.type_name()));
            std::cmp::Ordering::Equal
        });
        if ascending { order } else { order.reverse() }
    });
    bad.map_or(Ok(()), |message| Err(Fail::run(message)))
}
