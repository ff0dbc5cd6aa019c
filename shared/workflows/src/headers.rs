//! Headers of EVENTS.

/// The position of this change among those of its workflow, `<OBSERVED sequence>[+<additions>]`.
pub const HEADER_POSITION: &str = "argosy-position";

/// The position of the workflow's change before this one, 0 for the first. A reader that has not seen that one has missed
/// something.
pub const HEADER_PREVIOUS: &str = "argosy-previous";

/// Of an event that puts its workflow out of service: the version of the object of which that was decided.
pub const HEADER_JUDGED: &str = "argosy-judged";

/// The place of the message among those that its step was cut into, from 0.
pub const HEADER_PART: &str = "argosy-part";
