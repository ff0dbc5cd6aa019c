//! Why a text is no schedule.

use argosy_template::duration;

/// Why a text is no schedule, in the words of Argo.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing is there.
    #[error("empty spec string")]
    Empty,
    /// No such time zone.
    #[error("provided bad location {0}: unknown time zone {0}")]
    Zone(String),
    /// Not five of them.
    #[error("expected exactly 5 fields, found {count}: [{fields}]")]
    Fields { count: usize, fields: String },
    /// A word with `@` that means nothing.
    #[error("unrecognized descriptor: {0}")]
    Descriptor(String),
    /// What follows `@every` is no duration.
    #[error("failed to parse duration {text}: {source}")]
    Duration { text: String, source: duration::GoError },
    /// Neither a number nor a name.
    #[error("failed to parse int from {text}: strconv.Atoi: parsing \"{text}\": {reason}")]
    Number { text: String, reason: &'static str },
    /// Below zero.
    #[error("negative number ({number}) not allowed: {text}")]
    Negative { number: i64, text: String },
    /// `1-2-3`.
    #[error("too many hyphens: {0}")]
    Hyphens(String),
    /// `1/2/3`.
    #[error("too many slashes: {0}")]
    Slashes(String),
    /// Day or month 0.
    #[error("beginning of range ({start}) below minimum ({min}): {text}")]
    BelowMinimum { start: u32, min: u32, text: String },
    /// Minute 60.
    #[error("end of range ({end}) above maximum ({max}): {text}")]
    AboveMaximum { end: u32, max: u32, text: String },
    /// `10-5`.
    #[error("beginning of range ({start}) beyond end of range ({end}): {text}")]
    BeyondEnd { start: u32, end: u32, text: String },
    /// `*/0`.
    #[error("step of range should be a positive number: {0}")]
    Step(String),
}
