//! Operands: literals, calls, members.

use super::super::ast::{Kind, Node, Unary};
use super::super::builtins::{Shape, shape};
use super::super::error::Fail;
use super::super::lexer::Tok;
use super::{DEPTH_MAX, Parser};

impl Parser {
    pub(super) fn primary(&mut self) -> Result<Node, Fail> {
        let at = self.at();
        if let Tok::Op(op) = *self.tok() {
            if let Some((unary, power)) = Unary::of(op) {
                self.next();
                let operand = self.expression(power)?;
                let node = self.node(at, Kind::Unary(unary, Box::new(operand)))?;
                return self.postfix(node);
            }
            if self.closures > 0 && (op == "#" || op == ".") {
                let mut name = String::new();
                if op == "#" {
                    self.next();
                    if let Tok::Ident(word) = self.tok() {
                        name = word.clone();
                        self.next();
                    }
                }
                let node = self.node(at, Kind::Pointer(name))?;
                return self.postfix(node);
            }
            if op == "::" {
                self.next();
                let name = self.ident()?;
                let node = self.call(name, at, vec![])?;
                return self.postfix(node);
            }
        }
        if self.eat_bracket('(') {
            let node = self.sequence()?;
            self.expect_bracket(')')?;
            return self.postfix(node);
        }
        let node = self.secondary(at)?;
        self.postfix(node)
    }

    fn secondary(&mut self, at: usize) -> Result<Node, Fail> {
        let kind = match self.tok().clone() {
            Tok::Ident(name) => {
                self.next();
                match name.as_str() {
                    "true" => Kind::Bool(true),
                    "false" => Kind::Bool(false),
                    "nil" => Kind::Nil,
                    _ if self.is_bracket('(') => return self.call(name, at, vec![]),
                    _ => Kind::Ident(name),
                }
            }
            Tok::Int(n) => {
                self.next();
                Kind::Int(n)
            }
            Tok::Float(n) => {
                self.next();
                Kind::Float(n)
            }
            Tok::Str(s) => {
                self.next();
                Kind::Str(s)
            }
            Tok::Bracket('[') => {
                self.next();
                Kind::Array(self.list(']')?)
            }
            Tok::Bracket('{') => {
                self.next();
                Kind::Map(self.pairs()?)
            }
            Tok::Op(_) | Tok::Bracket(_) | Tok::Eof => return Err(self.unexpected()),
        };
        self.node(at, kind)
    }

    /// Expressions separated by commas up to `close`, which is taken; a trailing comma is allowed.
    fn list(&mut self, close: char) -> Result<Vec<Node>, Fail> {
        let mut nodes = Vec::new();
        while !self.eat_bracket(close) {
            if !nodes.is_empty() {
                self.expect_op(",")?;
                if self.eat_bracket(close) {
                    break;
                }
            }
            nodes.push(self.expression(0)?);
        }
        Ok(nodes)
    }

    fn pairs(&mut self) -> Result<Vec<(Node, Node)>, Fail> {
        let mut pairs = Vec::new();
        while !self.eat_bracket('}') {
            if !pairs.is_empty() {
                self.expect_op(",")?;
                if self.eat_bracket('}') {
                    break;
                }
            }
            let at = self.at();
            let key = match self.tok().clone() {
                Tok::Ident(name) | Tok::Str(name) => {
                    self.next();
                    self.node(at, Kind::Str(name))?
                }
                Tok::Int(n) => {
                    self.next();
                    self.node(at, Kind::Str(n.to_string()))?
                }
                Tok::Float(n) => {
                    self.next();
                    self.node(at, Kind::Str(n.to_string()))?
                }
                Tok::Bracket('(') => self.expression(0)?,
                Tok::Op(_) | Tok::Bracket(_) | Tok::Eof => {
                    let shown = self.tok().show();
                    return Err(Fail::syntax(
                        format!(
                            "a map key must be a quoted string, a number, a identifier, or an expression enclosed \
                             in parentheses (unexpected token {shown})"
                        ),
                        at,
                    ));
                }
            };
            self.expect_op(":")?;
            pairs.push((key, self.expression(0)?));
        }
        Ok(pairs)
    }

    /// `name(…)`; `first` holds what was piped in.
    pub(super) fn call(&mut self, name: String, at: usize, first: Vec<Node>) -> Result<Node, Fail> {
        self.expect_bracket('(')?;
        let mut args = first;
        match shape(&name) {
            None => {
                args.extend(self.list(')')?);
                let callee = self.node(at, Kind::Ident(name))?;
                self.node(at, Kind::Call { callee: Box::new(callee), args })
            }
            Some(Shape::Plain) => {
                args.extend(self.list(')')?);
                self.node(at, Kind::Builtin { name, args })
            }
            Some(Shape::Closure { optional }) => {
                if args.is_empty() {
                    args.push(self.expression(0)?);
                } else if !optional || !self.is_bracket(')') {
                    let closure = self.closure()?;
                    args.push(closure);
                    return self.finish_closure_call(name, at, args);
                }
                if self.eat_op(",") {
                    let closure = self.closure()?;
                    args.push(closure);
                } else if !optional && self.is_bracket(')') {
                    let least = if matches!(name.as_str(), "sortBy" | "reduce") { 3 } else { 2 };
                    let message = format!("expected at least {least} arguments");
                    return Err(Fail::syntax(message, self.at()));
                } else if !optional {
                    return Err(self.unexpected());
                }
                self.finish_closure_call(name, at, args)
            }
        }
    }

    fn finish_closure_call(&mut self, name: String, at: usize, mut args: Vec<Node>) -> Result<Node, Fail> {
        while self.eat_op(",") {
            if self.is_bracket(')') {
                break;
            }
            args.push(self.expression(0)?);
        }
        self.expect_bracket(')')?;
        self.node(at, Kind::Builtin { name, args })
    }

    fn closure(&mut self) -> Result<Node, Fail> {
        let at = self.at();
        let braces = self.eat_bracket('{');
        self.closures += 1;
        let body = if braces { self.sequence() } else { self.expression(0) };
        self.closures -= 1;
        let body = body?;
        if braces {
            self.expect_bracket('}')?;
        }
        self.node(at, Kind::Closure(Box::new(body)))
    }

    pub(super) fn postfix(&mut self, mut node: Node) -> Result<Node, Fail> {
        let mut chained = false;
        let mut steps = 0;
        loop {
            let at = self.at();
            steps += 1;
            if steps > DEPTH_MAX * 4 {
                return Err(Fail::syntax("too many members in a row", at));
            }
            let dot = matches!(self.tok(), Tok::Op("." | "?."));
            let optional = self.is_op("?.");
            if dot {
                self.next();
                chained |= optional;
                if optional && self.is_bracket('[') {
                    node = self.bracketed(node, true)?;
                } else {
                    node = self.member(node, optional)?;
                }
            } else if self.is_bracket('[') {
                node = self.bracketed(node, false)?;
            } else {
                break;
            }
        }
        if chained {
            let at = node.at;
            node = self.node(at, Kind::Chain(Box::new(node)))?;
        }
        Ok(node)
    }

    /// After the dot: a name, and perhaps a call.
    fn member(&mut self, base: Node, optional: bool) -> Result<Node, Fail> {
        let at = self.at();
        let name = match self.tok() {
            Tok::Ident(name) => name.clone(),
            Tok::Op(word) if word.chars().all(char::is_alphabetic) => (*word).to_owned(),
            Tok::Eof => return Err(Fail::syntax("unexpected end of expression", at)),
            _ => return Err(Fail::syntax("expected name", at)),
        };
        self.next();
        let property = Box::new(self.node(at, Kind::Str(name))?);
        let node = self.node(at, Kind::Member { base: Box::new(base), property, optional })?;
        if self.eat_bracket('(') {
            let args = self.list(')')?;
            return self.node(at, Kind::Call { callee: Box::new(node), args });
        }
        Ok(node)
    }

    /// `[index]`, `[from:to]`.
    fn bracketed(&mut self, base: Node, optional: bool) -> Result<Node, Fail> {
        let at = self.at();
        self.expect_bracket('[')?;
        let from = if self.is_op(":") { None } else { Some(Box::new(self.expression(0)?)) };
        if self.eat_op(":") {
            let to = if self.is_bracket(']') { None } else { Some(Box::new(self.expression(0)?)) };
            self.expect_bracket(']')?;
            return self.node(at, Kind::Slice { base: Box::new(base), from, to });
        }
        self.expect_bracket(']')?;
        match from {
            Some(property) => self.node(at, Kind::Member { base: Box::new(base), property, optional }),
            None => Err(self.unexpected()),
        }
    }
}
