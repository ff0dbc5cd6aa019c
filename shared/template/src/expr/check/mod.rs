//! The checks Go expr makes before evaluating: names that do not exist and types that cannot fit.
//!
//! Types are known for literals, for results of operators, and for variables of the top level. Members of variables
//! can be anything, as in Go, where the nested maps hold `any`.

mod builtin;
mod types;

use types::{Type, operator};

use super::ast::{Binary, Kind, Node, Unary};
use super::env::Env;
use super::error::Fail;
use super::eval::function_name;
use super::{builtins, methods, ops};

struct Checker<'a> {
    env: Env<'a>,
    source: &'a str,
    lets: Vec<(&'a str, Type)>,
}

/// Checks a whole expression, of which `source` is the text.
pub(crate) fn check(node: &Node, source: &str, env: Env<'_>) -> Result<(), Fail> {
    let mut checker = Checker { env, source, lets: Vec::new() };
    checker.of(node).map(drop)
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
                    let message = format!("non-bool expression (type {}) used as condition", kind.name());
                    return Err(Fail::check(message, test.at));
                }
                let (yes, no) = (self.of(yes)?, self.of(no)?);
                if yes == no { yes } else { Type::Any }
            }
            Kind::Member { base, property, .. } => self.member(base, property, node.at, "field")?,
            Kind::Chain(inner) => {
                self.of(inner)?;
                Type::Any
            }
            Kind::Slice { base, from, to } => {
                let kind = self.of(base)?;
                if !kind.may_be(&[Type::Array, Type::Str]) {
                    return Err(Fail::check(format!("cannot slice {}", kind.name()), node.at));
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
                    return Err(Fail::check(format!("cannot redeclare builtin {name}"), node.at));
                }
                if self.lets.iter().any(|(n, _)| n == name) {
                    return Err(Fail::check(format!("cannot redeclare variable {name}"), node.at));
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

    /// The operator as it is written.
    fn spelled(&self, at: usize, symbol: &'static str) -> &'static str {
        let rest = self.source.char_indices().nth(at).map_or("", |(i, _)| &self.source[i..]);
        let words = ["and", "or", "not", "^"];
        words.into_iter().find(|word| rest.starts_with(word)).unwrap_or(symbol)
    }

    fn ident(&self, name: &str, at: usize) -> Result<Type, Fail> {
        if let Some((_, kind)) = self.lets.iter().rev().find(|(n, _)| *n == name) {
            return Ok(*kind);
        }
        if name == "$env" {
            return Ok(Type::Map);
        }
        if self.env.is_function_name(name) {
            return Ok(if name == "sprig" { Type::Map } else { Type::Any });
        }
        self.env.var(name).map(Type::of_json).ok_or_else(|| Fail::unknown(name, at))
    }

    fn unary(&mut self, op: Unary, operand: &'a Node, at: usize) -> Result<Type, Fail> {
        let kind = self.of(operand)?;
        let fits = match op {
            Unary::Not => kind.may_be(&[Type::Bool]),
            Unary::Minus | Unary::Plus => kind.is_number(),
        };
        if fits {
            return Ok(kind);
        }
        Err(Fail::check(
            format!("invalid operation: {} (mismatched type {})", self.spelled(at, op.symbol()), kind.name()),
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
                    self.spelled(at, op.symbol())
                );
                Fail::check(message, at)
            })?;
            if let (Binary::Matches, Kind::Str(pattern)) = (op, &right.kind)
                && let Err(e) = regex::RegexBuilder::new(pattern).size_limit(crate::limits::PATTERN_BYTES_MAX).build()
            {
                return Err(Fail::check(ops::regex_error(&e, pattern), at));
            }
        }
        Ok(kind)
    }

    /// `what` is what Go calls the member in its complaints.
    fn member(&mut self, base: &'a Node, property: &'a Node, at: usize, what: &str) -> Result<Type, Fail> {
        let base_kind = self.of(base)?;
        let name = match &property.kind {
            Kind::Str(name) => Some(name.as_str()),
            _ => None,
        };
        let key = self.of(property)?;
        match base_kind {
            Type::Any => Ok(Type::Any),
            Type::Map => match key {
                Type::Any | Type::Str => Ok(Type::Any),
                other => {
                    let message = format!("cannot use {} to get an element from {}", other.name(), base_kind.name());
                    Err(Fail::check(message, property.at))
                }
            },
            Type::Array => match key {
                Type::Any | Type::Int => Ok(Type::Any),
                other => Err(Fail::check(
                    format!("array elements can only be selected using an integer (got {})", other.name()),
                    property.at,
                )),
            },
            Type::Time if name.is_some_and(|n| methods::TIME.contains(&n)) => Ok(Type::Any),
            Type::Duration if name.is_some_and(|n| methods::DURATION.contains(&n)) => Ok(Type::Any),
            other => {
                let message = match name {
                    Some(name) => format!("type {} has no {what} {name}", other.name()),
                    None => format!("type {}[{}] is undefined", other.name(), key.name()),
                };
                Err(Fail::check(message, at))
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
            Kind::Member { base, property, .. } => {
                self.member(base, property, callee.at, "method")?;
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
}
