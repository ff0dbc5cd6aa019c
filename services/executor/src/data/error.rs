//! Why a data template fails.

/// Why a data template fails. The text becomes the step's message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a template of this kind, or one without a source.
    #[error("unable to process data template: no data source was provided")]
    NoSource,
    /// The artifacts cannot be listed.
    #[error(
        "unable to process data template: unable to process data source: unable to source artifact paths: {source}"
    )]
    List {
        /// Why.
        source: argosy_artifacts::Error,
    },
    /// There is nothing below the key.
    #[error(
        "unable to process data template: unable to process data source: unable to source artifact paths: no key found of name {key}"
    )]
    NoKey {
        /// The key.
        key: String,
    },
    /// An expression is wrong.
    #[error(
        "unable to process data template: unable to process data transformation: error processing data step {step}: {source}"
    )]
    Expression {
        /// Which of the steps, from 0.
        step: usize,
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
