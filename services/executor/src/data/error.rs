//! Why a data template fails.

/// Why a data template fails. The text becomes the step's message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a template of this kind, or one without a source.
    #[error("no data source was provided")]
    NoSource,
    /// The artifacts cannot be listed.
    #[error("list the artifacts: {source}")]
    List {
        /// Why.
        source: argosy_artifacts::Error,
    },
    /// An expression is wrong.
    #[error("{source}")]
    Expression {
        /// Why.
        source: Box<argosy_template::expr::Error>,
    },
    /// An expression gives what JSON cannot hold.
    #[error("the expression {expression} gives no JSON")]
    NoJson {
        /// Its text.
        expression: String,
    },
}
