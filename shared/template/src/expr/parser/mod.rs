//! From tokens to the syntax tree.
//!
//! Limits: nesting of [`DEPTH_MAX`], a tree of height [`HEIGHT_MAX`] and of [`NODES_MAX`] nodes (Go expr's own limit), so that no text can exhaust
//! the stack; beyond them parsing fails.

mod expression;
mod operand;

use super::ast::{Kind, Node};
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
    let mut parser = Parser { tokens: lex(source)?, pos: 0, depth: 0, nodes: 0, closures: 0 };
    let node = parser.sequence()?;
    match parser.tok() {
        Tok::Eof if height(&node) > HEIGHT_MAX => {
            Err(Fail::syntax(format!("expression is nested deeper than {HEIGHT_MAX} levels"), 0))
        }
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
        if self.eat_op(op) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn eat_bracket(&mut self, c: char) -> bool {
        let found = self.is_bracket(c);
        if found {
            self.next();
        }
        found
    }

    fn expect_bracket(&mut self, c: char) -> Result<(), Fail> {
        if self.eat_bracket(c) { Ok(()) } else { Err(self.unexpected()) }
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
                format!("compilation failed: expression exceeds maximum allowed nodes ({NODES_MAX})"),
                at,
            ));
        }
        Ok(Node { at, kind })
    }

    fn nested<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T, Fail>) -> Result<T, Fail> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Fail::syntax(format!("expression is nested deeper than {DEPTH_MAX} levels"), self.at()));
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
}
