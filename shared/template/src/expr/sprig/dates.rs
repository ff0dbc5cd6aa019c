//! Dates. The local zone is UTC.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::super::error::Fail;
use super::super::ops;
use super::super::value::Value;
use super::Answer;
use crate::{duration, gotime};

pub(super) fn call(name: &str, args: &[Value], now: Option<Timestamp>) -> Answer {
    use Value::Str;
    let date_or_now = |value: &Value| moment(value, now);
    Some(match (name, args) {
        ("now", []) => clock(now).map(|t| Value::Time(Box::new(t))),
        ("date", [Str(layout), date]) => date_or_now(date).map(|t| Value::from(gotime::format(&t, layout))),
        ("dateInZone" | "date_in_zone", [Str(layout), date, Str(name)]) => {
            date_or_now(date).map(|t| Value::from(gotime::format(&t.with_time_zone(zone(name)), layout)))
        }
        ("htmlDate", [date]) => date_or_now(date).map(|t| Value::from(gotime::format(&t, "2006-01-02"))),
        ("htmlDateInZone", [date, Str(name)]) => {
            date_or_now(date).map(|t| Value::from(gotime::format(&t.with_time_zone(zone(name)), "2006-01-02")))
        }
        ("dateModify" | "date_modify" | "mustDateModify" | "must_date_modify", [Str(by), Value::Time(t)]) => {
            match duration::parse_go(by) {
                Ok(nanos) => ops::shift(t, nanos).ok_or_else(|| Fail::run("time out of range")),
                Err(e) if name.starts_with("must") => Err(Fail::run(e.to_string())),
                Err(_) => Ok(Value::Time(t.clone())),
            }
        }
        ("toDate" | "mustToDate", [Str(layout), Str(text)]) => match gotime::parse(layout, text, &TimeZone::UTC) {
            Ok(t) => Ok(Value::Time(Box::new(t))),
            Err(e) if name.starts_with("must") => Err(Fail::run(e)),
            Err(_) => zero().ok_or_else(|| Fail::run("time out of range")),
        },
        ("unixEpoch", [Value::Time(t)]) => Ok(Value::from(t.timestamp().as_second().to_string())),
        ("ago", [date]) => clock(now).and_then(|now| {
            let age = ops::since(&now, &date_or_now(date)?);
            let second = 1_000_000_000;
            let rounded = (age + age.signum() * second / 2) / second * second;
            Ok(Value::from(duration::format(rounded)))
        }),
        ("duration", [seconds]) => {
            let n = match seconds {
                Str(s) => s.parse().unwrap_or(0),
                Value::Int(n) => *n,
                _ => 0,
            };
            Ok(Value::from(duration::format(n.wrapping_mul(1_000_000_000))))
        }
        ("durationRound", [value]) => {
            let nanos = match value {
                Str(s) => duration::parse_go(s).unwrap_or(0),
                Value::Int(n) | Value::Duration(n) => *n,
                Value::Time(t) => match clock(now) {
                    Ok(now) => ops::since(&now, t),
                    Err(fail) => return Some(Err(fail)),
                },
                _ => 0,
            };
            Ok(Value::from(rounded(nanos)))
        }
        _ => return None,
    })
}

fn clock(now: Option<Timestamp>) -> Result<Zoned, Fail> {
    now.map(gotime::utc).ok_or_else(|| Fail::run("the current time is not available here"))
}

/// A time, or seconds since 1970; anything else, text too, is now.
fn moment(value: &Value, now: Option<Timestamp>) -> Result<Zoned, Fail> {
    match value {
        Value::Time(t) => Ok(t.as_ref().clone()),
        Value::Int(n) => Timestamp::from_second(*n).map(gotime::utc).map_err(|_| Fail::run("time out of range")),
        _ => clock(now),
    }
}

fn zone(name: &str) -> TimeZone {
    match name {
        "" | "UTC" | "Local" => TimeZone::UTC,
        name => TimeZone::get(name).unwrap_or(TimeZone::UTC),
    }
}

/// Go's zero time.
fn zero() -> Option<Value> {
    let date = jiff::civil::date(1, 1, 1).to_zoned(TimeZone::UTC).ok()?;
    Some(Value::Time(Box::new(date)))
}

/// The largest unit of a duration: `2h`, `1mo`.
fn rounded(nanos: i64) -> String {
    let seconds = nanos.unsigned_abs() / 1_000_000_000;
    let sign = if nanos < 0 { "-" } else { "" };
    let units = [("y", 31_536_000), ("mo", 2_592_000), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    match units.iter().find(|(_, size)| seconds > *size) {
        Some((unit, size)) => format!("{sign}{}{unit}", seconds / size),
        None => "0s".into(),
    }
}
