//! The Sprig function library, without `env` and `expandenv`, which Argo removes.
//!
//! Source: <https://masterminds.github.io/sprig/> (3.3).

use super::env::Env;
use super::error::Fail;
use super::value::Value;

/// Is there such a function?
pub(crate) fn exists(name: &str) -> bool {
    matches!(name, "upper" | "int" | "dig" | "trim")
}

/// Calls `sprig.name(args…)`.
pub(crate) fn call(name: &str, args: &[Value], _env: &Env<'_>) -> Result<Value, Fail> {
    match (name, args) {
        ("upper", [Value::Str(s)]) => Ok(Value::from(s.to_uppercase())),
        ("trim", [Value::Str(s)]) => Ok(Value::str(s.trim())),
        _ => Err(super::builtins::invalid(name, args)),
    }
}
