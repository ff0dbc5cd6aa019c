//! Errors of the expression language, worded as Go expr words them.

use std::fmt;

/// Why an expression cannot be compiled or evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is not an expression.
    #[error("{message}{place}")]
    Syntax { message: String, place: Place },
    /// A name is not in the environment. Go expr reports this before evaluating anything.
    #[error("unknown name {name}{place}")]
    UnknownName { name: String, place: Place },
    /// Types cannot fit, whatever the values are. Reported before evaluating anything.
    #[error("{message}{place}")]
    Check { message: String, place: Place },
    /// The evaluation failed on actual values.
    #[error("{message}{place}")]
    Run { message: String, place: Place },
    /// The evaluation asks for more than it may have: see [`crate::Limits`].
    #[error("the expression {message}")]
    Limit { message: String },
    /// A boolean was needed.
    #[error("unable to cast expression result '{shown}' to bool")]
    NotBool { shown: String },
}

/// Where in the source the error is; shown as `(line:column)` and a marked copy of the line.
/// Empty (and shown as nothing) when the source is empty or the place unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    line: usize,
    column: usize,
    text: String,
}

impl Place {
    /// The place of the character at `offset` (counted in characters) of `source`.
    pub(crate) fn new(source: &str, offset: usize) -> Self {
        let count = source.chars().count();
        if count == 0 {
            return Place::default();
        }
        let (mut line, mut column) = (1, 0);
        for c in source.chars().take(offset.min(count)) {
            if c == '\n' {
                line += 1;
                column = 0;
            } else {
                column += 1;
            }
        }
        let text = source.split('\n').nth(line - 1).unwrap_or_default();
        Place { line, column: column + 1, text: text.replace('\t', " ") }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return Ok(());
        }
        let dots = ".".repeat(self.column - 1);
        write!(f, " ({}:{})\n | {}\n | {dots}^", self.line, self.column, self.text)
    }
}

/// An error before the source text is attached to it.
#[derive(Debug)]
pub(crate) struct Fail {
    pub kind: FailKind,
    pub message: String,
    /// Offset in characters; `None` until an enclosing node fills it in.
    pub at: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailKind {
    Syntax,
    UnknownName,
    Check,
    Run,
    Limit,
}

impl Fail {
    pub fn syntax(message: impl Into<String>, at: usize) -> Self {
        Fail { kind: FailKind::Syntax, message: message.into(), at: Some(at) }
    }

    pub fn check(message: impl Into<String>, at: usize) -> Self {
        Fail { kind: FailKind::Check, message: message.into(), at: Some(at) }
    }

    pub fn unknown(name: &str, at: usize) -> Self {
        Fail { kind: FailKind::UnknownName, message: name.to_owned(), at: Some(at) }
    }

    /// A failure inside an operation; the node evaluated gives the place.
    pub fn run(message: impl Into<String>) -> Self {
        Fail { kind: FailKind::Run, message: message.into(), at: None }
    }

    /// More was asked for than there may be.
    pub fn limit(message: impl Into<String>) -> Self {
        Fail { kind: FailKind::Limit, message: message.into(), at: None }
    }

    pub fn or_at(mut self, at: usize) -> Self {
        self.at.get_or_insert(at);
        self
    }

    pub fn into_error(self, source: &str) -> Error {
        let place = self.at.map(|at| Place::new(source, at)).unwrap_or_default();
        let message = self.message;
        match self.kind {
            FailKind::Syntax => Error::Syntax { message, place },
            FailKind::UnknownName => Error::UnknownName { name: message, place },
            FailKind::Check => Error::Check { message, place },
            FailKind::Run => Error::Run { message, place },
            FailKind::Limit => Error::Limit { message },
        }
    }
}
