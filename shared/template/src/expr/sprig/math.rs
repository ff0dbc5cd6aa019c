//! Numbers.

use super::super::error::Fail;
use super::super::value::Value;
use super::decimal::Decimal;
use super::{Answer, OUTPUT_MAX, too_much};

/// Anything as an integer, zero when it is none.
pub(super) fn to_int(value: &Value) -> i64 {
    match value {
        Value::Int(n) | Value::Duration(n) => *n,
        Value::Float(n) => *n as i64,
        Value::Bool(b) => i64::from(*b),
        Value::Str(s) => parse_int(s).unwrap_or(0),
        Value::Nil | Value::Array(_) | Value::Map(_) | Value::Time(_) => 0,
    }
}

/// An integer in Go's base-0 notation; `.0` behind it is ignored.
fn parse_int(s: &str) -> Option<i64> {
    let s = match s.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|b| b == b'0') => whole,
        _ => s,
    };
    let (sign, digits) = match s.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, s.strip_prefix('+').unwrap_or(s)),
    };
    let based = |prefixes: [&str; 2]| prefixes.iter().find_map(|p| digits.strip_prefix(p));
    let n = if let Some(hex) = based(["0x", "0X"]) {
        i64::from_str_radix(hex, 16)
    } else if let Some(binary) = based(["0b", "0B"]) {
        i64::from_str_radix(binary, 2)
    } else if let Some(octal) = based(["0o", "0O"]).or_else(|| digits.strip_prefix('0').filter(|d| !d.is_empty())) {
        i64::from_str_radix(octal, 8)
    } else if digits.starts_with(['+', '-']) {
        return None;
    } else {
        digits.parse()
    };
    n.ok().map(|n| sign * n)
}

fn to_float(value: &Value) -> f64 {
    match value {
        Value::Float(n) => *n,
        Value::Str(s) => s.parse().unwrap_or(0.0),
        other => to_int(other) as f64,
    }
}

fn fold(args: &[Value], op: impl Fn(i64, i64) -> i64) -> Value {
    Value::Int(args.iter().map(to_int).reduce(op).unwrap_or(0))
}

fn fold_float(
    args: &[Value],
    exact: impl Fn(Decimal, Decimal) -> Option<Decimal>,
    rough: impl Fn(f64, f64) -> f64,
) -> Value {
    let numbers: Vec<f64> = args.iter().map(to_float).collect();
    let decimals = numbers.iter().map(|n| Decimal::of(*n)).collect::<Option<Vec<_>>>();
    let sum = decimals.and_then(|all| {
        let (first, rest) = all.split_first()?;
        rest.iter().try_fold(*first, |sum, n| exact(sum, *n))?.to_float()
    });
    Value::Float(sum.unwrap_or_else(|| numbers.into_iter().reduce(rough).unwrap_or(0.0)))
}

pub(super) fn call(name: &str, args: &[Value]) -> Answer {
    let float = |n: f64| Some(Ok(Value::Float(n)));
    let one = Value::Int(1);
    Some(Ok(match (name, args) {
        ("int" | "int64", [value]) => Value::Int(to_int(value)),
        ("float64", [value]) => Value::Float(to_float(value)),
        ("atoi", [Value::Str(s)]) => Value::Int(s.parse().unwrap_or(0)),
        ("toDecimal", [value]) => Value::Int(i64::from_str_radix(&value.display(), 8).unwrap_or(0)),
        ("add1", [value]) => Value::Int(to_int(value).wrapping_add(1)),
        ("add", args) => fold(args, i64::wrapping_add),
        ("sub", [_, _]) => fold(args, i64::wrapping_sub),
        ("mul", [_, ..]) => fold(args, i64::wrapping_mul),
        ("div" | "mod", [a, b]) => match (to_int(a), to_int(b)) {
            (_, 0) => return Some(Err(Fail::run("runtime error: integer divide by zero"))),
            (a, b) if name == "div" => Value::Int(a.wrapping_div(b)),
            (a, b) => Value::Int(a.wrapping_rem(b)),
        },
        ("max" | "biggest", [_, ..]) => fold(args, i64::max),
        ("min", [_, ..]) => fold(args, i64::min),
        ("add1f", [value]) => fold_float(&[value.clone(), one], Decimal::add, |a, b| a + b),
        ("addf", args) => fold_float(args, Decimal::add, |a, b| a + b),
        ("subf", [_, ..]) => fold_float(args, |a, b| a.add(b.neg()), |a, b| a - b),
        ("mulf", [_, ..]) => fold_float(args, Decimal::mul, |a, b| a * b),
        ("divf", [first, rest @ ..]) => {
            return float(rest.iter().fold(to_float(first), |a, b| a / to_float(b)));
        }
        ("maxf", [_, ..]) => {
            return float(args.iter().map(to_float).fold(f64::NEG_INFINITY, f64::max));
        }
        ("minf", [_, ..]) => return float(args.iter().map(to_float).fold(f64::INFINITY, f64::min)),
        ("ceil", [value]) => return float(to_float(value).ceil()),
        ("floor", [value]) => return float(to_float(value).floor()),
        ("round", [value, Value::Int(places), from @ ..]) => {
            let from = from.first().map_or(0.5, to_float);
            return float(round(to_float(value), *places, from));
        }
        ("until", [Value::Int(n)]) => return Some(steps(0, *n, if *n < 0 { -1 } else { 1 })),
        ("untilStep", [Value::Int(a), Value::Int(b), Value::Int(step)]) => {
            return Some(steps(*a, *b, *step));
        }
        ("seq", [Value::Int(to)]) => return Some(seq(1, if *to < 1 { -1 } else { 1 }, *to)),
        ("seq", [Value::Int(from), Value::Int(to)]) => {
            return Some(seq(*from, if to < from { -1 } else { 1 }, *to));
        }
        ("seq", [Value::Int(from), Value::Int(step), Value::Int(to)]) => {
            return Some(seq(*from, *step, *to));
        }
        ("seq", _) if args.iter().all(|a| matches!(a, Value::Int(_))) => Value::str(""),
        _ => return None,
    }))
}

fn round(n: f64, places: i64, from: f64) -> f64 {
    let scale = 10f64.powi(places.clamp(-300, 300) as i32);
    let scaled = n * scale;
    let rest = scaled.fract();
    let rounded = if rest >= from { scaled.ceil() } else { scaled.floor() };
    rounded / scale
}

/// Numbers from `from` up (or down) to before `to`.
fn steps(from: i64, to: i64, step: i64) -> Result<Value, Fail> {
    if step == 0 || (to < from) == (step > 0) {
        return Ok(Value::array(vec![]));
    }
    let count = (i128::from(to) - i128::from(from)) / i128::from(step);
    if count > i128::from(OUTPUT_MAX) {
        return Err(too_much());
    }
    let mut out = Vec::new();
    let mut n = from;
    while if step > 0 { n < to } else { n > to } {
        out.push(Value::Int(n));
        n = n.saturating_add(step);
    }
    Ok(Value::array(out))
}

/// Numbers from `from` to `to`, both included, separated by spaces.
fn seq(from: i64, step: i64, to: i64) -> Result<Value, Fail> {
    let end = if step > 0 { to.saturating_add(1) } else { to.saturating_sub(1) };
    let Value::Array(items) = steps(from, end, step)? else {
        return Ok(Value::str(""));
    };
    let items: Vec<_> = items.iter().map(Value::display).collect();
    Ok(Value::from(items.join(" ")))
}
