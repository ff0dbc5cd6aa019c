//! The builtins of the language.
//!
//! Source: expr-lang 1.17 docs/language-definition.md.

pub(crate) mod closures;
mod lists;
mod numbers;
mod strings;
pub(crate) use strings::{json_error, split, unsupported};
mod times;

use super::env::Env;
use super::error::Fail;
use super::value::Value;

/// How a builtin's arguments are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Plain,
    /// The second argument is a closure.
    Closure {
        optional: bool,
    },
}

const CLOSURES: &[&str] = &[
    "all",
    "none",
    "any",
    "one",
    "filter",
    "map",
    "find",
    "findIndex",
    "findLast",
    "findLastIndex",
    "groupBy",
    "sortBy",
    "reduce",
];

/// Name, fewest and most arguments.
const PLAIN: &[(&str, usize, usize)] = &[
    ("len", 1, 1),
    ("type", 1, 1),
    ("abs", 1, 1),
    ("ceil", 1, 1),
    ("floor", 1, 1),
    ("round", 1, 1),
    ("int", 1, 1),
    ("float", 1, 1),
    ("string", 1, 1),
    ("trim", 1, 2),
    ("trimPrefix", 1, 2),
    ("trimSuffix", 1, 2),
    ("upper", 1, 1),
    ("lower", 1, 1),
    ("split", 2, 3),
    ("splitAfter", 2, 3),
    ("replace", 3, 4),
    ("repeat", 2, 2),
    ("join", 1, 2),
    ("indexOf", 2, 2),
    ("lastIndexOf", 2, 2),
    ("hasPrefix", 2, 2),
    ("hasSuffix", 2, 2),
    ("max", 1, usize::MAX),
    ("min", 1, usize::MAX),
    ("mean", 1, usize::MAX),
    ("median", 1, usize::MAX),
    ("toJSON", 1, 1),
    ("fromJSON", 1, 1),
    ("toBase64", 1, 1),
    ("fromBase64", 1, 1),
    ("now", 0, 0),
    ("duration", 1, 1),
    ("date", 1, 3),
    ("timezone", 1, 1),
    ("first", 1, 1),
    ("last", 1, 1),
    ("get", 2, 2),
    ("take", 2, 2),
    ("keys", 1, 1),
    ("values", 1, 1),
    ("toPairs", 1, 1),
    ("fromPairs", 1, 1),
    ("reverse", 1, 1),
    ("uniq", 1, 1),
    ("concat", 1, usize::MAX),
    ("flatten", 1, 1),
    ("sort", 1, 2),
    ("bitand", 2, 2),
    ("bitor", 2, 2),
    ("bitxor", 2, 2),
    ("bitnand", 2, 2),
    ("bitshl", 2, 2),
    ("bitshr", 2, 2),
    ("bitushr", 2, 2),
    ("bitnot", 1, 1),
];

/// How the builtin is written, or `None` when there is no such builtin.
pub(crate) fn shape(name: &str) -> Option<Shape> {
    if CLOSURES.contains(&name) {
        return Some(Shape::Closure { optional: false });
    }
    if name == "count" || name == "sum" {
        return Some(Shape::Closure { optional: true });
    }
    PLAIN.iter().any(|(n, ..)| *n == name).then_some(Shape::Plain)
}

/// Fewest and most arguments of a builtin without closure.
pub(crate) fn arity(name: &str) -> Option<(usize, usize)> {
    PLAIN.iter().find(|(n, ..)| *n == name).map(|(_, min, max)| (*min, *max))
}

/// Calls a builtin on values.
pub(crate) fn call(name: &str, args: &[Value], env: &Env<'_>) -> Result<Value, Fail> {
    for family in [strings::call, numbers::call, lists::call] {
        if let Some(result) = family(name, args) {
            return result;
        }
    }
    times::call(name, args, env).unwrap_or_else(|| Err(invalid(name, args)))
}

/// Go expr's words for arguments of the wrong kind.
pub(crate) fn invalid(name: &str, args: &[Value]) -> Fail {
    let kinds: Vec<_> = args.iter().map(Value::type_name).collect();
    Fail::run(format!("invalid argument for {name} (type {})", kinds.join(", ")))
}

/// An index or count, from an int or a float that is whole.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(n) => Some(*n),
        Value::Float(n) if n.fract() == 0.0 => Some(*n as i64),
        _ => None,
    }
}

/// `base[property]` and `base.property`.
pub(crate) fn fetch(base: &Value, property: &Value) -> Result<Value, Fail> {
    let cannot = || Fail::run(format!("cannot fetch {} from {}", property.display(), base.type_name()));
    let not_index = || Fail::run(format!("invalid operation: int({})", property.type_name()));
    match base {
        Value::Map(map) => match property {
            Value::Str(name) => Ok(map.get(name.as_ref()).cloned().unwrap_or(Value::Nil)),
            _ => Err(cannot()),
        },
        Value::Array(items) => {
            let index = integer(property).ok_or_else(not_index)?;
            let at = if index < 0 { index + items.len() as i64 } else { index };
            usize::try_from(at)
                .ok()
                .and_then(|at| items.get(at))
                .cloned()
                .ok_or_else(|| Fail::run(format!("index out of range: {index} (array length is {})", items.len())))
        }
        Value::Str(text) => {
            let index = integer(property).ok_or_else(not_index)?;
            let at = if index < 0 { index + text.len() as i64 } else { index };
            let byte = usize::try_from(at).ok().and_then(|at| text.as_bytes().get(at));
            byte.map(|b| Value::Int((*b).into()))
                .ok_or_else(|| Fail::run(format!("index out of range: {index} (array length is {})", text.len())))
        }
        _ => Err(cannot()),
    }
}

/// `base[from:to]`; indices count from the end when negative, and are cut to the length.
pub(crate) fn slice(base: &Value, from: Option<&Value>, to: Option<&Value>) -> Result<Value, Fail> {
    let len = match base {
        Value::Array(items) => items.len(),
        Value::Str(text) => text.len(),
        other => return Err(Fail::run(format!("cannot slice {}", other.type_name()))),
    } as i64;
    let index = |value: Option<&Value>, default: i64| -> Result<usize, Fail> {
        let Some(value) = value else {
            return Ok(default as usize);
        };
        let n = integer(value).ok_or_else(|| Fail::run(format!("invalid operation: int({})", value.type_name())))?;
        Ok((if n < 0 { (n + len).max(0) } else { n.min(len) }) as usize)
    };
    let to = index(to, len)?;
    let from = index(from, 0)?.min(to);
    Ok(match base {
        Value::Array(items) => Value::array(items[from..to].to_vec()),
        // Go slices bytes; a cut inside a character leaves a replacement character.
        Value::Str(text) => Value::from(String::from_utf8_lossy(&text.as_bytes()[from..to]).into_owned()),
        _ => Value::Nil,
    })
}
