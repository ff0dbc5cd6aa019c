//! Go durations (`1h30m`), Argo's durations (plain digits are seconds) and their text for humans.

use std::fmt::Write;

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Neither digits nor a Go duration.
    #[error("unable to parse {input} as a duration: {source}")]
    Argo { input: String, source: GoError },
}

/// Why a text is not a Go duration, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GoError {
    /// No number where one is needed, or out of range.
    #[error("time: invalid duration {}", crate::gofmt::quote(.0))]
    Invalid(String),
    /// A number without a unit.
    #[error("time: missing unit in duration {}", crate::gofmt::quote(.0))]
    MissingUnit(String),
    /// A unit Go does not know.
    #[error("time: unknown unit {} in duration {}", crate::gofmt::quote(unit), crate::gofmt::quote(input))]
    UnknownUnit {
        /// The unit as written.
        unit: String,
        /// The whole text.
        input: String,
    },
}

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// A duration as Argo reads it: an integer is a number of seconds, anything else a Go duration.
/// Units: nanoseconds out. Errors: `Error::Argo`. An integer too large for nanoseconds wraps around, as in Argo.
/// Source: Argo `util/wait`/`ParseStringToDuration`, conformance table misc.json.
pub fn parse(input: &str) -> Result<i64, Error> {
    if let Ok(seconds) = input.parse::<i64>() {
        return Ok(seconds.wrapping_mul(1_000_000_000));
    }
    parse_go(input).map_err(|source| Error::Argo { input: input.to_owned(), source })
}

/// A Go duration such as `1h30m`, `-1.5s`, `0`. Units: nanoseconds out.
pub fn parse_go(input: &str) -> Result<i64, GoError> {
    let invalid = || GoError::Invalid(input.to_owned());
    let (negative, mut rest) = match input.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, input.strip_prefix('+').unwrap_or(input)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
        let whole_len = digits(rest);
        let (whole, after) = rest.split_at(whole_len);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => after.split_at(digits(after)),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let unit_len = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        if unit.is_empty() {
            return Err(GoError::MissingUnit(input.to_owned()));
        }
        let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(GoError::UnknownUnit { unit: unit.to_owned(), input: input.to_owned() });
        };
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        let mut nanos = whole.checked_mul(*scale).ok_or_else(invalid)?;
        if !fraction.is_empty() {
            let part: f64 = format!("0.{fraction}").parse().map_err(|_| invalid())?;
            nanos = nanos.checked_add((part * *scale as f64) as u64).ok_or_else(invalid)?;
        }
        total = total.checked_add(nanos).filter(|t| *t <= 1 << 63).ok_or_else(invalid)?;
        rest = after;
    }
    if negative {
        return Ok((total as i64).wrapping_neg());
    }
    i64::try_from(total).map_err(|_| invalid())
}

/// A duration as Go prints it: `1h30m0s`, `1.5s`, `0s`. Units: nanoseconds in.
pub fn format(nanos: i64) -> String {
    if nanos == 0 {
        return "0s".into();
    }
    let sign = if nanos < 0 { "-" } else { "" };
    let n = nanos.unsigned_abs();
    let small = |scale: u64, unit: &str| format!("{sign}{}{unit}", with_fraction(n, scale));
    match n {
        0..1_000 => return format!("{sign}{n}ns"),
        1_000..1_000_000 => return small(1_000, "µs"),
        1_000_000..1_000_000_000 => return small(1_000_000, "ms"),
        _ => {}
    }
    let minutes = n / 60_000_000_000;
    let seconds = with_fraction(n % 60_000_000_000, 1_000_000_000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// `n / scale` with as many decimals as needed; `scale` is a power of ten.
fn with_fraction(n: u64, scale: u64) -> String {
    let mut out = (n / scale).to_string();
    let rest = n % scale;
    if rest > 0 {
        let width = scale.ilog10() as usize;
        let _ = write!(out, ".{:0width$}", rest);
        out.truncate(out.trim_end_matches('0').len());
    }
    out
}

const HUMAN: [(&str, &str, i64); 4] =
    [("day", "d", 86_400), ("hour", "h", 3_600), ("minute", "m", 60), ("second", "s", 1)];

/// A duration in words, the largest unit and the next one: `1 hour 30 minutes`, `59 seconds`. Units: seconds in.
/// Source: Argo pkg/humanize, conformance table misc.json.
pub fn human(seconds: i64) -> String {
    if seconds < 0 {
        return format!("-{}", human(seconds.saturating_neg()));
    }
    let words = |count: i64, unit: &str| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
    for (i, (unit, _, size)) in HUMAN.iter().enumerate() {
        if seconds >= *size {
            let first = words(seconds / size, unit);
            return match HUMAN.get(i + 1) {
                Some((next, _, next_size)) => {
                    format!("{first} {}", words(seconds % size / next_size, next))
                }
                None => first,
            };
        }
    }
    words(seconds, "second")
}

/// The largest unit only: `1h`, `0s`. Units: seconds in.
pub fn human_short(seconds: i64) -> String {
    if seconds < 0 {
        return format!("-{}", human_short(seconds.saturating_neg()));
    }
    let (_, unit, size) = HUMAN.iter().find(|(.., size)| seconds >= *size).unwrap_or(&HUMAN[3]);
    format!("{}{unit}", seconds / size)
}

/// The words for a moment `seconds` ago; the same as [`human`]. Units: seconds in.
/// Source: Argo pkg/humanize `RelativeDuration`.
pub fn human_relative(seconds: i64) -> String {
    human(seconds)
}
