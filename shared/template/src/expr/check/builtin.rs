//! Calls of builtins.

use super::super::ast::{Kind, Node};
use super::super::builtins::{self, Shape};
use super::super::error::Fail;
use super::Checker;
use super::types::Type;

/// Builtins with fixed parameter types: `s` is a string, `i` an int, `.` anything. Go names them in its complaints.
const SIGNATURES: &[(&str, &str)] = &[
    ("trim", "ss"),
    ("trimPrefix", "ss"),
    ("trimSuffix", "ss"),
    ("upper", "s"),
    ("lower", "s"),
    ("split", "ssi"),
    ("splitAfter", "ssi"),
    ("replace", "sssi"),
    ("repeat", "si"),
    ("join", ".s"),
    ("indexOf", "ss"),
    ("lastIndexOf", "ss"),
    ("hasPrefix", "ss"),
    ("hasSuffix", "ss"),
    ("fromJSON", "s"),
    ("toBase64", "s"),
    ("fromBase64", "s"),
    ("duration", "s"),
    ("timezone", "s"),
];

/// Builtins whose first argument must be of certain types, and what Go says of another.
const FIRST: &[(&str, &[Type], &str)] = &[
    ("len", &[Type::Str, Type::Array, Type::Map], "invalid argument for len (type {})"),
    ("abs", &[Type::Int, Type::Float], "invalid argument for abs (type {})"),
    ("ceil", &[Type::Int, Type::Float], "invalid argument for ceil (type {})"),
    ("floor", &[Type::Int, Type::Float], "invalid argument for floor (type {})"),
    ("round", &[Type::Int, Type::Float], "invalid argument for round (type {})"),
    ("int", &[Type::Int, Type::Float, Type::Str, Type::Duration], "invalid argument for int (type {})"),
    ("float", &[Type::Int, Type::Float, Type::Str], "invalid argument for float (type {})"),
    ("max", &[Type::Int, Type::Float, Type::Array], "invalid argument for max (type {})"),
    ("min", &[Type::Int, Type::Float, Type::Array], "invalid argument for min (type {})"),
    ("mean", &[Type::Int, Type::Float, Type::Array], "invalid argument for mean (type {})"),
    ("median", &[Type::Int, Type::Float, Type::Array], "invalid argument for median (type {})"),
    ("first", &[Type::Array], "cannot get first element from {}"),
    ("last", &[Type::Array], "cannot get last element from {}"),
    ("take", &[Type::Array], "cannot take from {}"),
    ("keys", &[Type::Map], "cannot get keys from {}"),
    ("values", &[Type::Map], "cannot get values from {}"),
    ("toPairs", &[Type::Map], "cannot transform {} to pairs"),
    ("fromPairs", &[Type::Array], "cannot transform {} from pairs"),
    ("reverse", &[Type::Array], "cannot reverse {}"),
    ("uniq", &[Type::Array], "cannot uniq {}"),
    ("concat", &[Type::Array], "cannot concat {}"),
    ("flatten", &[Type::Array], "cannot flatten {}"),
    ("sort", &[Type::Array], "cannot sort {}"),
];

impl<'a> Checker<'a> {
    pub(super) fn builtin(&mut self, name: &str, args: &'a [Node], at: usize) -> Result<Type, Fail> {
        if let Some(json) = self.env.var(name) {
            let kind = Type::of_json(json).name();
            return Err(Fail::check(format!("{kind} is not callable"), at));
        }
        let mut kinds = Vec::with_capacity(args.len());
        for arg in args {
            kinds.push(self.of(arg)?);
        }
        let signature = SIGNATURES.iter().find(|(n, _)| *n == name).map(|(_, types)| *types);
        count(name, args.len(), signature.is_some(), at)?;
        for ((kind, want), arg) in kinds.iter().zip(signature.unwrap_or_default().chars()).zip(args) {
            let (fits, want) = match want {
                's' => (kind.may_be(&[Type::Str]), "string"),
                'i' => (kind.may_be(&[Type::Int]), "int"),
                _ => continue,
            };
            if !fits {
                let kind = kind.name();
                let message = format!("cannot use {kind} as argument (type {want}) to call {name} ");
                return Err(Fail::check(message, arg.at));
            }
        }
        let first = kinds.first().copied().unwrap_or(Type::Any);
        let first_at = args.first().map_or(at, |arg| arg.at);
        if let Some((_, wanted, complaint)) = FIRST.iter().find(|(n, ..)| *n == name)
            && !first.may_be(wanted)
        {
            return Err(Fail::check(complaint.replace("{}", first.name()), at));
        }
        if name == "concat"
            && let Some(other) = kinds.iter().find(|kind| !kind.may_be(&[Type::Array]))
        {
            return Err(Fail::check(format!("cannot concat {}", other.name()), at));
        }
        if name == "get" && !first.may_be(&[Type::Array, Type::Map]) {
            let message = format!("type {} does not support indexing", first.name());
            return Err(Fail::check(message, first_at));
        }
        if matches!(builtins::shape(name), Some(Shape::Closure { .. })) {
            if !first.may_be(&[Type::Array]) {
                let message = format!("builtin {name} takes only array (got {})", first.name());
                return Err(Fail::check(message, first_at));
            }
            let closure = kinds.get(1).copied().unwrap_or(Type::Any);
            if needs_bool(name) && !closure.may_be(&[Type::Bool]) {
                let message = format!("predicate should return boolean (got {})", closure.name());
                return Err(Fail::check(message, args.get(1).map_or(at, closure_place)));
            }
        }
        Ok(result(name))
    }
}

fn closure_place(node: &Node) -> usize {
    match &node.kind {
        Kind::Closure(body) => body.at,
        _ => node.at,
    }
}

fn needs_bool(name: &str) -> bool {
    matches!(name, "all" | "any" | "none" | "one" | "filter" | "count") || name.starts_with("find")
}

/// The number of arguments.
fn count(name: &str, given: usize, has_signature: bool, at: usize) -> Result<(), Fail> {
    let Some((min, max)) = builtins::arity(name) else {
        return Ok(());
    };
    if (min..=max).contains(&given) {
        return Ok(());
    }
    let message = match (given < min, has_signature) {
        (true, true) => format!("not enough arguments to call {name}"),
        (false, true) => format!("too many arguments to call {name}"),
        (true, false) if max == usize::MAX => {
            format!("invalid number of arguments (expected at least {min}, got {given})")
        }
        _ if name == "now" || min == max => {
            format!("invalid number of arguments (expected {min}, got {given})")
        }
        (true, false) => format!("not enough arguments to call {name}"),
        (false, false) => format!("too many arguments to call {name}"),
    };
    Err(Fail::check(message, at))
}

/// The type of the result, as far as it is known.
fn result(name: &str) -> Type {
    match name {
        "len" | "int" | "count" | "indexOf" | "lastIndexOf" => Type::Int,
        "float" | "ceil" | "floor" | "round" => Type::Float,
        "string" | "upper" | "lower" | "trim" | "trimPrefix" | "trimSuffix" | "replace" | "repeat" | "join"
        | "toJSON" | "toBase64" | "fromBase64" | "type" => Type::Str,
        "all" | "any" | "none" | "one" | "hasPrefix" | "hasSuffix" => Type::Bool,
        "filter" | "map" | "split" | "splitAfter" | "keys" | "values" | "concat" | "sort" | "sortBy" | "uniq"
        | "reverse" | "flatten" | "toPairs" => Type::Array,
        "now" | "date" => Type::Time,
        "duration" => Type::Duration,
        "groupBy" | "fromPairs" => Type::Map,
        _ => Type::Any,
    }
}
