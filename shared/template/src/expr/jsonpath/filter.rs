//! The expressions of filters and scripts.

use serde_json::Value as Json;

use super::{Query, Step, parse};

/// Limit of nesting.
const DEPTH_MAX: usize = 32;

#[derive(Debug, Clone)]
pub(super) enum Expr {
    Literal(Json),
    /// A path from the item (`@`) or from the root (`$`).
    Path {
        from_root: bool,
        steps: Vec<Step>,
    },
    Not(Box<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
}

impl Expr {
    /// Is it true of the item? What cannot be evaluated is not.
    pub fn holds(&self, query: Query<'_>, item: &Json) -> bool {
        self.value(query, item).is_some_and(|value| truth(&value))
    }

    pub fn value(&self, query: Query<'_>, item: &Json) -> Option<Json> {
        match self {
            Expr::Literal(value) => Some(value.clone()),
            Expr::Path { from_root, steps } => query.apply(if *from_root { query.root } else { item }, steps).ok(),
            Expr::Not(inner) => Some(Json::Bool(!truth(&inner.value(query, item)?))),
            Expr::Binary(op, left, right) => {
                let left = left.value(query, item);
                match *op {
                    "&&" => return Some(Json::Bool(truth(&left?) && right.holds(query, item))),
                    "||" => {
                        let holds = left.is_some_and(|left| truth(&left)) || right.holds(query, item);
                        return Some(Json::Bool(holds));
                    }
                    _ => {}
                }
                binary(op, &left?, &right.value(query, item)?)
            }
        }
    }
}

fn truth(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(b) => *b,
        Json::Number(n) => n.as_f64() != Some(0.0),
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(map) => !map.is_empty(),
    }
}

fn binary(op: &str, left: &Json, right: &Json) -> Option<Json> {
    let same = || match (left.as_f64(), right.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => left == right,
    };
    match op {
        "==" => return Some(Json::Bool(same())),
        "!=" => return Some(Json::Bool(!same())),
        _ => {}
    }
    let (a, b) = (left.as_f64()?, right.as_f64()?);
    let number = |n: f64| serde_json::Number::from_f64(n).map(Json::Number);
    match op {
        "<" => Some(Json::Bool(a < b)),
        "<=" => Some(Json::Bool(a <= b)),
        ">" => Some(Json::Bool(a > b)),
        ">=" => Some(Json::Bool(a >= b)),
        "+" => number(a + b),
        "-" => number(a - b),
        "*" => number(a * b),
        "/" => number(a / b),
        _ => number(a % b),
    }
}

/// Operators, loosest first; within a level a longer one comes before its own beginning.
const LEVELS: [&[&str]; 5] = [&["||"], &["&&"], &["==", "!=", "<=", ">=", "<", ">"], &["+", "-"], &["*", "/", "%"]];

/// The expression a text stands for, if it is one.
pub(super) fn parse(text: &str) -> Option<Expr> {
    let mut parser = Parser { rest: text, depth: 0 };
    let expr = parser.level(0)?;
    parser.rest.trim().is_empty().then_some(expr)
}

struct Parser<'t> {
    rest: &'t str,
    depth: usize,
}

impl Parser<'_> {
    fn level(&mut self, level: usize) -> Option<Expr> {
        let Some(operators) = LEVELS.get(level) else {
            return self.operand();
        };
        let mut left = self.level(level + 1)?;
        let mut count = 0;
        loop {
            let rest = self.rest.trim_start();
            let Some(op) = operators.iter().find(|op| rest.starts_with(**op)) else {
                return Some(left);
            };
            count += 1;
            if count > DEPTH_MAX {
                return None;
            }
            self.rest = &rest[op.len()..];
            left = Expr::Binary(op, Box::new(left), Box::new(self.level(level + 1)?));
        }
    }

    fn operand(&mut self) -> Option<Expr> {
        self.depth += 1;
        let expr = if self.depth > DEPTH_MAX { None } else { self.operand_inner() };
        self.depth -= 1;
        expr
    }

    fn operand_inner(&mut self) -> Option<Expr> {
        let rest = self.rest.trim_start();
        let first = rest.chars().next()?;
        match first {
            '!' => {
                self.rest = &rest[1..];
                Some(Expr::Not(Box::new(self.operand()?)))
            }
            '(' => {
                self.rest = &rest[1..];
                let inner = self.level(0)?;
                self.rest = self.rest.trim_start().strip_prefix(')')?;
                Some(inner)
            }
            '\'' | '"' => {
                let (text, after) = parse::quoted(rest)?;
                self.rest = after;
                Some(Expr::Literal(Json::String(text)))
            }
            '@' | '$' => {
                let end = path_end(rest)?;
                let steps = parse::steps(&rest[..end]).ok()?;
                self.rest = &rest[end..];
                Some(Expr::Path { from_root: first == '$', steps })
            }
            _ => {
                let word = |c: char| c.is_alphanumeric() || c == '.' || c == '_';
                let skip = usize::from(first == '-');
                let end = rest[skip..].find(|c| !word(c)).map_or(rest.len(), |end| end + skip);
                self.rest = &rest[end..];
                // A bare word that is no JSON value is none here either.
                let value: Json = serde_json::from_str(&rest[..end]).ok()?;
                Some(Expr::Literal(value))
            }
        }
    }
}

/// Where a path inside an expression ends: its names hold only letters, digits and `_`.
fn path_end(text: &str) -> Option<usize> {
    let mut at = 1;
    loop {
        let rest = &text[at..];
        if rest.starts_with('[') {
            at += parse::closing(rest)? + 1;
        } else if let Some(name) = rest.strip_prefix('.') {
            let len = name.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(name.len());
            let len = if name.starts_with('*') { 1 } else { len };
            at += 1 + len;
        } else {
            return Some(at);
        }
    }
}
