//! Builtins on text, and conversions from and to text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::error::Fail;
use super::super::sprig::encode::first_bad;
use super::super::value::Value;
use crate::gofmt;

/// Limit of what `repeat` may produce, in bytes; Go expr's own limit of repetitions.
const REPEAT_MAX: usize = 1_000_000;

pub(super) fn call(name: &str, args: &[Value]) -> Option<Result<Value, Fail>> {
    use Value::{Int, Str};
    let blank = |c: char| c.is_whitespace();
    Some(Ok(match (name, args) {
        ("trim", [Str(s)]) => Value::str(s.trim_matches(blank)),
        ("trim", [Str(s), Str(cut)]) => Value::str(s.trim_matches(|c| cut.contains(c))),
        ("trimPrefix", [Str(s)]) => Value::str(s.strip_prefix(' ').unwrap_or(s)),
        ("trimPrefix", [Str(s), Str(p)]) => Value::str(s.strip_prefix(p.as_ref()).unwrap_or(s)),
        ("trimSuffix", [Str(s)]) => Value::str(s.strip_suffix(' ').unwrap_or(s)),
        ("trimSuffix", [Str(s), Str(p)]) => Value::str(s.strip_suffix(p.as_ref()).unwrap_or(s)),
        ("upper", [Str(s)]) => Value::from(s.to_uppercase()),
        ("lower", [Str(s)]) => Value::from(s.to_lowercase()),
        ("split", [Str(s), Str(by)]) => split(s, by, -1, false),
        ("split", [Str(s), Str(by), Int(n)]) => split(s, by, *n, false),
        ("splitAfter", [Str(s), Str(by)]) => split(s, by, -1, true),
        ("splitAfter", [Str(s), Str(by), Int(n)]) => split(s, by, *n, true),
        ("replace", [Str(s), Str(old), Str(new)]) => Value::from(s.replace(old.as_ref(), new)),
        ("replace", [Str(s), Str(old), Str(new), Int(n)]) => match usize::try_from(*n) {
            Ok(n) => Value::from(s.replacen(old.as_ref(), new, n)),
            Err(_) => Value::from(s.replace(old.as_ref(), new)),
        },
        ("repeat", [Str(s), Int(n)]) => {
            let count = usize::try_from(*n).unwrap_or(usize::MAX);
            if *n < 0 {
                return Some(Err(Fail::run(format!(
                    "invalid argument for repeat (expected positive integer, got {n})"
                ))));
            }
            if count.saturating_mul(s.len().max(1)) > REPEAT_MAX {
                return Some(Err(Fail::run("memory budget exceeded")));
            }
            Value::from(s.repeat(count))
        }
        ("join", [Value::Array(items)]) => return Some(join(items, "")),
        ("join", [Value::Array(items), Str(by)]) => return Some(join(items, by)),
        ("indexOf", [Str(s), Str(part)]) => Int(s.find(part.as_ref()).map_or(-1, |i| i as i64)),
        ("lastIndexOf", [Str(s), Str(part)]) => Int(s.rfind(part.as_ref()).map_or(-1, |i| i as i64)),
        ("hasPrefix", [Str(s), Str(p)]) => Value::Bool(s.starts_with(p.as_ref())),
        ("hasSuffix", [Str(s), Str(p)]) => Value::Bool(s.ends_with(p.as_ref())),
        ("string", [value]) => Value::from(value.display()),
        ("type", [value]) => Value::str(type_word(value)),
        ("toJSON", [value]) => {
            let mut out = String::new();
            match gofmt::write_json(&mut out, value, true, Some(("  ", 0))) {
                Some(()) => Value::from(out),
                None => return Some(Err(Fail::run(unsupported(value)))),
            }
        }
        ("fromJSON", [Str(s)]) => match serde_json::from_str::<serde_json::Value>(s) {
            Ok(json) => Value::from_json(&json),
            Err(e) => return Some(Err(Fail::run(json_error(s, &e)))),
        },
        ("toBase64", [Str(s)]) => Value::from(STANDARD.encode(s.as_bytes())),
        ("fromBase64", [Str(s)]) => match STANDARD.decode(s.as_bytes()) {
            Ok(bytes) => Value::from(String::from_utf8_lossy(&bytes).into_owned()),
            Err(_) => {
                return Some(Err(Fail::run(format!("illegal base64 data at input byte {}", first_bad(s.as_bytes())))));
            }
        },
        _ => return None,
    }))
}

/// Go's complaint about JSON text, as near as it can be told.
pub(crate) fn json_error(text: &str, error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".into();
    }
    let line = text.split('\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    match line.get(error.column().saturating_sub(1)..).and_then(|rest| rest.chars().next()) {
        Some(c) if text.trim_start().starts_with(c) => {
            format!("invalid character '{c}' looking for beginning of value")
        }
        Some(c) => format!("invalid character '{c}' in JSON text"),
        None => error.to_string(),
    }
}

pub(crate) fn unsupported(value: &Value) -> String {
    format!("json: unsupported value: {}", value.display())
}

fn type_word(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float",
        Value::Str(_) => "string",
        Value::Array(_) => "array",
        Value::Map(_) => "map",
        Value::Time(_) => "time.Time",
        Value::Duration(_) => "time.Duration",
    }
}

/// Go's `SplitN` (all parts when `n` is negative, none when zero), `SplitAfterN` with `keep`.
pub(crate) fn split(text: &str, by: &str, n: i64, keep: bool) -> Value {
    if n == 0 {
        return Value::array(vec![]);
    }
    let max = usize::try_from(n).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let mut rest = text;
    while parts.len() + 1 < max {
        let (len, skip) = match by.is_empty() {
            true => match rest.chars().next() {
                Some(c) if rest.len() > c.len_utf8() => (c.len_utf8(), 0),
                _ => break,
            },
            false => match rest.find(by) {
                Some(at) => (at, by.len()),
                None => break,
            },
        };
        parts.push(Value::str(&rest[..len + if keep { skip } else { 0 }]));
        rest = &rest[len + skip..];
    }
    if !(by.is_empty() && text.is_empty()) {
        parts.push(Value::str(rest));
    }
    Value::array(parts)
}

fn join(items: &[Value], by: &str) -> Result<Value, Fail> {
    let mut out = String::new();
    for (i, item) in items.iter().enumerate() {
        let Value::Str(text) = item else {
            return Err(Fail::run(format!("interface conversion: interface {{}} is {}, not string", item.type_name())));
        };
        if i > 0 {
            out.push_str(by);
        }
        out.push_str(text);
    }
    Ok(Value::from(out))
}
