//! Lists.

use super::super::error::Fail;
use super::super::ops;
use super::super::value::Value;
use super::{Answer, types};

pub(super) fn call(name: &str, args: &[Value]) -> Answer {
    use Value::{Array, Int};
    let plain = match name.strip_prefix("must") {
        Some(rest) => rest.to_ascii_lowercase(),
        None => name.to_owned(),
    };
    Some(Ok(match (plain.as_str(), args) {
        ("list" | "tuple", items) => Value::array(items.to_vec()),
        ("append" | "push", [Array(items), item]) => Value::array(items.iter().chain([item]).cloned().collect()),
        ("prepend", [Array(items), item]) => Value::array([item].into_iter().chain(items.iter()).cloned().collect()),
        ("first", [Array(items)]) => items.first().cloned().unwrap_or(Value::Nil),
        ("last", [Array(items)]) => items.last().cloned().unwrap_or(Value::Nil),
        ("rest", [Array(items)]) if items.is_empty() => Value::Nil,
        ("rest", [Array(items)]) => Value::array(items[1..].to_vec()),
        ("initial", [Array(items)]) if items.is_empty() => Value::Nil,
        ("initial", [Array(items)]) => Value::array(items[..items.len() - 1].to_vec()),
        ("reverse", [Array(items)]) => Value::array(items.iter().rev().cloned().collect()),
        ("uniq", [Array(items)]) => {
            let mut seen: Vec<Value> = Vec::new();
            for item in items.iter() {
                if !has(&seen, item) {
                    seen.push(item.clone());
                }
            }
            Value::array(seen)
        }
        ("compact", [Array(items)]) => Value::array(items.iter().filter(|i| !types::is_empty(i)).cloned().collect()),
        ("without", [Array(items), omit @ ..]) => {
            Value::array(items.iter().filter(|i| !has(omit, i)).cloned().collect())
        }
        ("has", [_, Value::Nil]) => Value::Bool(false),
        ("has", [item, Array(items)]) => Value::Bool(has(items, item)),
        ("slice", [list @ Array(_), bounds @ ..]) if bounds.len() <= 2 => {
            return Some(slice(list, bounds.first(), bounds.get(1)));
        }
        ("concat", lists) => {
            let mut all = Vec::new();
            for list in lists {
                let Array(items) = list else {
                    return Some(Err(Fail::run(format!("Cannot concat type {} as list", list.type_name()))));
                };
                all.extend(items.iter().cloned());
            }
            Value::array(all)
        }
        ("chunk", [Int(size), Array(items)]) => match usize::try_from(*size) {
            Ok(size) if size > 0 => Value::array(items.chunks(size).map(|c| Value::array(c.to_vec())).collect()),
            _ => return Some(Err(Fail::run("runtime error: integer divide by zero"))),
        },
        _ => return None,
    }))
}

fn has(items: &[Value], item: &Value) -> bool {
    items.iter().any(|i| i.type_name() == item.type_name() && ops::equal(i, item))
}

fn slice(list: &Value, from: Option<&Value>, to: Option<&Value>) -> Result<Value, Fail> {
    let Value::Array(items) = list else {
        return Ok(Value::Nil);
    };
    if items.is_empty() {
        return Ok(Value::Nil);
    }
    let index = |v: Option<&Value>, default: usize| match v {
        None => Some(default),
        Some(v) => usize::try_from(super::math::to_int(v)).ok(),
    };
    match (index(from, 0), index(to, items.len())) {
        (Some(from), Some(to)) if from <= to && to <= items.len() => Ok(Value::array(items[from..to].to_vec())),
        _ => Err(Fail::run("reflect.Value.Slice: slice index out of bounds")),
    }
}
