//! Defaults, types and JSON.

use super::super::builtins::json_error;
use super::super::error::Fail;
use super::super::ops;
use super::super::value::Value;
use super::Answer;
use crate::gofmt;

/// Go templates' idea of emptiness: nil, false, zero, and what has no length.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Nil => true,
        Value::Bool(b) => !b,
        Value::Int(n) => *n == 0,
        Value::Duration(n) => *n == 0,
        Value::Float(n) => *n == 0.0,
        Value::Str(s) => s.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        Value::Time(_) => false,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Nil => "invalid",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float64",
        Value::Str(_) => "string",
        Value::Array(_) => "slice",
        Value::Map(_) => "map",
        Value::Time(_) => "struct",
        Value::Duration(_) => "int64",
    }
}

pub(super) fn call(name: &str, args: &[Value]) -> Answer {
    use Value::Str;
    Some(Ok(match (name, args) {
        ("default", [default]) => default.clone(),
        ("default", [default, given, ..]) => {
            if is_empty(given) {
                default.clone()
            } else {
                given.clone()
            }
        }
        ("empty", [value]) => Value::Bool(is_empty(value)),
        ("coalesce", values) => values.iter().find(|v| !is_empty(v)).cloned().unwrap_or(Value::Nil),
        ("all", values) => Value::Bool(!values.iter().any(is_empty)),
        ("any", values) => Value::Bool(values.iter().any(|v| !is_empty(v))),
        ("ternary", [yes, no, Value::Bool(test)]) => {
            if *test {
                yes.clone()
            } else {
                no.clone()
            }
        }
        ("deepCopy" | "mustDeepCopy", [value]) => value.clone(),
        ("typeOf", [value]) => Value::str(value.type_name()),
        ("typeIs", [Str(want), value]) => Value::Bool(value.type_name() == want.as_ref()),
        ("typeIsLike", [Str(want), value]) => Value::Bool(value.type_name() == want.as_ref()),
        ("kindOf", [value]) => Value::str(kind(value)),
        ("kindIs", [Str(want), value]) => Value::Bool(kind(value) == want.as_ref()),
        ("deepEqual", [a, b]) => Value::Bool(a.type_name() == b.type_name() && ops::equal(a, b)),
        ("fromJson", [Str(s)]) => match serde_json::from_str::<serde_json::Value>(s) {
            Ok(json) => Value::from_json(&json),
            Err(_) => Value::Nil,
        },
        ("mustFromJson", [Str(s)]) => match serde_json::from_str::<serde_json::Value>(s) {
            Ok(json) => Value::from_json(&json),
            Err(e) => return Some(Err(Fail::run(json_error(s, &e)))),
        },
        ("toJson" | "mustToJson", [value]) => return Some(json(name, value, true, None)),
        ("toRawJson" | "mustToRawJson", [value]) => return Some(json(name, value, false, None)),
        ("toPrettyJson" | "mustToPrettyJson", [value]) => {
            return Some(json(name, value, true, Some(("  ", 0))));
        }
        _ => return None,
    }))
}

/// JSON text; where there is none, an error of the `must` functions and an empty text of the others.
fn json(name: &str, value: &Value, html: bool, indent: Option<(&str, usize)>) -> Result<Value, Fail> {
    let mut out = String::new();
    match gofmt::write_json(&mut out, value, html, indent) {
        Some(()) => Ok(Value::from(out)),
        None if name.starts_with("must") => Err(Fail::run(super::super::builtins::unsupported(value))),
        None => Ok(Value::str("")),
    }
}
