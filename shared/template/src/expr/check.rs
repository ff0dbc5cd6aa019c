//! The checks Go expr makes before evaluating: names that do not exist and types that cannot fit.
//!
//! Types are known for literals, for results of operators, and for variables of the top level. Members of variables
//! can be anything, as in Go, where the nested maps hold `any`.

use super::ast::{Binary, Kind, Node, Unary};
use super::env::Env;
use super::error::Fail;
use super::eval::function_name;
use super::{builtins, functions, methods};

/// What is known of a value's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
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
    fn name(self) -> &'static str {
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

    fn may_be(self, kinds: &[Type]) -> bool {
        self == Type::Any || kinds.contains(&self)
    }

    fn is_number(self) -> bool {
        self.may_be(&[Type::Int, Type::Float])
    }

    fn of_json(json: &serde_json::Value) -> Type {
        match json {
            serde_json::Value::Null => Type::Nil,
            serde_json::Value::Bool(_) => Type::Bool,
            serde_json::Value::Number(_) => Type::Float,
            serde_json::Value::String(_) => Type::Str,
            serde_json::Value::Array(_) => Type::Array,
            serde_json::Value::Object(_) => Type::Map,
        }
    }
}

struct Checker<'a> {
    env: Env<'a>,
    lets: Vec<(&'a str, Type)>,
}

/// Checks a whole expression.
pub(crate) fn check(node: &Node, env: Env<'_>) -> Result<(), Fail> {
    Checker {
        env,
        lets: Vec::new(),
    }
    .of(node)
    .map(drop)
}

impl<'a> Checker<'a> {
    fn of(&mut self, node: &'a Node) -> Result<Type, Fail> {
        Ok(match &node.kind {
            Kind::Nil => Type::Nil,
            Kind::Bool(_) => Type::Bool,
            Kind::Int(_) => Type::Int,
            Kind::Float(_) => Type::Float,
            Kind::Str(_) => Type::Str,
            Kind::Ident(name) => self.ident(name, node.at)?,
            Kind::Pointer(name) if name == "index" => Type::Int,
            Kind::Pointer(_) => Type::Any,
            Kind::Unary(op, operand) => self.unary(*op, operand, node.at)?,
            Kind::Binary(..) => self.binary(node)?,
            Kind::Cond(test, yes, no) => {
                let kind = self.of(test)?;
                if !kind.may_be(&[Type::Bool]) {
                    let message = format!(
                        "non-bool expression (type {}) used as condition",
                        kind.name()
                    );
                    return Err(Fail::check(message, test.at));
                }
                let (yes, no) = (self.of(yes)?, self.of(no)?);
                if yes == no { yes } else { Type::Any }
            }
            Kind::Member { base, property, .. } => self.member(base, property)?,
            Kind::Chain(inner) => {
                self.of(inner)?;
                Type::Any
            }
            Kind::Slice { base, from, to } => {
                let kind = self.of(base)?;
                if !kind.may_be(&[Type::Array, Type::Str]) {
                    return Err(Fail::check(
                        format!("cannot slice {}", kind.name()),
                        node.at,
                    ));
                }
                for bound in [from, to].into_iter().flatten() {
                    let kind = self.of(bound)?;
                    if !kind.may_be(&[Type::Int]) {
                        let message = format!("non-integer slice index {}", kind.name());
                        return Err(Fail::check(message, bound.at));
                    }
                }
                kind
            }
            Kind::Call { callee, args } => self.call(callee, args, node.at)?,
            Kind::Builtin { name, args } => self.builtin(name, args, node.at)?,
            Kind::Closure(body) => self.of(body)?,
            Kind::Let { name, value, body } => {
                let kind = self.of(value)?;
                if self.env.var(name).is_some() || self.env.is_function_name(name) {
                    return Err(Fail::check(format!("cannot redeclare {name}"), node.at));
                }
                if builtins::shape(name).is_some() {
                    return Err(Fail::check(
                        format!("cannot redeclare builtin {name}"),
                        node.at,
                    ));
                }
                if self.lets.iter().any(|(n, _)| n == name) {
                    return Err(Fail::check(
                        format!("cannot redeclare variable {name}"),
                        node.at,
                    ));
                }
                self.lets.push((name, kind));
                let out = self.of(body);
                self.lets.pop();
                out?
            }
            Kind::Sequence(nodes) => {
                let mut last = Type::Nil;
                for node in nodes {
                    last = self.of(node)?;
                }
                last
            }
            Kind::Array(nodes) => {
                for node in nodes {
                    self.of(node)?;
                }
                Type::Array
            }
            Kind::Map(pairs) => {
                for (key, value) in pairs {
                    self.of(key)?;
                    self.of(value)?;
                }
                Type::Map
            }
        })
    }

    fn ident(&self, name: &str, at: usize) -> Result<Type, Fail> {
        if let Some((_, kind)) = self.lets.iter().rev().find(|(n, _)| *n == name) {
            return Ok(*kind);
        }
        if name == "$env" {
            return Ok(Type::Map);
        }
        if self.env.is_function_name(name) {
            return Ok(if name == "sprig" {
                Type::Map
            } else {
                Type::Any
            });
        }
        self.env
            .var(name)
            .map(Type::of_json)
            .ok_or_else(|| Fail::unknown(name, at))
    }

    fn unary(&mut self, op: Unary, operand: &'a Node, at: usize) -> Result<Type, Fail> {
        let kind = self.of(operand)?;
        let fits = match op {
            Unary::Not => kind.may_be(&[Type::Bool]),
            Unary::Minus | Unary::Plus => kind.is_number() || kind == Type::Duration,
        };
        if fits {
            return Ok(kind);
        }
        Err(Fail::check(
            format!(
                "invalid operation: {} (mismatched type {})",
                op.symbol(),
                kind.name()
            ),
            at,
        ))
    }

    /// Down the left side in a loop, as in the evaluation.
    fn binary(&mut self, node: &'a Node) -> Result<Type, Fail> {
        let mut pending = Vec::new();
        let mut at = node;
        while let Kind::Binary(op, left, right) = &at.kind {
            pending.push((*op, right, at.at));
            at = left;
        }
        let mut kind = self.of(at)?;
        while let Some((op, right, at)) = pending.pop() {
            let other = self.of(right)?;
            kind = operator(op, kind, other).ok_or_else(|| {
                let (left, right) = (kind.name(), other.name());
                let message = format!(
                    "invalid operation: {} (mismatched types {left} and {right})",
                    op.symbol()
                );
                Fail::check(message, at)
            })?;
            if let (Binary::Matches, Kind::Str(pattern)) = (op, &right.kind)
                && let Err(e) = regex::Regex::new(pattern)
            {
                return Err(Fail::check(super::ops::regex_error(&e, pattern), at));
            }
        }
        Ok(kind)
    }

    fn member(&mut self, base: &'a Node, property: &'a Node) -> Result<Type, Fail> {
        let base_kind = self.of(base)?;
        let name = match &property.kind {
            Kind::Str(name) => Some(name.as_str()),
            _ => None,
        };
        let key = self.of(property)?;
        match base_kind {
            Type::Any => Ok(Type::Any),
            Type::Map => match key {
                Type::Any | Type::Str => {
                    if let (Kind::Ident(root), Some(name)) = (&base.kind, name)
                        && self.env.is_function_name(root)
                        && !functions::exists(&format!("{root}.{name}"))
                    {
                        return Err(Fail::unknown(name, property.at));
                    }
                    Ok(Type::Any)
                }
                other => {
                    let message = format!(
                        "cannot use {} to get an element from {}",
                        other.name(),
                        base_kind.name()
                    );
                    Err(Fail::check(message, property.at))
                }
            },
            Type::Array => match key {
                Type::Any | Type::Int => Ok(Type::Any),
                other => Err(Fail::check(
                    format!(
                        "array elements can only be selected using an integer (got {})",
                        other.name()
                    ),
                    property.at,
                )),
            },
            Type::Str if key == Type::Int || key == Type::Any => Ok(Type::Any),
            Type::Time if name.is_some_and(|n| methods::TIME.contains(&n)) => Ok(Type::Any),
            Type::Duration if name.is_some_and(|n| methods::DURATION.contains(&n)) => Ok(Type::Any),
            other => {
                let message = match name {
                    Some(name) => format!("type {} has no field {name}", other.name()),
                    None => format!("type {}[{}] is undefined", other.name(), key.name()),
                };
                Err(Fail::check(message, property.at))
            }
        }
    }

    fn call(&mut self, callee: &'a Node, args: &'a [Node], at: usize) -> Result<Type, Fail> {
        match &callee.kind {
            Kind::Ident(name) => {
                let kind = self.ident(name, callee.at)?;
                let function = self.env.is_function_name(name) && name != "sprig";
                if !function && kind != Type::Any {
                    return Err(Fail::check(format!("{} is not callable", kind.name()), at));
                }
            }
            _ => {
                self.of(callee)?;
            }
        }
        for arg in args {
            self.of(arg)?;
        }
        if function_name(callee).is_some_and(|name| name == "asInt") {
            return Ok(Type::Int);
        }
        Ok(Type::Any)
    }

    fn builtin(&mut self, name: &str, args: &'a [Node], at: usize) -> Result<Type, Fail> {
        if let Some(json) = self.env.var(name) {
            return Err(Fail::check(
                format!("{} is not callable", Type::of_json(json).name()),
                at,
            ));
        }
        let mut kinds = Vec::with_capacity(args.len());
        for arg in args {
            kinds.push(self.of(arg)?);
        }
        if let Some((min, max)) = builtins::arity(name) {
            if args.len() < min {
                return Err(Fail::check(
                    format!("not enough arguments to call {name}"),
                    at,
                ));
            }
            if args.len() > max {
                return Err(Fail::check(
                    format!("too many arguments to call {name}"),
                    at,
                ));
            }
        }
        let first = kinds.first().copied().unwrap_or(Type::Any);
        let misfit = |kind: Type| {
            Fail::check(
                format!("invalid argument for {name} (type {})", kind.name()),
                at,
            )
        };
        let texts = [
            "upper",
            "lower",
            "trim",
            "split",
            "hasPrefix",
            "hasSuffix",
            "fromJSON",
            "duration",
            "date",
        ];
        if texts.contains(&name) && !first.may_be(&[Type::Str]) {
            return Err(misfit(first));
        }
        if name == "len" && !first.may_be(&[Type::Str, Type::Array, Type::Map]) {
            return Err(misfit(first));
        }
        if matches!(builtins::shape(name), Some(builtins::Shape::Closure { .. })) {
            if !first.may_be(&[Type::Array, Type::Map]) {
                return Err(Fail::check(
                    format!("builtin {name} takes only array (got {})", first.name()),
                    at,
                ));
            }
            let closure = kinds.get(1).copied().unwrap_or(Type::Any);
            let needs_bool = matches!(name, "all" | "any" | "none" | "one" | "filter" | "count")
                || name.starts_with("find");
            if needs_bool && !closure.may_be(&[Type::Bool]) {
                let message = format!("predicate should return boolean (got {})", closure.name());
                return Err(Fail::check(message, args.get(1).map_or(at, |a| a.at)));
            }
        }
        Ok(match name {
            "len" | "int" | "count" | "indexOf" | "lastIndexOf" | "findIndex" | "findLastIndex" => {
                Type::Int
            }
            "float" | "ceil" | "floor" | "round" => Type::Float,
            "string" | "upper" | "lower" | "trim" | "trimPrefix" | "trimSuffix" | "replace"
            | "repeat" | "join" | "toJSON" | "toBase64" | "type" => Type::Str,
            "all" | "any" | "none" | "one" | "hasPrefix" | "hasSuffix" => Type::Bool,
            "filter" | "map" | "split" | "splitAfter" | "keys" | "values" | "concat" | "sort"
            | "sortBy" | "uniq" | "reverse" | "flatten" | "toPairs" => Type::Array,
            "now" | "date" => Type::Time,
            "duration" => Type::Duration,
            "groupBy" | "fromPairs" => Type::Map,
            _ => Type::Any,
        })
    }
}

/// The result of an operator on two types, `None` when they cannot fit.
fn operator(op: Binary, a: Type, b: Type) -> Option<Type> {
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
        Binary::In => b
            .may_be(&[Type::Array, Type::Map, Type::Nil])
            .then_some(Type::Bool),
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
