//! What is said of an object that is refused.

use crate::failure::Failure;
use crate::kinds::Kind;

/// Refused fields, each with a message.
pub(super) type Causes = Vec<(String, String)>;

/// The refusal of a value of the wrong type.
pub(super) fn unreadable(kind: &Kind, why: impl std::fmt::Display) -> Failure {
    let version = kind.version;
    Failure::bad_request(format!("{} in version \"{version}\" cannot be handled as a {}: {why}", kind.kind, kind.kind))
}
