//! Go's time layouts (`2006-01-02 15:04:05`), for formatting and parsing.

use std::fmt::Write;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

pub(crate) const RFC3339: &str = "2006-01-02T15:04:05Z07:00";
pub(crate) const RFC3339_NANO: &str = "2006-01-02T15:04:05.999999999Z07:00";
/// What `Time.String` uses.
pub(crate) const DISPLAY: &str = "2006-01-02 15:04:05.999999999 -0700 MST";

pub(crate) const MONTHS: [&str; 12] = [
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
pub(crate) const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

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
    (
        "-07:00:00",
        Part::Zone {
            z: false,
            colon: true,
            minutes: true,
            seconds: true,
        },
    ),
    (
        "-070000",
        Part::Zone {
            z: false,
            colon: false,
            minutes: true,
            seconds: true,
        },
    ),
    (
        "-07:00",
        Part::Zone {
            z: false,
            colon: true,
            minutes: true,
            seconds: false,
        },
    ),
    (
        "-0700",
        Part::Zone {
            z: false,
            colon: false,
            minutes: true,
            seconds: false,
        },
    ),
    (
        "-07",
        Part::Zone {
            z: false,
            colon: false,
            minutes: false,
            seconds: false,
        },
    ),
    (
        "Z07:00:00",
        Part::Zone {
            z: true,
            colon: true,
            minutes: true,
            seconds: true,
        },
    ),
    (
        "Z070000",
        Part::Zone {
            z: true,
            colon: false,
            minutes: true,
            seconds: true,
        },
    ),
    (
        "Z07:00",
        Part::Zone {
            z: true,
            colon: true,
            minutes: true,
            seconds: false,
        },
    ),
    (
        "Z0700",
        Part::Zone {
            z: true,
            colon: false,
            minutes: true,
            seconds: false,
        },
    ),
    (
        "Z07",
        Part::Zone {
            z: true,
            colon: false,
            minutes: false,
            seconds: false,
        },
    ),
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
    let kind = rest[1..]
        .chars()
        .next()
        .filter(|c| *c == '0' || *c == '9')?;
    let digits = rest[1..].chars().take_while(|c| *c == kind).count();
    let end = 1 + digits;
    if rest[end..].starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some((
        Part::Fraction {
            separator: c,
            digits,
            trim: kind == '9',
        },
        end,
    ))
}

/// The zone's short name; an offset without a name is shown as its digits.
pub(crate) fn zone_name(time: &Zoned) -> String {
    let info = time.time_zone().to_offset_info(time.timestamp());
    let name = info.abbreviation();
    if name.starts_with(['+', '-']) {
        let seconds = time.offset().seconds();
        let sign = if seconds < 0 { '-' } else { '+' };
        let minutes = seconds.abs() / 60;
        return match minutes % 60 {
            0 => format!("{sign}{:02}", minutes / 60),
            rest => format!("{sign}{:02}{rest:02}", minutes / 60),
        };
    }
    name.to_owned()
}

/// Go's `Time.Format`.
pub(crate) fn format(time: &Zoned, layout: &str) -> String {
    let mut out = String::new();
    let mut rest = layout;
    while let Some((before, part, after)) = next_part(rest) {
        out.push_str(before);
        write_part(&mut out, time, part);
        rest = after;
    }
    out.push_str(rest);
    out
}

fn write_part(out: &mut String, t: &Zoned, part: Part<'_>) {
    let hour12 = match t.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    let number = |n: i16, zero: bool| {
        if zero {
            format!("{n:02}")
        } else {
            n.to_string()
        }
    };
    let text = match part {
        Part::Text(text) => text.to_owned(),
        Part::LongYear => format!("{:04}", t.year()),
        Part::ShortYear => format!("{:02}", t.year().rem_euclid(100)),
        Part::LongMonth => MONTHS[t.month() as usize - 1].to_owned(),
        Part::ShortMonth => MONTHS[t.month() as usize - 1][..3].to_owned(),
        Part::Month { zero } => number(t.month().into(), zero),
        Part::LongDay => DAYS[t.weekday().to_sunday_zero_offset() as usize].to_owned(),
        Part::ShortDay => DAYS[t.weekday().to_sunday_zero_offset() as usize][..3].to_owned(),
        Part::Day { pad: Some(' ') } => format!("{:2}", t.day()),
        Part::Day { pad } => number(t.day().into(), pad.is_some()),
        Part::YearDay => format!("{:03}", t.day_of_year()),
        Part::Hour24 => format!("{:02}", t.hour()),
        Part::Hour12 { zero } => number(hour12.into(), zero),
        Part::Minute { zero } => number(t.minute().into(), zero),
        Part::Second { zero } => number(t.second().into(), zero),
        Part::Pm { upper } => {
            let name = if t.hour() >= 12 { "PM" } else { "AM" };
            if upper {
                name.to_owned()
            } else {
                name.to_lowercase()
            }
        }
        Part::ZoneName => zone_name(t),
        Part::Zone { z: true, .. } if t.offset().seconds() == 0 => "Z".into(),
        Part::Zone {
            colon,
            minutes,
            seconds,
            ..
        } => {
            let total = t.offset().seconds();
            let sep = if colon { ":" } else { "" };
            let mut text = format!(
                "{}{:02}",
                if total < 0 { '-' } else { '+' },
                total.abs() / 3600
            );
            if minutes {
                let _ = write!(text, "{sep}{:02}", total.abs() / 60 % 60);
            }
            if seconds {
                let _ = write!(text, "{sep}{:02}", total.abs() % 60);
            }
            text
        }
        Part::Fraction {
            separator,
            digits,
            trim,
        } => {
            let mut text = format!("{:09}", t.subsec_nanosecond());
            text.truncate(digits.min(9));
            if trim {
                text.truncate(text.trim_end_matches('0').len());
            }
            if text.is_empty() {
                text
            } else {
                format!("{separator}{text}")
            }
        }
    };
    out.push_str(&text);
}

/// Go's `time.ParseInLocation`: fields the layout lacks are those of 1 January of year 0; without a zone, `zone` holds.
/// Errors: Go's text.
pub(crate) fn parse(layout: &str, text: &str, zone: &TimeZone) -> Result<Zoned, String> {
    let fail = |part: &str, rest: &str| {
        let q = crate::gofmt::quote;
        format!(
            "parsing time {} as {}: cannot parse {} as {}",
            q(text),
            q(layout),
            q(rest),
            q(part)
        )
    };
    let mut fields = Fields::default();
    let (mut rest, mut input) = (layout, text);
    loop {
        let (before, part, after) = match next_part(rest) {
            Some((before, part, after)) => (before, Some(part), after),
            None => (rest, None, ""),
        };
        input = input
            .strip_prefix(before)
            .ok_or_else(|| fail(before, input))?;
        let Some(part) = part else {
            if !input.is_empty() {
                let q = crate::gofmt::quote;
                return Err(format!(
                    "parsing time {}: extra text: {}",
                    q(text),
                    q(input)
                ));
            }
            break;
        };
        let element = &rest[before.len()..rest.len() - after.len()];
        input = fields
            .read(part, input, after)
            .ok_or_else(|| fail(element, input))?;
        rest = after;
    }
    fields.finish(zone).ok_or_else(|| {
        let what = if fields.day_is_wrong() { "day" } else { "time" };
        format!(
            "parsing time {}: {what} out of range",
            crate::gofmt::quote(text)
        )
    })
}

struct Fields {
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
    pm: Option<bool>,
    offset: Option<i32>,
}

impl Default for Fields {
    fn default() -> Self {
        Fields {
            year: 0,
            month: 1,
            day: 1,
            hour: 0,
            minute: 0,
            second: 0,
            nanos: 0,
            pm: None,
            offset: None,
        }
    }
}

/// A number of `min` to `max` digits in front of `input`.
fn digits(input: &str, min: usize, max: usize) -> Option<(i16, &str)> {
    let len = input
        .bytes()
        .take(max)
        .take_while(u8::is_ascii_digit)
        .count();
    if len < min {
        return None;
    }
    Some((input[..len].parse().ok()?, &input[len..]))
}

fn name<'a>(input: &'a str, names: &[&str], short: bool) -> Option<(usize, &'a str)> {
    names.iter().enumerate().find_map(|(i, name)| {
        let name = if short { &name[..3] } else { name };
        let head = input.get(..name.len())?;
        head.eq_ignore_ascii_case(name)
            .then(|| (i, &input[name.len()..]))
    })
}

impl Fields {
    fn read<'a>(&mut self, part: Part<'_>, input: &'a str, _after: &str) -> Option<&'a str> {
        let small = |zero: bool| if zero { (2, 2) } else { (1, 2) };
        let two = |zero: bool, input: &'a str| -> Option<(i8, &'a str)> {
            let (min, max) = small(zero);
            let (n, rest) = digits(input, min, max)?;
            Some((n as i8, rest))
        };
        let rest;
        match part {
            Part::Text(text) => rest = input.strip_prefix(text)?,
            Part::LongYear => (self.year, rest) = digits(input, 4, 4)?,
            Part::ShortYear => {
                let (n, after) = digits(input, 2, 2)?;
                self.year = if n >= 69 { 1900 + n } else { 2000 + n };
                rest = after;
            }
            Part::LongMonth | Part::ShortMonth => {
                let (i, after) = name(input, &MONTHS, part == Part::ShortMonth)?;
                self.month = i as i8 + 1;
                rest = after;
            }
            Part::LongDay | Part::ShortDay => rest = name(input, &DAYS, part == Part::ShortDay)?.1,
            Part::Month { zero } => (self.month, rest) = two(zero, input)?,
            Part::Day { pad } => {
                let input = if pad == Some(' ') {
                    input.strip_prefix(' ').unwrap_or(input)
                } else {
                    input
                };
                (self.day, rest) = two(pad == Some('0'), input)?;
            }
            Part::YearDay => {
                let (n, after) = digits(input, 3, 3)?;
                let date = jiff::civil::date(self.year, 1, 1);
                let date = date
                    .checked_add(jiff::Span::new().days(i64::from(n) - 1))
                    .ok()?;
                (self.month, self.day) = (date.month(), date.day());
                rest = after;
            }
            Part::Hour24 => (self.hour, rest) = two(false, input)?,
            Part::Hour12 { zero } => (self.hour, rest) = two(zero, input)?,
            Part::Minute { zero } => (self.minute, rest) = two(zero, input)?,
            Part::Second { zero } => {
                let (n, after) = two(zero, input)?;
                self.second = n;
                // Go takes a fraction of a second even when the layout has none.
                rest = self.fraction(after).unwrap_or(after);
            }
            Part::Pm { .. } => {
                let head = input.get(..2)?;
                self.pm = Some(match head.to_ascii_uppercase().as_str() {
                    "PM" => true,
                    "AM" => false,
                    _ => return None,
                });
                rest = &input[2..];
            }
            Part::ZoneName => {
                let len = input.bytes().take_while(u8::is_ascii_alphabetic).count();
                if len < 3 {
                    return None;
                }
                // Like Go without knowledge of the name: an offset of zero.
                self.offset = Some(0);
                rest = &input[len..];
            }
            Part::Zone { z: true, .. } if input.starts_with('Z') => {
                self.offset = Some(0);
                rest = &input[1..];
            }
            Part::Zone {
                colon,
                minutes,
                seconds,
                ..
            } => {
                let negative = match input.chars().next()? {
                    '-' => true,
                    '+' => false,
                    _ => return None,
                };
                let (hours, mut after) = digits(&input[1..], 2, 2)?;
                let mut total = i32::from(hours) * 3600;
                for (wanted, size) in [(minutes, 60), (seconds, 1)] {
                    if wanted {
                        after = if colon {
                            after.strip_prefix(':')?
                        } else {
                            after
                        };
                        let (n, next) = digits(after, 2, 2)?;
                        total += i32::from(n) * size;
                        after = next;
                    }
                }
                self.offset = Some(if negative { -total } else { total });
                rest = after;
            }
            Part::Fraction { .. } => rest = self.fraction(input).unwrap_or(input),
        }
        Some(rest)
    }

    fn fraction<'a>(&mut self, input: &'a str) -> Option<&'a str> {
        let after = input.strip_prefix(['.', ','])?;
        let len = after.bytes().take_while(u8::is_ascii_digit).count();
        if len == 0 {
            return None;
        }
        let nine: String = after[..len]
            .chars()
            .chain("000000000".chars())
            .take(9)
            .collect();
        self.nanos = nine.parse().ok()?;
        Some(&after[len..])
    }

    fn day_is_wrong(&self) -> bool {
        jiff::civil::Date::new(self.year, self.month, self.day).is_err()
    }

    fn finish(&self, zone: &TimeZone) -> Option<Zoned> {
        let hour = match self.pm {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let at = DateTime::new(
            self.year,
            self.month,
            self.day,
            hour,
            self.minute,
            self.second,
            self.nanos,
        )
        .ok()?;
        match self.offset {
            Some(0) => at.to_zoned(TimeZone::UTC).ok(),
            Some(seconds) => at
                .to_zoned(Offset::from_seconds(seconds).ok()?.to_time_zone())
                .ok(),
            None => at.to_zoned(zone.clone()).ok(),
        }
    }
}

/// A timestamp in UTC.
pub(crate) fn utc(at: Timestamp) -> Zoned {
    at.to_zoned(TimeZone::UTC)
}
