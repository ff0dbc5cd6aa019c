//! Evaluation of a planned condition.

use std::cell::Cell;

use regex::{Regex, RegexBuilder};

use super::parser::{Level, Stage};
use crate::{
    gofmt,
    limits::{Limits, PATTERN_BYTES_MAX, exceeded},
};

/// A value of govaluate; every number is a float.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Nil,
    Bool(bool),
    Num(f64),
    Str(String),
    Pattern(Regex),
    List(Vec<Value>),
}

impl Value {
    /// Go's `%v`.
    pub fn show(&self) -> String {
        match self {
            Value::Nil => "<nil>".into(),
            Value::Bool(b) => b.to_string(),
            Value::Num(n) => gofmt::value_float(*n),
            Value::Str(s) => s.clone(),
            Value::Pattern(r) => r.as_str().to_owned(),
            Value::List(items) => {
                let items: Vec<_> = items.iter().map(Value::show).collect();
                format!("[{}]", items.join(" "))
            }
        }
    }

    fn equals(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Nil, Value::Nil) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Num(a), Value::Num(b)) => a == b,
            (Value::Str(a), Value::Str(b)) => a == b,
            (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b)),
            _ => false,
        }
    }
}

/// The value of the whole. Errors: govaluate's texts, or that it makes too much text.
pub(super) fn run(stage: &Stage<'_>, limits: &Limits) -> Result<Value, String> {
    let left = Cell::new(limits.expression_bytes);
    let result = eval(stage, &left);
    if left.get() == 0 {
        let max = limits.expression_bytes;
        return Err(format!("the condition {}", exceeded("bytes of memory", max, "expression_bytes")));
    }
    result
}

/// Bytes are taken before they are used; none are left once there were too few.
fn take(left: &Cell<u64>, bytes: usize) -> Result<(), String> {
    let after = left.get().saturating_sub(bytes as u64);
    left.set(after);
    if after == 0 { Err(String::new()) } else { Ok(()) }
}

fn eval(stage: &Stage<'_>, left: &Cell<u64>) -> Result<Value, String> {
    match stage {
        Stage::Value(value) => {
            if let Value::Str(text) = value {
                take(left, text.len())?;
            }
            Ok((*value).clone())
        }
        Stage::Parameter(name) => Err(format!("No parameter '{name}' found.")),
        Stage::Empty => Ok(Value::Nil),
        Stage::Prefix(op, operand) => prefix(op, eval(operand, left)?),
        Stage::Binary(..) => left_leaning(stage, left),
    }
}

/// Long `a || b || c …` lean to the left; walked in a loop.
fn left_leaning(stage: &Stage<'_>, budget: &Cell<u64>) -> Result<Value, String> {
    let mut pending = Vec::new();
    let mut at = stage;
    while let Stage::Binary(op, level, left, right) = at {
        pending.push((*op, *level, right));
        at = left;
    }
    let mut value = eval(at, budget)?;
    while let Some((op, level, right)) = pending.pop() {
        value = binary(op, level, value, right, budget)?;
    }
    Ok(value)
}

fn prefix(op: &str, value: Value) -> Result<Value, String> {
    match (op, &value) {
        ("-", Value::Num(n)) => Ok(Value::Num(-n)),
        ("!", Value::Bool(b)) => Ok(Value::Bool(!b)),
        ("~", Value::Num(n)) => Ok(Value::Num(!to_int(*n) as f64)),
        _ => Err(format!("Value '{}' cannot be used with the prefix '{op}'", value.show())),
    }
}

fn binary(op: &str, level: Level, left: Value, right: &Stage<'_>, budget: &Cell<u64>) -> Result<Value, String> {
    let not_bool =
        |v: &Value, what: &str| format!("Value '{}' cannot be used with the {what} '{op}', it is not a bool", v.show());
    match level {
        Level::Separator => {
            let right = eval(right, budget)?;
            let mut items = match left {
                Value::List(items) => items,
                other => vec![other],
            };
            items.push(right);
            Ok(Value::List(items))
        }
        Level::Or | Level::And => {
            let Value::Bool(a) = left else {
                return Err(not_bool(&left, "logical operator"));
            };
            if a == (level == Level::Or) {
                return Ok(Value::Bool(a));
            }
            match eval(right, budget)? {
                Value::Bool(b) => Ok(Value::Bool(b)),
                other => Err(not_bool(&other, "logical operator")),
            }
        }
        Level::Ternary => match (op, left) {
            ("?", Value::Bool(true)) => eval(right, budget),
            ("?", Value::Bool(false)) => Ok(Value::Nil),
            ("?", other) => Err(not_bool(&other, "ternary operator")),
            (_, Value::Nil) => eval(right, budget),
            (_, left) => Ok(left),
        },
        Level::Comparator => comparator(op, &left, &eval(right, budget)?),
        Level::Bitwise | Level::Shift | Level::Additive | Level::Multiplicative | Level::Exponential => {
            modifier(op, &left, &eval(right, budget)?, budget)
        }
    }
}

fn comparator(op: &str, left: &Value, right: &Value) -> Result<Value, String> {
    let misfit =
        |v: &Value| format!("Value '{}' cannot be used with the comparator '{op}', it is not a number", v.show());
    let answer = match op {
        "==" => left.equals(right),
        "!=" => !left.equals(right),
        "in" => match right {
            Value::List(items) => items.iter().any(|item| item.equals(left)),
            other => return Err(misfit(other)),
        },
        "=~" | "!~" => {
            let Value::Str(text) = left else {
                return Err(misfit(left));
            };
            let found = match right {
                Value::Pattern(regex) => regex.is_match(text),
                Value::Str(pattern) => RegexBuilder::new(pattern)
                    .size_limit(PATTERN_BYTES_MAX)
                    .build()
                    .map_err(|_| format!("Unable to compile regexp pattern '{pattern}'"))?
                    .is_match(text),
                other => return Err(misfit(other)),
            };
            found == (op == "=~")
        }
        _ => {
            let order = match (left, right) {
                (Value::Num(a), Value::Num(b)) => a.partial_cmp(b),
                (Value::Str(a), Value::Str(b)) => Some(a.cmp(b)),
                _ => return Err(misfit(left)),
            };
            order.is_some_and(|order| match op {
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                ">" => order.is_gt(),
                _ => order.is_ge(),
            })
        }
    };
    Ok(Value::Bool(answer))
}

fn modifier(op: &str, left: &Value, right: &Value, budget: &Cell<u64>) -> Result<Value, String> {
    if op == "+" && (matches!(left, Value::Str(_)) || matches!(right, Value::Str(_))) {
        let (left, right) = (left.show(), right.show());
        take(budget, left.len() + right.len())?;
        return Ok(Value::Str(left + &right));
    }
    let number = |v: &Value| match v {
        Value::Num(n) => Ok(*n),
        other => Err(format!("Value '{}' cannot be used with the modifier '{op}', it is not a number", other.show())),
    };
    let (a, b) = (number(left)?, number(right)?);
    let shift = u32::try_from(to_uint(b)).unwrap_or(u32::MAX);
    Ok(Value::Num(match op {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" => a / b,
        "%" => a % b,
        "**" => a.powf(b),
        "&" => (to_int(a) & to_int(b)) as f64,
        "|" => (to_int(a) | to_int(b)) as f64,
        "^" => (to_int(a) ^ to_int(b)) as f64,
        "<<" => to_uint(a).checked_shl(shift).unwrap_or(0) as f64,
        _ => to_uint(a).checked_shr(shift).unwrap_or(0) as f64,
    }))
}

/// Go's conversion to `int64`, as amd64 does it: what does not fit is the smallest number.
fn to_int(n: f64) -> i64 {
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&n);
    if fits { n as i64 } else { i64::MIN }
}

/// Go's conversion to `uint64`, as amd64 does it: numbers below zero wrap around, what does not fit is 2⁶³.
fn to_uint(n: f64) -> u64 {
    if n < 9_223_372_036_854_775_808.0 {
        to_int(n) as u64
    } else if n < 18_446_744_073_709_551_616.0 {
        n as u64
    } else {
        1 << 63
    }
}
