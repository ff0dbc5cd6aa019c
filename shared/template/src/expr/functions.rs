//! The functions Argo adds to the language: `asInt`, `asFloat`, `jsonpath`, `toJson` and the Sprig library.
//!
//! Source: Argo util/expr/env.

use super::budget::Budget;
use super::env::Env;
use super::error::Fail;
use super::value::Value;
use super::{jsonpath, sprig};

/// Is it one of the names Argo adds?
pub(crate) fn is_root(name: &str) -> bool {
    matches!(name, "asInt" | "asFloat" | "jsonpath" | "toJson" | "sprig")
}

/// Is there a function of this dotted name? `sprig` itself counts.
pub(crate) fn exists(name: &str) -> bool {
    match name.split_once('.') {
        None => is_root(name),
        Some(("sprig", function)) => sprig::exists(function),
        Some(_) => false,
    }
}

/// Calls a function of this dotted name.
pub(crate) fn call(name: &str, args: &[Value], env: &Env<'_>, budget: &Budget<'_>) -> Result<Value, Fail> {
    if let Some(function) = name.strip_prefix("sprig.") {
        return sprig::call(function, args, env, budget);
    }
    match (name, args) {
        ("asInt", [value]) => as_int(value),
        ("asFloat", [value]) => as_float(value),
        ("toJson", [value]) => {
            value.to_json(true).map(Value::from).ok_or_else(|| Fail::run(super::builtins::unsupported(value)))
        }
        ("jsonpath", [Value::Str(json), Value::Str(path)]) => {
            let json: serde_json::Value =
                serde_json::from_str(json).map_err(|_| Fail::run("invalid data. unexpected type or nil"))?;
            let found = jsonpath::query(&json, path, budget)?;
            budget.copied(&found)?;
            Ok(Value::from_json(&found))
        }
        _ => Err(super::builtins::invalid(name, args)),
    }
}

fn as_int(value: &Value) -> Result<Value, Fail> {
    match value {
        Value::Int(n) => Ok(Value::Int(*n)),
        Value::Float(n) => Ok(Value::Int(*n as i64)),
        Value::Str(s) => s
            .parse()
            .map(Value::Int)
            .map_err(|_| Fail::run(format!("strconv.Atoi: parsing {}: invalid syntax", crate::gofmt::quote(s)))),
        other => Err(Fail::run(format!("asInt() not supported on {} {}", other.type_name(), other.display()))),
    }
}

fn as_float(value: &Value) -> Result<Value, Fail> {
    match value {
        Value::Int(n) => Ok(Value::Float(*n as f64)),
        Value::Float(n) => Ok(Value::Float(*n)),
        Value::Str(s) => s
            .parse()
            .map(Value::Float)
            .map_err(|_| Fail::run(format!("strconv.ParseFloat: parsing {}: invalid syntax", crate::gofmt::quote(s)))),
        other => Err(Fail::run(format!("asFloat() not supported on {} {}", other.type_name(), other.display()))),
    }
}
