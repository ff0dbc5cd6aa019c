//! Formatting.

use std::fmt::Write;

use jiff::Zoned;

use super::{DAYS, MONTHS, Part, next_part};

/// The zone's short name; an offset without a name is shown as its digits.
fn zone_name(time: &Zoned) -> String {
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
        if zero { format!("{n:02}") } else { n.to_string() }
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
            if upper { name.to_owned() } else { name.to_lowercase() }
        }
        Part::ZoneName => zone_name(t),
        Part::Zone { z: true, .. } if t.offset().seconds() == 0 => "Z".into(),
        Part::Zone { colon, minutes, seconds, .. } => {
            let total = t.offset().seconds();
            let sep = if colon { ":" } else { "" };
            let mut text = format!("{}{:02}", if total < 0 { '-' } else { '+' }, total.abs() / 3600);
            if minutes {
                let _ = write!(text, "{sep}{:02}", total.abs() / 60 % 60);
            }
            if seconds {
                let _ = write!(text, "{sep}{:02}", total.abs() % 60);
            }
            text
        }
        Part::Fraction { separator, digits, trim } => {
            let mut text = format!("{:09}", t.subsec_nanosecond());
            text.truncate(digits.min(9));
            if trim {
                text.truncate(text.trim_end_matches('0').len());
            }
            if text.is_empty() { text } else { format!("{separator}{text}") }
        }
    };
    out.push_str(&text);
}
