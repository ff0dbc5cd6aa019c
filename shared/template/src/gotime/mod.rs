//! Go's time layouts (`2006-01-02 15:04:05`), for formatting and parsing.

mod format;
mod parse;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

pub(crate) use format::format;
pub(crate) use parse::parse;

pub(crate) const RFC3339: &str = "2006-01-02T15:04:05Z07:00";
pub(crate) const RFC3339_NANO: &str = "2006-01-02T15:04:05.999999999Z07:00";
/// What `Time.String` uses.
pub(crate) const DISPLAY: &str = "2006-01-02 15:04:05.999999999 -0700 MST";

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// One element of a layout.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part<'a> {
    Text(&'a str),
    LongYear,
    ShortYear,
    LongMonth,
    ShortMonth,
    Month {
        zero: bool,
    },
    LongDay,
    ShortDay,
    Day {
        pad: Option<char>,
    },
    YearDay,
    Hour24,
    Hour12 {
        zero: bool,
    },
    Minute {
        zero: bool,
    },
    Second {
        zero: bool,
    },
    Pm {
        upper: bool,
    },
    ZoneName,
    /// `Z07:00` writes Z for UTC, `-07:00` never does.
    Zone {
        z: bool,
        colon: bool,
        minutes: bool,
        seconds: bool,
    },
    /// `.000` keeps zeros, `.999` trims them.
    Fraction {
        separator: char,
        digits: usize,
        trim: bool,
    },
}

/// Layout elements; a longer one comes before its own beginning.
const ELEMENTS: &[(&str, Part<'static>)] = &[
    ("January", Part::LongMonth),
    ("Jan", Part::ShortMonth),
    ("Monday", Part::LongDay),
    ("Mon", Part::ShortDay),
    ("MST", Part::ZoneName),
    ("2006", Part::LongYear),
    ("002", Part::YearDay),
    ("01", Part::Month { zero: true }),
    ("02", Part::Day { pad: Some('0') }),
    ("03", Part::Hour12 { zero: true }),
    ("04", Part::Minute { zero: true }),
    ("05", Part::Second { zero: true }),
    ("06", Part::ShortYear),
    ("15", Part::Hour24),
    ("1", Part::Month { zero: false }),
    ("_2006", Part::Text("_")),
    ("_2", Part::Day { pad: Some(' ') }),
    ("2", Part::Day { pad: None }),
    ("3", Part::Hour12 { zero: false }),
    ("4", Part::Minute { zero: false }),
    ("5", Part::Second { zero: false }),
    ("PM", Part::Pm { upper: true }),
    ("pm", Part::Pm { upper: false }),
    ("-07:00:00", Part::Zone { z: false, colon: true, minutes: true, seconds: true }),
    ("-070000", Part::Zone { z: false, colon: false, minutes: true, seconds: true }),
    ("-07:00", Part::Zone { z: false, colon: true, minutes: true, seconds: false }),
    ("-0700", Part::Zone { z: false, colon: false, minutes: true, seconds: false }),
    ("-07", Part::Zone { z: false, colon: false, minutes: false, seconds: false }),
    ("Z07:00:00", Part::Zone { z: true, colon: true, minutes: true, seconds: true }),
    ("Z070000", Part::Zone { z: true, colon: false, minutes: true, seconds: true }),
    ("Z07:00", Part::Zone { z: true, colon: true, minutes: true, seconds: false }),
    ("Z0700", Part::Zone { z: true, colon: false, minutes: true, seconds: false }),
    ("Z07", Part::Zone { z: true, colon: false, minutes: false, seconds: false }),
];

/// The first element in `layout`: the text before it, the element, the rest.
fn next_part(layout: &str) -> Option<(&str, Part<'static>, &str)> {
    for (at, c) in layout.char_indices() {
        let rest = &layout[at..];
        if let Some(fraction) = fraction(rest, c) {
            return Some((&layout[..at], fraction.0, &rest[fraction.1..]));
        }
        for (text, part) in ELEMENTS {
            if let Some(after) = rest.strip_prefix(text) {
                // "Jan" and "Mon" are not elements at the start of a longer lower-case word.
                let word = matches!(part, Part::ShortMonth | Part::ShortDay)
                    && after.starts_with(|c: char| c.is_ascii_lowercase());
                if word {
                    continue;
                }
                if *text == "_2006" {
                    return Some((&layout[..=at], Part::LongYear, &rest[5..]));
                }
                return Some((&layout[..at], *part, after));
            }
        }
    }
    None
}

/// `.000`, `,999` and the like, when no digit follows.
fn fraction(rest: &str, c: char) -> Option<(Part<'static>, usize)> {
    if c != '.' && c != ',' {
        return None;
    }
    let kind = rest[1..].chars().next().filter(|c| *c == '0' || *c == '9')?;
    let digits = rest[1..].chars().take_while(|c| *c == kind).count();
    let end = 1 + digits;
    if rest[end..].starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some((Part::Fraction { separator: c, digits, trim: kind == '9' }, end))
}

/// A timestamp in UTC.
pub(crate) fn utc(at: Timestamp) -> Zoned {
    at.to_zoned(TimeZone::UTC)
}
