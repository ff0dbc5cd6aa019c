//! Why a text with tags cannot be rendered.

use crate::expr;
use crate::gofmt;
use crate::limits;

/// Errors of rendering, in Argo's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A simple tag names nothing in scope.
    #[error("failed to resolve {{{{{name}}}}}")]
    MissingVariable { name: String },
    /// A simple tag names something that is not text.
    #[error("failed to resolve {{{{{name}}}}} to string")]
    NotText { name: String },
    /// A simple tag names the output of a node that did not run and has no default.
    #[error("unable to substitute {{{{{name}}}}}: output is an absent optional (skipped/omitted node with no default)")]
    Absent { name: String },
    /// The same, for a tag inside a tag; `tag` is the outer one.
    #[error("unable to substitute nested tag {{{{{tag}}}}}: {} is an absent optional", gofmt::quote(.name))]
    AbsentNested { tag: String, name: String },
    /// An expression uses a variable that is not in scope.
    #[error("failed to evaluate expression: {name} is missing")]
    MissingInExpression { name: String, expression: String },
    /// An expression is malformed or failed.
    #[error("failed to evaluate expression: {source}")]
    Expression { expression: String, source: expr::Error },
    /// An expression gave nil.
    #[error("failed to evaluate expression {}", gofmt::quote(.expression))]
    NilResult { expression: String },
    /// A `{{` without `}}`.
    #[error(
        "Cannot find end tag=\"}}}}\" in the template={} starting from {}", gofmt::quote(.text), gofmt::quote(.rest)
    )]
    Unclosed { text: String, rest: String },
    /// More text than there may be.
    #[error("the text with its variables put in {}", limits::exceeded("bytes", *.max, "text_bytes"))]
    TooLong { max: u64 },
    /// An expression's result has no JSON text (infinity, not-a-number).
    #[error("failed to marshal the result of expression {}", gofmt::quote(.expression))]
    NoJson { expression: String },
}

impl Error {
    /// May it go away when more variables become known?
    pub fn is_missing_variable(&self) -> bool {
        matches!(self, Error::MissingVariable { .. } | Error::NotText { .. } | Error::MissingInExpression { .. })
    }

    /// Was more asked for than there may be? Such an error is told even where others leave the text as it is.
    pub fn is_limit(&self) -> bool {
        matches!(self, Error::TooLong { .. } | Error::Expression { source: expr::Error::Limit { .. }, .. })
    }

    /// The same error with names as they stand in JSON text, where Argo substitutes.
    pub(super) fn in_json(self) -> Self {
        let escape = |text: String| {
            let mut out = String::new();
            gofmt::write_json_string(&mut out, &text, false);
            out[1..out.len() - 1].to_owned()
        };
        match self {
            Error::MissingVariable { name } => Error::MissingVariable { name: escape(name) },
            Error::NotText { name } => Error::NotText { name: escape(name) },
            Error::Unclosed { text, rest } => {
                Error::Unclosed { text: format!("\"{}\"", escape(text)), rest: format!("{}\"", escape(rest)) }
            }
            other => other,
        }
    }
}
