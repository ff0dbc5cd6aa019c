//! Operators, conditions and declarations.

use super::super::ast::{Binary, Kind, Node, Unary};
use super::super::error::Fail;
use super::super::lexer::Tok;
use super::Parser;

impl Parser {
    pub(super) fn expression(&mut self, min: u16) -> Result<Node, Fail> {
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
            let mut at = self.at();
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
                at = self.at();
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
        let mut whole = self.node(at, Kind::Binary(op, Box::new(left), Box::new(right.clone())))?;
        while let Tok::Op(text) = *self.tok() {
            let Some((next, ..)) = Binary::of(text).filter(|b| b.0.is_comparison()) else {
                break;
            };
            let at = self.at();
            self.next();
            let operand = self.expression(power + 1)?;
            let part = self.node(at, Kind::Binary(next, Box::new(right), Box::new(operand.clone())))?;
            whole = self.node(at, Kind::Binary(Binary::And, Box::new(whole), Box::new(part)))?;
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
        self.node(at, Kind::Let { name, value: Box::new(value), body: Box::new(body) })
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
}
