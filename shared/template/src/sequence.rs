//! The items of `withSequence`.

use crate::expr::Value;
use crate::{
    gofmt,
    limits::{self, Limits},
    printf,
};

/// Why a sequence has no items, in Argo's (mostly Go's) words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a whole number.
    #[error("strconv.Atoi: parsing {}: {reason}", gofmt::quote(.text))]
    NotInteger { text: String, reason: &'static str },
    /// No end.
    #[error("neither end nor count was specified in withSequence")]
    NoEnd,
    /// More than there may be. Argo has no limit.
    #[error("withSequence: {}", limits::too_many_items(*.count, *.max))]
    TooMany { count: u64, max: u64 },
    /// The format gave a text that Argo cannot put into a JSON string.
    #[error("{reason}")]
    NotJson { reason: String },
}

fn atoi(text: &str) -> Result<i64, Error> {
    text.parse().map_err(|e: std::num::ParseIntError| {
        use std::num::IntErrorKind::{NegOverflow, PosOverflow};
        let reason = match e.kind() {
            PosOverflow | NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        Error::NotInteger { text: text.to_owned(), reason }
    })
}

/// The items from `start` (default 0) to `end`, or as many as `count`; `end` wins. Counts down when `end` is below.
/// `format` is a Go format for one int (default `%d`).
/// Errors: any of [`Error`].
/// Source: Argo workflow/controller/steps.go `expandSequence`.
pub fn expand(
    start: Option<&str>,
    end: Option<&str>,
    count: Option<&str>,
    format: Option<&str>,
) -> Result<Vec<String>, Error> {
    expand_within(start, end, count, format, Limits::default().loop_items)
}

/// The same with a limit of one's own for the number of items.
pub fn expand_within(
    start: Option<&str>,
    end: Option<&str>,
    count: Option<&str>,
    format: Option<&str>,
    max: u64,
) -> Result<Vec<String>, Error> {
    let start = start.map(atoi).transpose()?.unwrap_or(0);
    let end = match (end, count) {
        (Some(end), _) => atoi(end)?,
        (None, Some(count)) => match atoi(count)? {
            0 => return Ok(Vec::new()),
            count => start.wrapping_add(count).wrapping_sub(1),
        },
        (None, None) => return Err(Error::NoEnd),
    };
    let count = start.abs_diff(end).saturating_add(1);
    if count > max {
        return Err(Error::TooMany { count, max });
    }
    let format = format.filter(|f| !f.is_empty()).unwrap_or("%d");
    let item = |n: i64| through_json(printf::format(format, &[Value::Int(n)]));
    if start <= end { (start..=end).map(item).collect() } else { (end..=start).rev().map(item).collect() }
}

/// Argo puts the text between quotes and reads that as JSON.
fn through_json(text: String) -> Result<String, Error> {
    if !text.contains(['"', '\\']) && !text.contains(|c: char| (c as u32) < 0x20) {
        return Ok(text);
    }
    let fail = |reason: String| Err(Error::NotJson { reason });
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                let next = chars.next().unwrap_or('"');
                return fail(format!("invalid character {} after top-level value", shown(next)));
            }
            c if (c as u32) < 0x20 => {
                return fail(format!("invalid character {} in string literal", shown(c)));
            }
            '\\' => match chars.next() {
                Some('"') => out.push('"'),
                Some(c @ ('\\' | '/')) => out.push(c),
                Some('b') => out.push('\x08'),
                Some('f') => out.push('\x0c'),
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                Some('u') => {
                    let digits: String = chars.by_ref().take(4).collect();
                    match u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4) {
                        Some(code) => out.push(char::from_u32(code).unwrap_or('\u{fffd}')),
                        None => {
                            return fail("invalid character in \\u hexadecimal character escape".into());
                        }
                    }
                }
                Some(c) => {
                    return fail(format!("invalid character {} in string escape code", shown(c)));
                }
                None => return fail("unexpected end of JSON input".into()),
            },
            c => out.push(c),
        }
    }
    Ok(out)
}

/// A character in Go's single quotes.
fn shown(c: char) -> String {
    let mut out = String::from("'");
    gofmt::quote_char(&mut out, c, '\'');
    out.push('\'');
    out
}
