//! What a check is for.

/// What is to be done with the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Workflows are about to be created: all arguments must be there.
    Run,
    /// The documents are checked for their own sake.
    Lint,
}
