//! Operators on values.

use std::cmp::Ordering;

use super::ast::Binary;
use super::error::Fail;
use super::value::Value;

/// Go expr's equality: numbers by value, everything else only with its own kind.
pub(crate) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => a.as_number() == b.as_number(),
        (Value::Str(a), Value::Str(b)) => a == b,
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| equal(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|other| equal(v, other)))
        }
        (Value::Time(a), Value::Time(b)) => a.timestamp() == b.timestamp(),
        (Value::Duration(a), Value::Duration(b)) => a == b,
        _ => false,
    }
}

/// The order of two values of one ordered kind.
pub(crate) fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Str(a), Value::Str(b)) => Some(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => Some(a.timestamp().cmp(&b.timestamp())),
        (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        _ => a.as_number()?.partial_cmp(&b.as_number()?),
    }
}

/// Every operator but the short-circuit ones.
pub(crate) fn binary(op: Binary, a: &Value, b: &Value) -> Result<Value, Fail> {
    let mismatch = || Fail::run(format!("invalid operation: {} {} {}", a.type_name(), op.symbol(), b.type_name()));
    let ordered = |ok: fn(Ordering) -> bool| match compare(a, b) {
        Some(order) => Ok(Value::Bool(ok(order))),
        // Comparisons with NaN are false; other kinds have no order.
        None if a.as_number().is_some() && b.as_number().is_some() => Ok(Value::Bool(false)),
        None => Err(mismatch()),
    };
    let texts = |test: fn(&str, &str) -> bool| match (a, b) {
        (Value::Nil, _) | (_, Value::Nil) => Ok(Value::Bool(false)),
        (Value::Str(a), Value::Str(b)) => Ok(Value::Bool(test(a, b))),
        _ => Err(mismatch()),
    };
    match op {
        Binary::Equal => Ok(Value::Bool(equal(a, b))),
        Binary::NotEqual => Ok(Value::Bool(!equal(a, b))),
        Binary::Less => ordered(Ordering::is_lt),
        Binary::LessEqual => ordered(Ordering::is_le),
        Binary::Greater => ordered(Ordering::is_gt),
        Binary::GreaterEqual => ordered(Ordering::is_ge),
        Binary::In => {
            contains(b, a).ok_or_else(|| Fail::run(format!("operator \"in\" not defined on {}", b.type_name())))
        }
        // Two texts are matched where compiled patterns are kept.
        Binary::Matches => match (a, b) {
            (Value::Nil, _) | (_, Value::Nil) => Ok(Value::Bool(false)),
            _ => Err(mismatch()),
        },
        Binary::Contains => texts(|a, b| a.contains(b)),
        Binary::StartsWith => texts(|a, b| a.starts_with(b)),
        Binary::EndsWith => texts(|a, b| a.ends_with(b)),
        Binary::Range => range(a, b),
        Binary::Add => add(a, b).ok_or_else(mismatch),
        Binary::Sub => subtract(a, b).ok_or_else(mismatch),
        Binary::Mul => multiply(a, b).ok_or_else(mismatch),
        Binary::Div => match (a.as_number(), b.as_number()) {
            (Some(a), Some(b)) => Ok(Value::Float(a / b)),
            _ => Err(mismatch()),
        },
        Binary::Rem => match (a, b) {
            (Value::Int(_), Value::Int(0)) => Err(Fail::run("runtime error: integer divide by zero")),
            (Value::Int(a), Value::Int(b)) => Ok(Value::Int(a.wrapping_rem(*b))),
            _ => Err(mismatch()),
        },
        Binary::Pow => match (a.as_number(), b.as_number()) {
            (Some(a), Some(b)) => Ok(Value::Float(a.powf(b))),
            _ => Err(mismatch()),
        },
        // These three decide before the right side is evaluated; here both sides are known.
        Binary::And => Ok(Value::Bool(truth(a)? && truth(b)?)),
        Binary::Or => Ok(Value::Bool(truth(a)? || truth(b)?)),
        Binary::Coalesce => Ok(if a.is_nil() { b.clone() } else { a.clone() }),
    }
}

/// A boolean, or the failure Go gives for anything else.
pub(crate) fn truth(value: &Value) -> Result<bool, Fail> {
    match value {
        Value::Bool(b) => Ok(*b),
        other => {
            let shown = if other.is_nil() { "nil" } else { other.type_name() };
            Err(Fail::run(format!("interface conversion: interface {{}} is {shown}, not bool")))
        }
    }
}

/// Go's words for a bad pattern.
pub(crate) fn regex_error(error: &regex::Error, pattern: &str) -> String {
    let reason = error.to_string();
    let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
    let reason = match reason {
        "unclosed character class" => "missing closing ]",
        "unclosed group" => "missing closing )",
        "unopened group" => "unexpected )",
        "repetition operator missing expression" => "missing argument to repetition operator",
        "unrecognized escape sequence" => "invalid escape sequence",
        other => other,
    };
    format!("error parsing regexp: {reason}: `{pattern}`")
}

fn contains(container: &Value, item: &Value) -> Option<Value> {
    let found = match container {
        Value::Nil => false,
        Value::Array(items) => items.iter().any(|i| equal(i, item)),
        Value::Map(map) => match item {
            Value::Str(key) => map.contains_key(key.as_ref()),
            Value::Nil => false,
            _ => return None,
        },
        _ => return None,
    };
    Some(Value::Bool(found))
}

/// Limit of the items one range may have; Go expr's memory budget is the same.
const RANGE_MAX: i64 = 1_000_000;

fn range(a: &Value, b: &Value) -> Result<Value, Fail> {
    let (Value::Int(from), Value::Int(to)) = (a, b) else {
        return Err(Fail::run(format!("invalid operation: {} .. {}", a.type_name(), b.type_name())));
    };
    if to.saturating_sub(*from) >= RANGE_MAX {
        return Err(Fail::run("memory budget exceeded"));
    }
    Ok(Value::array((*from..=*to).map(Value::Int).collect()))
}

fn add(a: &Value, b: &Value) -> Option<Value> {
    Some(match (a, b) {
        (Value::Int(a), Value::Int(b)) => Value::Int(a.wrapping_add(*b)),
        (Value::Str(a), Value::Str(b)) => Value::from(format!("{a}{b}")),
        (Value::Time(t), Value::Duration(d)) | (Value::Duration(d), Value::Time(t)) => shift(t, *d)?,
        (Value::Duration(a), Value::Duration(b)) => Value::Duration(a.wrapping_add(*b)),
        _ => Value::Float(a.as_number()? + b.as_number()?),
    })
}

fn subtract(a: &Value, b: &Value) -> Option<Value> {
    Some(match (a, b) {
        (Value::Int(a), Value::Int(b)) => Value::Int(a.wrapping_sub(*b)),
        (Value::Time(t), Value::Duration(d)) => shift(t, d.checked_neg()?)?,
        (Value::Time(a), Value::Time(b)) => Value::Duration(since(a, b)),
        (Value::Duration(a), Value::Duration(b)) => Value::Duration(a.wrapping_sub(*b)),
        _ => Value::Float(a.as_number()? - b.as_number()?),
    })
}

fn multiply(a: &Value, b: &Value) -> Option<Value> {
    Some(match (a, b) {
        (Value::Int(a), Value::Int(b)) => Value::Int(a.wrapping_mul(*b)),
        (Value::Duration(d), n) | (n, Value::Duration(d)) => match n {
            Value::Int(n) => Value::Duration(d.wrapping_mul(*n)),
            Value::Duration(n) => Value::Duration(d.wrapping_mul(*n)),
            n => Value::Float(*d as f64 * n.as_number()?),
        },
        _ => Value::Float(a.as_number()? * b.as_number()?),
    })
}

/// `a - b` in nanoseconds, clamped to what Go's Duration can hold.
pub(crate) fn since(a: &jiff::Zoned, b: &jiff::Zoned) -> i64 {
    let nanos = a.timestamp().as_nanosecond() - b.timestamp().as_nanosecond();
    nanos.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// A moment later by `nanos`; `None` outside the years jiff can hold.
pub(crate) fn shift(time: &jiff::Zoned, nanos: i64) -> Option<Value> {
    let at = time.timestamp().checked_add(jiff::SignedDuration::from_nanos(nanos)).ok()?;
    Some(Value::Time(Box::new(at.to_zoned(time.time_zone().clone()))))
}
