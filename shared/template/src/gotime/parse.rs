//! Parsing.

use jiff::Zoned;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use super::{DAYS, MONTHS, Part, next_part};

/// Go's `time.ParseInLocation`: fields the layout lacks are those of 1 January of year 0; without a zone, `zone` holds.
/// Errors: Go's text.
pub(crate) fn parse(layout: &str, text: &str, zone: &TimeZone) -> Result<Zoned, String> {
    let fail = |part: &str, rest: &str| {
        let q = crate::gofmt::quote;
        format!("parsing time {} as {}: cannot parse {} as {}", q(text), q(layout), q(rest), q(part))
    };
    let mut fields = Fields::default();
    let (mut rest, mut input) = (layout, text);
    loop {
        let (before, part, after) = match next_part(rest) {
            Some((before, part, after)) => (before, Some(part), after),
            None => (rest, None, ""),
        };
        input = input.strip_prefix(before).ok_or_else(|| fail(before, input))?;
        let Some(part) = part else {
            if !input.is_empty() {
                let q = crate::gofmt::quote;
                return Err(format!("parsing time {}: extra text: {}", q(text), q(input)));
            }
            break;
        };
        let element = &rest[before.len()..rest.len() - after.len()];
        input = fields.read(part, input).ok_or_else(|| fail(element, input))?;
        rest = after;
    }
    fields.finish(zone).ok_or_else(|| {
        let what = if fields.day_is_wrong() { "day" } else { "time" };
        format!("parsing time {}: {what} out of range", crate::gofmt::quote(text))
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
        Fields { year: 0, month: 1, day: 1, hour: 0, minute: 0, second: 0, nanos: 0, pm: None, offset: None }
    }
}

/// A number of `min` to `max` digits in front of `input`.
fn digits(input: &str, min: usize, max: usize) -> Option<(i16, &str)> {
    let len = input.bytes().take(max).take_while(u8::is_ascii_digit).count();
    if len < min {
        return None;
    }
    Some((input[..len].parse().ok()?, &input[len..]))
}

fn name<'a>(input: &'a str, names: &[&str], short: bool) -> Option<(usize, &'a str)> {
    names.iter().enumerate().find_map(|(i, name)| {
        let name = if short { &name[..3] } else { name };
        let head = input.get(..name.len())?;
        head.eq_ignore_ascii_case(name).then(|| (i, &input[name.len()..]))
    })
}

impl Fields {
    fn read<'a>(&mut self, part: Part<'_>, input: &'a str) -> Option<&'a str> {
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
                let input = if pad == Some(' ') { input.strip_prefix(' ').unwrap_or(input) } else { input };
                (self.day, rest) = two(pad == Some('0'), input)?;
            }
            Part::YearDay => {
                let (n, after) = digits(input, 3, 3)?;
                let date = jiff::civil::date(self.year, 1, 1);
                let date = date.checked_add(jiff::Span::new().days(i64::from(n) - 1)).ok()?;
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
            Part::Zone { colon, minutes, seconds, .. } => {
                let negative = match input.chars().next()? {
                    '-' => true,
                    '+' => false,
                    _ => return None,
                };
                let (hours, mut after) = digits(&input[1..], 2, 2)?;
                let mut total = i32::from(hours) * 3600;
                for (wanted, size) in [(minutes, 60), (seconds, 1)] {
                    if wanted {
                        after = if colon { after.strip_prefix(':')? } else { after };
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
        let nine: String = after[..len].chars().chain("000000000".chars()).take(9).collect();
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
        let at = DateTime::new(self.year, self.month, self.day, hour, self.minute, self.second, self.nanos).ok()?;
        match self.offset {
            Some(0) => at.to_zoned(TimeZone::UTC).ok(),
            Some(seconds) => at.to_zoned(Offset::from_seconds(seconds).ok()?.to_time_zone()).ok(),
            None => at.to_zoned(zone.clone()).ok(),
        }
    }
}
