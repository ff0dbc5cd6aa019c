//! What is known of types, and which the operators take.

use super::super::ast::Binary;
use super::super::value::time_of;

/// What is known of a value's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Any,
    Nil,
    Bool,
    Int,
    Float,
    Str,
    Array,
    Map,
    Time,
    Duration,
}

impl Type {
    pub fn name(self) -> &'static str {
        match self {
            Type::Any => "unknown",
            Type::Nil => "nil",
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Float => "float64",
            Type::Str => "string",
            Type::Array => "[]interface {}",
            Type::Map => "map[string]interface {}",
            Type::Time => "time.Time",
            Type::Duration => "time.Duration",
        }
    }

    pub fn may_be(self, kinds: &[Type]) -> bool {
        self == Type::Any || kinds.contains(&self)
    }

    pub fn is_number(self) -> bool {
        self.may_be(&[Type::Int, Type::Float])
    }

    pub fn of_json(json: &serde_json::Value) -> Type {
        match json {
            serde_json::Value::Null => Type::Nil,
            serde_json::Value::Bool(_) => Type::Bool,
            serde_json::Value::Number(_) => Type::Float,
            serde_json::Value::String(_) => Type::Str,
            serde_json::Value::Array(_) => Type::Array,
            serde_json::Value::Object(map) if time_of(map).is_some() => Type::Time,
            serde_json::Value::Object(_) => Type::Map,
        }
    }
}

/// The result of an operator on two types, `None` when they cannot fit.
pub(super) fn operator(op: Binary, a: Type, b: Type) -> Option<Type> {
    let any = a == Type::Any || b == Type::Any;
    let both = |kinds: &[Type]| a.may_be(kinds) && b.may_be(kinds);
    let same = |kind: Type| a.may_be(&[kind]) && b.may_be(&[kind]);
    let numbers = a.is_number() && b.is_number();
    match op {
        Binary::Equal | Binary::NotEqual => {
            let fits = any || a == b || a == Type::Nil || b == Type::Nil || numbers;
            fits.then_some(Type::Bool)
        }
        Binary::Or | Binary::And => same(Type::Bool).then_some(Type::Bool),
        Binary::Less | Binary::Greater | Binary::LessEqual | Binary::GreaterEqual => {
            let fits = numbers || same(Type::Str) || same(Type::Time) || same(Type::Duration);
            fits.then_some(Type::Bool)
        }
        Binary::In => b.may_be(&[Type::Array, Type::Map, Type::Nil]).then_some(Type::Bool),
        Binary::Matches | Binary::Contains | Binary::StartsWith | Binary::EndsWith => {
            both(&[Type::Str, Type::Nil]).then_some(Type::Bool)
        }
        Binary::Range => same(Type::Int).then_some(Type::Array),
        Binary::Add => {
            if same(Type::Str) && !any {
                return Some(Type::Str);
            }
            let time = (a.may_be(&[Type::Time]) && b.may_be(&[Type::Duration]))
                || (a.may_be(&[Type::Duration]) && b.may_be(&[Type::Time, Type::Duration]));
            (numbers || same(Type::Str) || time).then(|| arithmetic(a, b))
        }
        Binary::Sub => {
            let time = a.may_be(&[Type::Time]) && b.may_be(&[Type::Time, Type::Duration]);
            (numbers || time || same(Type::Duration)).then(|| match (a, b) {
                (Type::Time, Type::Time) => Type::Duration,
                (Type::Time, Type::Duration) => Type::Time,
                _ => arithmetic(a, b),
            })
        }
        Binary::Mul => {
            let duration = (a == Type::Duration && (b.is_number() || b == Type::Duration))
                || (b == Type::Duration && a.is_number());
            (numbers || duration).then(|| arithmetic(a, b))
        }
        Binary::Div | Binary::Pow => numbers.then_some(Type::Float),
        Binary::Rem => same(Type::Int).then_some(Type::Int),
        Binary::Coalesce => Some(if a == b { a } else { Type::Any }),
    }
}

fn arithmetic(a: Type, b: Type) -> Type {
    match (a, b) {
        (Type::Int, Type::Int) => Type::Int,
        (Type::Int | Type::Float, Type::Int | Type::Float) => Type::Float,
        _ => Type::Any,
    }
}
