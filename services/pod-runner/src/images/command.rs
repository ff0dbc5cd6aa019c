//! What an image runs, as its registry tells, or the configuration.

use serde::Deserialize;

/// What an image runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Command {
    /// Before the arguments of a container.
    pub entrypoint: Vec<String>,
    /// The arguments of a container that has none.
    pub cmd: Vec<String>,
}
