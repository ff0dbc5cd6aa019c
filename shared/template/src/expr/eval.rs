//! Evaluation of the syntax tree.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::ast::{Binary, Kind, Node, Unary};
use super::budget::Budget;
use super::builtins;
use super::costs;
use super::env::Env;
use super::error::Fail;
use super::value::Value;
use super::{functions, methods, ops};

/// What `#`, `#index` and `#acc` mean inside a closure.
#[derive(Clone)]
pub(crate) struct Pointer {
    pub item: Value,
    pub index: usize,
    pub acc: Option<Value>,
}

pub(crate) struct Eval<'a> {
    pub env: Env<'a>,
    pub budget: &'a Budget<'a>,
    lets: Vec<(&'a str, Value)>,
    pointers: Vec<Pointer>,
}

/// The end of a chain at a nil before `?.` travels as this failure.
enum Stop {
    Nil,
    Fail(Fail),
}

impl From<Fail> for Stop {
    fn from(fail: Fail) -> Self {
        Stop::Fail(fail)
    }
}

impl<'a> Eval<'a> {
    pub fn new(env: Env<'a>, budget: &'a Budget<'a>) -> Self {
        Eval { env, budget, lets: Vec::new(), pointers: Vec::new() }
    }

    pub fn eval(&mut self, node: &'a Node) -> Result<Value, Fail> {
        self.budget.steps(1)?;
        self.value(node).map_err(|fail| fail.or_at(node.at))
    }

    fn value(&mut self, node: &'a Node) -> Result<Value, Fail> {
        Ok(match &node.kind {
            Kind::Nil => Value::Nil,
            Kind::Bool(b) => Value::Bool(*b),
            Kind::Int(n) => Value::Int(*n),
            Kind::Float(n) => Value::Float(*n),
            Kind::Str(s) => {
                self.budget.text(s.len())?;
                Value::str(s)
            }
            Kind::Ident(name) => self.ident(name)?,
            Kind::Pointer(name) => self.pointer(name)?,
            Kind::Unary(op, operand) => self.unary(*op, operand)?,
            Kind::Binary(..) => self.binary(node)?,
            Kind::Cond(test, yes, no) => {
                let test = self.eval(test)?;
                self.eval(if ops::truth(&test)? { yes } else { no })?
            }
            Kind::Member { .. } | Kind::Chain(_) => match self.chain(node) {
                Ok(value) => value,
                Err(Stop::Nil) => Value::Nil,
                Err(Stop::Fail(fail)) => return Err(fail),
            },
            Kind::Slice { base, from, to } => {
                let base = self.eval(base)?;
                let from = from.as_ref().map(|n| self.eval(n)).transpose()?;
                let to = to.as_ref().map(|n| self.eval(n)).transpose()?;
                self.budget.made_of(&base, 0)?;
                if let Value::Array(items) = &base {
                    self.budget.list(items.len())?;
                }
                builtins::slice(&base, from.as_ref(), to.as_ref())?
            }
            Kind::Call { callee, args } => self.call(callee, args)?,
            Kind::Builtin { name, args } => self.builtin(name, args)?,
            Kind::Closure(body) => self.eval(body)?,
            Kind::Let { name, value, body } => {
                let value = self.eval(value)?;
                self.lets.push((name, value));
                let out = self.eval(body);
                self.lets.pop();
                out?
            }
            Kind::Sequence(nodes) => {
                let mut last = Value::Nil;
                for node in nodes {
                    last = self.eval(node)?;
                }
                last
            }
            Kind::Array(nodes) => {
                self.budget.list(nodes.len())?;
                Value::array(nodes.iter().map(|n| self.eval(n)).collect::<Result<_, _>>()?)
            }
            Kind::Map(pairs) => {
                self.budget.list(pairs.len())?;
                let mut map = BTreeMap::new();
                for (key, value) in pairs {
                    let key = match self.eval(key)? {
                        Value::Str(key) => key.to_string(),
                        other => {
                            let shown = other.type_name();
                            return Err(Fail::run(format!(
                                "interface conversion: interface {{}} is {shown}, not string"
                            )));
                        }
                    };
                    map.insert(key, self.eval(value)?);
                }
                Value::map(map)
            }
        })
    }

    fn ident(&self, name: &str) -> Result<Value, Fail> {
        if let Some((_, value)) = self.lets.iter().rev().find(|(n, _)| *n == name) {
            return Ok(value.clone());
        }
        let json = if name == "$env" { Some(self.env.vars) } else { self.env.var(name) };
        match json {
            Some(json) => {
                self.budget.copied(json)?;
                Ok(Value::from_json(json))
            }
            None => Ok(Value::Nil),
        }
    }

    fn pointer(&self, name: &str) -> Result<Value, Fail> {
        let Some(pointer) = self.pointers.last() else {
            return Err(Fail::run("cannot use pointer accessor outside closure"));
        };
        Ok(match name {
            "index" => Value::Int(pointer.index as i64),
            "acc" => pointer.acc.clone().unwrap_or(Value::Nil),
            _ => pointer.item.clone(),
        })
    }

    fn unary(&mut self, op: Unary, operand: &'a Node) -> Result<Value, Fail> {
        let value = self.eval(operand)?;
        match (op, &value) {
            (Unary::Not, _) => Ok(Value::Bool(!ops::truth(&value)?)),
            (Unary::Minus, Value::Int(n)) => Ok(Value::Int(n.wrapping_neg())),
            (Unary::Minus, Value::Float(n)) => Ok(Value::Float(-n)),
            (Unary::Minus, Value::Duration(n)) => Ok(Value::Duration(n.wrapping_neg())),
            (Unary::Plus, Value::Int(_) | Value::Float(_)) => Ok(value),
            _ => Err(Fail::run(format!("invalid operation: {} {}", op.symbol(), value.type_name()))),
        }
    }

    /// Goes down the left side in a loop, as a long `a || b || c …` leans that way.
    fn binary(&mut self, node: &'a Node) -> Result<Value, Fail> {
        let mut pending = Vec::new();
        let mut at = node;
        while let Kind::Binary(op, left, right) = &at.kind {
            pending.push((*op, right, at.at));
            at = left;
        }
        let mut value = self.eval(at)?;
        while let Some((op, right, at)) = pending.pop() {
            value = match op {
                Binary::And if !ops::truth(&value).map_err(|f| f.or_at(at))? => Value::Bool(false),
                Binary::Or if ops::truth(&value).map_err(|f| f.or_at(at))? => Value::Bool(true),
                Binary::Coalesce if !value.is_nil() => value,
                op => {
                    let right = self.eval(right)?;
                    self.operate(op, &value, &right).map_err(|f| f.or_at(at))?
                }
            };
        }
        Ok(value)
    }

    /// An operator on two values, and what it takes.
    fn operate(&self, op: Binary, left: &Value, right: &Value) -> Result<Value, Fail> {
        match (op, left, right) {
            (Binary::Add, Value::Str(a), Value::Str(b)) => self.budget.text(a.len() + b.len())?,
            (Binary::Range, Value::Int(a), Value::Int(b)) if a <= b => {
                self.budget.list(usize::try_from(b.saturating_sub(*a)).unwrap_or(usize::MAX))?;
            }
            (Binary::Matches, Value::Str(text), Value::Str(pattern)) => {
                self.budget.walk(left)?;
                return Ok(Value::Bool(self.budget.pattern(pattern)?.is_match(text)));
            }
            (_, Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Nil, _)
                if !matches!(right, Value::Array(_) | Value::Map(_)) => {}
            (_, Value::Str(a), Value::Str(b)) if a.len() + b.len() < 64 => {}
            _ => {
                self.budget.walk(left)?;
                self.budget.walk(right)?;
            }
        }
        ops::binary(op, left, right)
    }

    /// Walks constant members of a variable without copying what is passed by.
    fn json_path(&self, node: &'a Node) -> Option<&'a Json> {
        match &node.kind {
            Kind::Ident(name) if !self.lets.iter().any(|(n, _)| n == name) => self.env.var(name),
            Kind::Member { base, property, .. } => match &property.kind {
                Kind::Str(name) => self.json_path(base)?.as_object()?.get(name),
                _ => None,
            },
            _ => None,
        }
    }

    fn chain(&mut self, node: &'a Node) -> Result<Value, Stop> {
        if let Some(json) = self.json_path(node) {
            self.budget.copied(json)?;
            return Ok(Value::from_json(json));
        }
        match &node.kind {
            Kind::Member { base, property, optional } => {
                let base = match &base.kind {
                    Kind::Member { .. } => self.chain(base)?,
                    Kind::Call { callee, args } if matches!(callee.kind, Kind::Member { .. }) => {
                        self.call_in_chain(callee, args)?
                    }
                    _ => self.eval(base)?,
                };
                if *optional && base.is_nil() {
                    return Err(Stop::Nil);
                }
                let property = self.eval(property)?;
                if matches!(property, Value::Array(_) | Value::Map(_)) {
                    // It is no key; the error shows it.
                    self.budget.walk(&property)?;
                }
                Ok(builtins::fetch(&base, &property).map_err(|fail| fail.or_at(node.at))?)
            }
            Kind::Chain(inner) => match self.chain(inner) {
                Err(Stop::Nil) => Ok(Value::Nil),
                other => other,
            },
            Kind::Call { callee, args } => self.call_in_chain(callee, args),
            _ => Ok(self.eval(node)?),
        }
    }

    fn call(&mut self, callee: &'a Node, args: &'a [Node]) -> Result<Value, Fail> {
        match self.call_in_chain(callee, args) {
            Ok(value) => Ok(value),
            Err(Stop::Nil) => Ok(Value::Nil),
            Err(Stop::Fail(fail)) => Err(fail),
        }
    }

    fn call_in_chain(&mut self, callee: &'a Node, args: &'a [Node]) -> Result<Value, Stop> {
        if let Some(name) = function_name(callee)
            && name.split('.').next().is_some_and(|root| self.env.is_function_name(root))
        {
            let args = self.all(args)?;
            costs::charge(&name, &args, self.budget)?;
            let result = functions::call(&name, &args, &self.env, self.budget);
            return Ok(self.made(result).map_err(|fail| fail.or_at(callee.at))?);
        }
        if let Kind::Member { base, property, optional } = &callee.kind
            && let Kind::Str(method) = &property.kind
        {
            let receiver = match &base.kind {
                Kind::Member { .. } | Kind::Call { .. } => self.chain(base)?,
                _ => self.eval(base)?,
            };
            if *optional && receiver.is_nil() {
                return Err(Stop::Nil);
            }
            let args = self.all(args)?;
            args.iter().try_for_each(|arg| self.budget.walk(arg))?;
            return Ok(methods::call(&receiver, method, &args).map_err(|fail| fail.or_at(callee.at))?);
        }
        let value = self.eval(callee)?;
        Err(Stop::Fail(Fail::run(format!("{} is not callable", value.type_name())).or_at(callee.at)))
    }

    fn all(&mut self, nodes: &'a [Node]) -> Result<Vec<Value>, Fail> {
        nodes.iter().map(|n| self.eval(n)).collect()
    }

    fn builtin(&mut self, name: &str, args: &'a [Node]) -> Result<Value, Fail> {
        if let [list, Node { kind: Kind::Closure(body), .. }, rest @ ..] = args {
            let list = self.eval(list)?;
            let rest = self.all(rest)?;
            return builtins::closures::call(self, name, &list, body, &rest);
        }
        let args = self.all(args)?;
        costs::charge(name, &args, self.budget)?;
        self.made(builtins::call(name, &args, &self.env))
    }

    /// What a function gives, when how much that is could not be told before.
    fn made(&self, result: Result<Value, Fail>) -> Result<Value, Fail> {
        if let Ok(Value::Array(items)) = &result {
            self.budget.list(items.len())?;
        }
        result
    }

    /// Evaluates a closure's body for one item.
    pub fn apply(&mut self, body: &'a Node, pointer: Pointer) -> Result<Value, Fail> {
        self.pointers.push(pointer);
        let out = self.eval(body);
        self.pointers.pop();
        out
    }
}

/// `asInt`, `sprig.upper`: the dotted name of what is called, if it is one.
pub(crate) fn function_name(callee: &Node) -> Option<String> {
    match &callee.kind {
        Kind::Ident(name) => Some(name.clone()),
        Kind::Member { base, property, .. } => match (&base.kind, &property.kind) {
            (Kind::Ident(base), Kind::Str(name)) => Some(format!("{base}.{name}")),
            _ => None,
        },
        _ => None,
    }
}
