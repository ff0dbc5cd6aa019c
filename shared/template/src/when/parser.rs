//! Which token may follow which, and the tree they make.

use super::eval::Value;
use super::lexer::{Kind, Token};

/// Limit of nesting, so that no text can exhaust the stack.
const DEPTH_MAX: usize = 200;

/// May a token of kind `next` follow one of kind `kind`?
pub(super) fn may_follow(kind: Kind, next: Kind) -> bool {
    use Kind::*;
    let operand = matches!(next, Prefix | Numeric | Boolean | Variable | Accessor | String | Clause);
    match kind {
        Unknown => operand || matches!(next, Pattern | Time),
        Clause => operand || matches!(next, Pattern | Time | ClauseClose),
        ClauseClose => matches!(
            next,
            Comparator
                | Modifier
                | Numeric
                | Boolean
                | Variable
                | String
                | Pattern
                | Time
                | Clause
                | ClauseClose
                | LogicalOp
                | Ternary
                | Separator
        ),
        Numeric | Boolean | String | Pattern | Variable | Accessor => {
            matches!(next, Modifier | Comparator | LogicalOp | ClauseClose | Ternary | Separator)
        }
        Time => matches!(next, Modifier | Comparator | LogicalOp | ClauseClose | Separator),
        Modifier => operand || next == ClauseClose,
        Comparator => operand || matches!(next, Time | ClauseClose | Pattern),
        LogicalOp => operand || matches!(next, Time | ClauseClose),
        Prefix => matches!(next, Numeric | Boolean | Variable | Accessor | Clause | ClauseClose),
        Ternary => operand || matches!(next, Time | Separator),
        Separator => operand || next == Time,
    }
}

/// May an expression end after this kind?
fn may_end(kind: Kind) -> bool {
    use Kind::*;
    matches!(kind, ClauseClose | Numeric | Boolean | String | Pattern | Variable | Time | Accessor)
}

/// The order of tokens. Errors: govaluate's texts.
pub(super) fn check(tokens: &[Token]) -> Result<(), String> {
    let mut previous: Option<&Token> = None;
    for token in tokens {
        let kind = previous.map_or(Kind::Unknown, |t| t.kind);
        if !may_follow(kind, token.kind) {
            let shown = previous.map_or("<nil>", |t| t.text.as_str());
            return Err(format!(
                "Cannot transition token types from {} [{shown}] to {} [{}]",
                kind.name(),
                token.kind.name(),
                token.text
            ));
        }
        previous = Some(token);
    }
    match previous {
        Some(token) if may_end(token.kind) => Ok(()),
        _ => Err("Unexpected end of expression".into()),
    }
}

/// A stage of the evaluation.
#[derive(Debug)]
pub(super) enum Stage<'a> {
    Value(&'a Value),
    /// A parameter, of which there are none.
    Parameter(&'a str),
    Empty,
    Prefix(&'a str, Box<Stage<'a>>),
    Binary(&'a str, Level, Box<Stage<'a>>, Box<Stage<'a>>),
}

/// How tightly an operator binds, loosest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Separator,
    Ternary,
    Or,
    And,
    Comparator,
    Bitwise,
    Shift,
    Additive,
    Multiplicative,
    Exponential,
}

fn level(token: &Token) -> Option<Level> {
    Some(match token.kind {
        Kind::Separator => Level::Separator,
        Kind::Ternary => Level::Ternary,
        Kind::LogicalOp if token.text == "||" => Level::Or,
        Kind::LogicalOp => Level::And,
        Kind::Comparator => Level::Comparator,
        Kind::Modifier => match token.text.as_str() {
            "&" | "|" | "^" => Level::Bitwise,
            "<<" | ">>" => Level::Shift,
            "+" | "-" => Level::Additive,
            "**" => Level::Exponential,
            _ => Level::Multiplicative,
        },
        _ => return None,
    })
}

struct Parser<'a> {
    tokens: &'a [Token],
    pos: usize,
    depth: usize,
}

/// The tree of checked tokens. govaluate lets an operand follow a closed parenthesis, and a parenthesis close before it is
/// opened: the first expression counts, and what comes behind it is not looked at.
pub(super) fn plan(tokens: &[Token]) -> Result<Stage<'_>, String> {
    Parser { tokens, pos: 0, depth: 0 }.binary(Level::Separator)
}

impl<'a> Parser<'a> {
    fn binary(&mut self, min: Level) -> Result<Stage<'a>, String> {
        let mut left = self.operand()?;
        while let Some(token) = self.tokens.get(self.pos) {
            let Some(level) = level(token).filter(|l| *l >= min) else {
                break;
            };
            self.pos += 1;
            let right = self.above(level)?;
            left = Stage::Binary(&token.text, level, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    /// The right operand of an operator: everything that binds tighter.
    fn above(&mut self, level: Level) -> Result<Stage<'a>, String> {
        use Level::*;
        let next = match level {
            Separator => Ternary,
            Ternary => Or,
            Or => And,
            And => Comparator,
            Comparator => Bitwise,
            Bitwise => Shift,
            Shift => Additive,
            Additive => Multiplicative,
            Multiplicative => Exponential,
            Exponential => return self.operand(),
        };
        self.binary(next)
    }

    fn operand(&mut self) -> Result<Stage<'a>, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("expression is nested deeper than {DEPTH_MAX} levels"));
        }
        let stage = self.operand_inner();
        self.depth -= 1;
        stage
    }

    fn operand_inner(&mut self) -> Result<Stage<'a>, String> {
        let Some(token) = self.tokens.get(self.pos) else {
            return Ok(Stage::Empty);
        };
        match token.kind {
            Kind::Prefix => {
                self.pos += 1;
                Ok(Stage::Prefix(&token.text, Box::new(self.operand()?)))
            }
            Kind::Clause => {
                self.pos += 1;
                let inner = self.binary(Level::Separator)?;
                // Where the parenthesis should close; govaluate does not look whether it does.
                self.pos += 1;
                Ok(inner)
            }
            Kind::Variable | Kind::Accessor => {
                self.pos += 1;
                Ok(Stage::Parameter(token.text.split('.').next().unwrap_or_default()))
            }
            Kind::Numeric | Kind::Boolean | Kind::String | Kind::Pattern | Kind::Time => {
                self.pos += 1;
                Ok(Stage::Value(&token.value))
            }
            Kind::ClauseClose => Ok(Stage::Empty),
            Kind::Unknown | Kind::Separator | Kind::Comparator | Kind::LogicalOp | Kind::Modifier | Kind::Ternary => {
                self.pos += 1;
                Err(format!("Unable to plan token kind: '{}', value: '{}'", token.kind.name(), token.text))
            }
        }
    }
}
