//! From tokens to the syntax tree.
//!
//! Limits: nesting of [`DEPTH_MAX`], a tree of height [`HEIGHT_MAX`] and of [`NODES_MAX`] nodes (Go expr's own limit), so that no text can exhaust
//! the stack; beyond them parsing fails.

use super::ast::{Binary, Kind, Node, Unary};
use super::builtins::{Shape, shape};
use super::error::Fail;
use super::lexer::{Tok, Token, lex};

const DEPTH_MAX: usize = 64;
const NODES_MAX: usize = 10_000;
const HEIGHT_MAX: usize = 128;

struct Parser {
    tokens: Vec<Token>,
    pos: usize,
    depth: usize,
    nodes: usize,
    /// Closures around the current place.
    closures: usize,
}

/// Parses a whole expression.
pub(crate) fn parse(source: &str) -> Result<Node, Fail> {
    let mut parser = Parser {
        tokens: lex(source)?,
        pos: 0,
        depth: 0,
        nodes: 0,
        closures: 0,
    };
    let node = parser.sequence()?;
    match parser.tok() {
        Tok::Eof if height(&node) > HEIGHT_MAX => Err(Fail::syntax(
            format!("expression is nested deeper than {HEIGHT_MAX} levels"),
            0,
        )),
        Tok::Eof => Ok(node),
        _ => Err(parser.unexpected()),
    }
}

/// The height of the tree. The left sides of operators do not count, as they are walked in loops.
fn height(root: &Node) -> usize {
    let mut todo = vec![(root, 0)];
    let mut max = 0;
    while let Some((node, depth)) = todo.pop() {
        max = max.max(depth);
        if let Kind::Binary(_, left, right) = &node.kind {
            todo.push((left, depth));
            todo.push((right, depth + 1));
        } else {
            node.for_each_child(|child| todo.push((child, depth + 1)));
        }
    }
    max
}

impl Parser {
    fn tok(&self) -> &Tok {
        &self.tokens[self.pos].tok
    }

    fn at(&self) -> usize {
        self.tokens[self.pos].at
    }

    fn next(&mut self) {
        if self.pos + 1 < self.tokens.len() {
            self.pos += 1;
        }
    }

    fn is_op(&self, op: &str) -> bool {
        matches!(self.tok(), Tok::Op(o) if *o == op)
    }

    fn is_bracket(&self, c: char) -> bool {
        *self.tok() == Tok::Bracket(c)
    }

    fn eat_op(&mut self, op: &str) -> bool {
        let found = self.is_op(op);
        if found {
            self.next();
        }
        found
    }

    fn expect_op(&mut self, op: &str) -> Result<(), Fail> {
        if self.eat_op(op) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn eat_bracket(&mut self, c: char) -> bool {
        let found = self.is_bracket(c);
        if found {
            self.next();
        }
        found
    }

    fn expect_bracket(&mut self, c: char) -> Result<(), Fail> {
        if self.eat_bracket(c) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn ident(&mut self) -> Result<String, Fail> {
        match self.tok() {
            Tok::Ident(name) => {
                let name = name.clone();
                self.next();
                Ok(name)
            }
            _ => Err(self.unexpected()),
        }
    }

    fn unexpected(&self) -> Fail {
        Fail::syntax(format!("unexpected token {}", self.tok().show()), self.at())
    }

    fn node(&mut self, at: usize, kind: Kind) -> Result<Node, Fail> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(Fail::syntax(
                format!(
                    "compilation failed: expression exceeds maximum allowed nodes ({NODES_MAX})"
                ),
                at,
            ));
        }
        Ok(Node { at, kind })
    }

    fn nested<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T, Fail>) -> Result<T, Fail> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Fail::syntax(
                format!("expression is nested deeper than {DEPTH_MAX} levels"),
                self.at(),
            ));
        }
        let out = f(self);
        self.depth -= 1;
        out
    }

    /// Expressions separated by `;`: the value is the last one's.
    fn sequence(&mut self) -> Result<Node, Fail> {
        let at = self.at();
        let mut nodes = vec![self.expression(0)?];
        while self.eat_op(";") {
            if matches!(self.tok(), Tok::Eof | Tok::Bracket(_)) && !self.starts_operand() {
                break;
            }
            nodes.push(self.expression(0)?);
        }
        match nodes.pop() {
            Some(node) if nodes.is_empty() => Ok(node),
            Some(node) => {
                nodes.push(node);
                self.node(at, Kind::Sequence(nodes))
            }
            None => Err(self.unexpected()),
        }
    }

    fn starts_operand(&self) -> bool {
        matches!(self.tok(), Tok::Bracket('(' | '[' | '{'))
    }

    fn expression(&mut self, min: u16) -> Result<Node, Fail> {
        self.nested(|p| p.expression_inner(min))
    }

    fn expression_inner(&mut self, min: u16) -> Result<Node, Fail> {
        if min == 0 && self.is_op("let") {
            return self.declaration();
        }
        if min == 0 && self.is_op("if") {
            return self.if_else();
        }
        let mut left = self.primary()?;
        let mut previous: Option<Binary> = None;
        while let Tok::Op(op) = *self.tok() {
            let at = self.at();
            if op == "|" && min == 0 {
                self.next();
                let name_at = self.at();
                let name = self.ident()?;
                left = self.call(name, name_at, vec![left])?;
                left = self.postfix(left)?;
                previous = None;
                continue;
            }
            let negate = op == "not";
            let op = if negate {
                match self.tokens.get(self.pos + 1).map(|t| &t.tok) {
                    Some(Tok::Op(op)) if Binary::of(op).is_some_and(|b| b.0.can_be_negated()) => op,
                    _ => {
                        self.next();
                        return Err(self.unexpected());
                    }
                }
            } else {
                op
            };
            let Some((binary, power, right_first)) = Binary::of(op).filter(|b| b.1 >= min) else {
                break;
            };
            if negate {
                self.next();
            }
            if previous == Some(Binary::Coalesce) && binary != Binary::Coalesce {
                let message = format!(
                    "Operator ({op}) and coalesce expressions (??) cannot be mixed. Wrap either by parentheses."
                );
                return Err(Fail::syntax(message, at));
            }
            self.next();
            left = if binary.is_comparison() {
                self.comparison(left, binary, power, at)?
            } else {
                let right = self.expression(if right_first { power } else { power + 1 })?;
                self.node(at, Kind::Binary(binary, Box::new(left), Box::new(right)))?
            };
            if negate {
                left = self.node(at, Kind::Unary(Unary::Not, Box::new(left)))?;
            }
            previous = Some(binary);
        }
        if min == 0 {
            return self.conditional(left);
        }
        Ok(left)
    }

    /// `a < b < c` means `a < b && b < c`.
    fn comparison(&mut self, left: Node, op: Binary, power: u16, at: usize) -> Result<Node, Fail> {
        let mut right = self.expression(power + 1)?;
        let mut whole = self.node(
            at,
            Kind::Binary(op, Box::new(left), Box::new(right.clone())),
        )?;
        while let Tok::Op(text) = *self.tok() {
            let Some((next, ..)) = Binary::of(text).filter(|b| b.0.is_comparison()) else {
                break;
            };
            let at = self.at();
            self.next();
            let operand = self.expression(power + 1)?;
            let part = self.node(
                at,
                Kind::Binary(next, Box::new(right), Box::new(operand.clone())),
            )?;
            whole = self.node(
                at,
                Kind::Binary(Binary::And, Box::new(whole), Box::new(part)),
            )?;
            right = operand;
        }
        Ok(whole)
    }

    fn conditional(&mut self, mut node: Node) -> Result<Node, Fail> {
        while matches!(self.tok(), Tok::Op("?" | "?:")) {
            let at = self.at();
            let (yes, no) = if self.eat_op("?:") {
                (node.clone(), self.expression(0)?)
            } else {
                self.next();
                let yes = self.expression(0)?;
                self.expect_op(":")?;
                (yes, self.expression(0)?)
            };
            node = self.node(at, Kind::Cond(Box::new(node), Box::new(yes), Box::new(no)))?;
        }
        Ok(node)
    }

    fn declaration(&mut self) -> Result<Node, Fail> {
        self.next();
        let at = self.at();
        let name = self.ident()?;
        self.expect_op("=")?;
        let value = self.expression(0)?;
        self.expect_op(";")?;
        let body = self.sequence()?;
        self.node(
            at,
            Kind::Let {
                name,
                value: Box::new(value),
                body: Box::new(body),
            },
        )
    }

    fn if_else(&mut self) -> Result<Node, Fail> {
        let at = self.at();
        self.next();
        let test = self.expression(0)?;
        self.expect_bracket('{')?;
        let yes = self.sequence()?;
        self.expect_bracket('}')?;
        self.expect_op("else")?;
        let no = if self.is_op("if") {
            self.nested(Self::if_else)?
        } else {
            self.expect_bracket('{')?;
            let no = self.sequence()?;
            self.expect_bracket('}')?;
            no
        };
        self.node(at, Kind::Cond(Box::new(test), Box::new(yes), Box::new(no)))
    }

    fn primary(&mut self) -> Result<Node, Fail> {
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
    fn call(&mut self, name: String, at: usize, first: Vec<Node>) -> Result<Node, Fail> {
        self.expect_bracket('(')?;
        let mut args = first;
        match shape(&name) {
            None => {
                args.extend(self.list(')')?);
                let callee = self.node(at, Kind::Ident(name))?;
                self.node(
                    at,
                    Kind::Call {
                        callee: Box::new(callee),
                        args,
                    },
                )
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
                } else if !optional {
                    return Err(self.unexpected());
                }
                self.finish_closure_call(name, at, args)
            }
        }
    }

    fn finish_closure_call(
        &mut self,
        name: String,
        at: usize,
        mut args: Vec<Node>,
    ) -> Result<Node, Fail> {
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
        let body = if braces {
            self.sequence()
        } else {
            self.expression(0)
        };
        self.closures -= 1;
        let body = body?;
        if braces {
            self.expect_bracket('}')?;
        }
        self.node(at, Kind::Closure(Box::new(body)))
    }

    fn postfix(&mut self, mut node: Node) -> Result<Node, Fail> {
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
            _ => return Err(Fail::syntax("expected name", at)),
        };
        self.next();
        let property = Box::new(self.node(at, Kind::Str(name))?);
        let node = self.node(
            at,
            Kind::Member {
                base: Box::new(base),
                property,
                optional,
            },
        )?;
        if self.eat_bracket('(') {
            let args = self.list(')')?;
            return self.node(
                at,
                Kind::Call {
                    callee: Box::new(node),
                    args,
                },
            );
        }
        Ok(node)
    }

    /// `[index]`, `[from:to]`.
    fn bracketed(&mut self, base: Node, optional: bool) -> Result<Node, Fail> {
        let at = self.at();
        self.expect_bracket('[')?;
        let from = if self.is_op(":") {
            None
        } else {
            Some(Box::new(self.expression(0)?))
        };
        if self.eat_op(":") {
            let to = if self.is_bracket(']') {
                None
            } else {
                Some(Box::new(self.expression(0)?))
            };
            self.expect_bracket(']')?;
            return self.node(
                at,
                Kind::Slice {
                    base: Box::new(base),
                    from,
                    to,
                },
            );
        }
        self.expect_bracket(']')?;
        match from {
            Some(property) => self.node(
                at,
                Kind::Member {
                    base: Box::new(base),
                    property,
                    optional,
                },
            ),
            None => Err(self.unexpected()),
        }
    }
}
