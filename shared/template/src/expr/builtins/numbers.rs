//! Builtins on numbers.

use std::cmp::Ordering;

use super::super::error::Fail;
use super::super::ops;
use super::super::value::Value;
use super::invalid;

pub(super) fn call(name: &str, args: &[Value]) -> Option<Result<Value, Fail>> {
    use Value::{Float, Int};
    Some(Ok(match (name, args) {
        ("abs", [Int(n)]) => Int(n.wrapping_abs()),
        ("abs", [Float(n)]) => Float(n.abs()),
        ("ceil", [n]) => Float(n.as_number()?.ceil()),
        ("floor", [n]) => Float(n.as_number()?.floor()),
        ("round", [n]) => Float(n.as_number()?.round()),
        ("int", [value]) => return Some(int(value)),
        ("float", [value]) => return Some(float(value)),
        ("max", items) => return Some(extreme(name, items, Ordering::Greater)),
        ("min", items) => return Some(extreme(name, items, Ordering::Less)),
        ("mean" | "median", items) => {
            let mut numbers = Vec::new();
            if let Err(fail) = flatten(name, items, &mut numbers) {
                return Some(Err(fail));
            }
            if numbers.is_empty() {
                return Some(Ok(Float(0.0)));
            }
            Float(if name == "mean" { numbers.iter().sum::<f64>() / numbers.len() as f64 } else { median(numbers) })
        }
        ("bitand", [Int(a), Int(b)]) => Int(a & b),
        ("bitor", [Int(a), Int(b)]) => Int(a | b),
        ("bitxor", [Int(a), Int(b)]) => Int(a ^ b),
        ("bitnand", [Int(a), Int(b)]) => Int(a & !b),
        ("bitnot", [Int(a)]) => Int(!a),
        ("bitshl" | "bitshr" | "bitushr", [Int(a), Int(b)]) => {
            let Ok(by) = u32::try_from(*b) else {
                return Some(Err(Fail::run(format!("invalid operation: negative shift count {b} (type int)"))));
            };
            match name {
                "bitshl" => Int(a.checked_shl(by).unwrap_or(0)),
                "bitshr" => Int(a.checked_shr(by).unwrap_or(if *a < 0 { -1 } else { 0 })),
                _ => Int((*a as u64).checked_shr(by).unwrap_or(0) as i64),
            }
        }
        _ => return None,
    }))
}

fn int(value: &Value) -> Result<Value, Fail> {
    match value {
        Value::Int(n) => Ok(Value::Int(*n)),
        Value::Float(n) => Ok(Value::Int(*n as i64)),
        Value::Duration(n) => Ok(Value::Int(*n)),
        Value::Str(s) => s.parse().map(Value::Int).map_err(|_| Fail::run(format!("invalid operation: int({s})"))),
        other => Err(Fail::run(format!("invalid operation: int({})", other.type_name()))),
    }
}

fn float(value: &Value) -> Result<Value, Fail> {
    match value {
        Value::Str(s) => s.parse().map(Value::Float).map_err(|_| Fail::run(format!("invalid operation: float({s})"))),
        other => match other.as_number() {
            Some(n) => Ok(Value::Float(n)),
            None => Err(Fail::run(format!("invalid operation: float({})", other.type_name()))),
        },
    }
}

fn extreme(name: &str, items: &[Value], want: Ordering) -> Result<Value, Fail> {
    let mut best: Option<Value> = None;
    for item in items {
        let candidate = match item {
            Value::Array(inner) => match extreme(name, inner, want)? {
                Value::Nil => continue,
                value => value,
            },
            Value::Int(_) | Value::Float(_) => item.clone(),
            _ => return Err(invalid(name, std::slice::from_ref(item))),
        };
        if best.as_ref().is_none_or(|best| ops::compare(&candidate, best) == Some(want)) {
            best = Some(candidate);
        }
    }
    Ok(best.unwrap_or(Value::Nil))
}

fn flatten(name: &str, items: &[Value], out: &mut Vec<f64>) -> Result<(), Fail> {
    for item in items {
        match item {
            Value::Array(inner) => flatten(name, inner, out)?,
            item => out.push(item.as_number().ok_or_else(|| invalid(name, std::slice::from_ref(item)))?),
        }
    }
    Ok(())
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    if numbers.len() % 2 == 1 { numbers[middle] } else { (numbers[middle - 1] + numbers[middle]) / 2.0 }
}
