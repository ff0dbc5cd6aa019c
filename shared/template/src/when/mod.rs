//! The conditions of steps and tasks (`when`): govaluate, with every bare word taken as a string.
//!
//! ```
//! assert!(argosy_template::when::evaluate("heads == heads && 1/2 == 0.5").unwrap());
//! ```
//!
//! Source: Argo workflow/controller/steps.go `shouldExecute`; github.com/Knetic/govaluate MANUAL.md.

mod eval;
mod lexer;
mod parser;

use lexer::{Kind, Token};

use crate::Limits;

/// Why a condition has no answer, in Argo's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not an expression.
    #[error("Invalid 'when' expression '{when}': {reason}{}", hint(.reason))]
    Invalid { when: String, reason: String },
    /// No longer one after bare words have become strings.
    #[error("Failed to parse 'when' expression '{when}': {reason}")]
    Parse { when: String, reason: String },
    /// The operands do not fit.
    #[error("Failed to evaluate 'when' expresion '{when}': {reason}")]
    Evaluate { when: String, reason: String },
    /// The result is not a boolean.
    #[error("Expected boolean evaluation for '{when}'. Got {got}")]
    NotBool { when: String, got: String },
}

fn hint(reason: &str) -> &'static str {
    if reason.contains("Invalid token") { " (hint: try wrapping the affected expression in quotes (\"))" } else { "" }
}

/// Is the condition true? An empty one is. Tags must have been replaced before.
/// Errors: any of [`Error`].
pub fn evaluate(text: &str) -> Result<bool, Error> {
    evaluate_within(text, &Limits::default())
}

/// The same with limits of one's own.
pub fn evaluate_within(text: &str, limits: &Limits) -> Result<bool, Error> {
    evaluate_with(text, true, limits)
}

/// The same without the change of bare words to strings, as Argo does for CronWorkflows: a bare word is then an unknown
/// parameter, which is an error when its value is needed.
pub fn evaluate_cron(text: &str) -> Result<bool, Error> {
    evaluate_with(text, false, &Limits::default())
}

fn evaluate_with(text: &str, words_are_strings: bool, limits: &Limits) -> Result<bool, Error> {
    if text.is_empty() {
        return Ok(true);
    }
    let when = || text.to_owned();
    let mut tokens = parse(text).map_err(|reason| Error::Invalid { when: when(), reason })?;
    if words_are_strings {
        for token in &mut tokens {
            token.become_string();
        }
        parser::check(&tokens).map_err(|reason| Error::Parse { when: when(), reason })?;
    }
    let tree = parser::plan(&tokens).map_err(|reason| Error::Parse { when: when(), reason })?;
    match eval::run(&tree, limits).map_err(|reason| Error::Evaluate { when: when(), reason })? {
        eval::Value::Bool(answer) => Ok(answer),
        other => Err(Error::NotBool { when: when(), got: other.show() }),
    }
}

/// Is the text an expression (whatever its operands are)? Errors: `Error::Invalid`.
pub fn check(text: &str) -> Result<(), Error> {
    if text.is_empty() {
        return Ok(());
    }
    parse(text).map(drop).map_err(|reason| Error::Invalid { when: text.to_owned(), reason })
}

fn parse(text: &str) -> Result<Vec<Token>, String> {
    let tokens = lexer::lex(text)?;
    let count = |kind| tokens.iter().filter(|t| t.kind == kind).count();
    if count(Kind::Clause) != count(Kind::ClauseClose) {
        return Err("Unbalanced parenthesis".into());
    }
    parser::check(&tokens)?;
    Ok(tokens)
}
