//! Methods of times and durations, as Go has them.

use super::error::Fail;
use super::ops;
use super::value::Value;
use crate::{duration, gotime};

/// Methods of a time; the flag says whether the result is an integer (for the checker it makes no difference).
pub(crate) const TIME: &[&str] = &[
    "Year",
    "Month",
    "Day",
    "Hour",
    "Minute",
    "Second",
    "Nanosecond",
    "Weekday",
    "YearDay",
    "Unix",
    "UnixMilli",
    "UnixMicro",
    "UnixNano",
    "Format",
    "String",
    "Add",
    "Sub",
    "AddDate",
    "Before",
    "After",
    "Equal",
    "Compare",
    "IsZero",
    "UTC",
    "Local",
    "Truncate",
    "Round",
];

/// Methods of a duration.
pub(crate) const DURATION: &[&str] = &[
    "Hours",
    "Minutes",
    "Seconds",
    "Milliseconds",
    "Microseconds",
    "Nanoseconds",
    "String",
    "Abs",
    "Truncate",
    "Round",
];

/// Calls a method of a value.
pub(crate) fn call(receiver: &Value, method: &str, args: &[Value]) -> Result<Value, Fail> {
    let found = match receiver {
        Value::Time(t) => time(t, method, args),
        Value::Duration(d) => span(*d, method, args),
        Value::Nil => return Err(Fail::run(format!("cannot fetch {method} from <nil>"))),
        _ => None,
    };
    found.ok_or_else(|| match receiver {
        Value::Map(map) => Fail::run(match map.get(method) {
            None | Some(Value::Nil) => "invalid operation: cannot call nil".to_owned(),
            Some(other) => format!("invalid operation: cannot call non-function of type {}", other.type_name()),
        }),
        other => Fail::run(format!("cannot call {method} of {} with these arguments", other.type_name())),
    })
}

fn time(t: &jiff::Zoned, method: &str, args: &[Value]) -> Option<Value> {
    let at = t.timestamp();
    Some(match (method, args) {
        ("Year", []) => Value::Int(t.year().into()),
        ("Month", []) => Value::Int(t.month().into()),
        ("Day", []) => Value::Int(t.day().into()),
        ("Hour", []) => Value::Int(t.hour().into()),
        ("Minute", []) => Value::Int(t.minute().into()),
        ("Second", []) => Value::Int(t.second().into()),
        ("Nanosecond", []) => Value::Int(t.subsec_nanosecond().into()),
        ("Weekday", []) => Value::Int(t.weekday().to_sunday_zero_offset().into()),
        ("YearDay", []) => Value::Int(t.day_of_year().into()),
        ("Unix", []) => Value::Int(at.as_nanosecond().div_euclid(1_000_000_000) as i64),
        ("UnixMilli", []) => Value::Int(at.as_nanosecond().div_euclid(1_000_000) as i64),
        ("UnixMicro", []) => Value::Int(at.as_nanosecond().div_euclid(1_000) as i64),
        ("UnixNano", []) => Value::Int(at.as_nanosecond() as i64),
        ("Format", [Value::Str(layout)]) => Value::from(gotime::format(t, layout)),
        ("String", []) => Value::from(gotime::format(t, gotime::DISPLAY)),
        ("Add", [Value::Duration(d)]) => ops::shift(t, *d)?,
        ("Sub", [Value::Time(other)]) => Value::Duration(ops::since(t, other)),
        ("AddDate", [Value::Int(years), Value::Int(months), Value::Int(days)]) => {
            Value::Time(Box::new(add_date(t, *years, *months, *days)?))
        }
        ("Before", [Value::Time(other)]) => Value::Bool(at < other.timestamp()),
        ("After", [Value::Time(other)]) => Value::Bool(at > other.timestamp()),
        ("Equal", [Value::Time(other)]) => Value::Bool(at == other.timestamp()),
        ("Compare", [Value::Time(other)]) => Value::Int(at.cmp(&other.timestamp()) as i64),
        ("IsZero", []) => {
            Value::Bool(t.year() == 1 && t.day_of_year() == 1 && t.time() == jiff::civil::Time::midnight())
        }
        ("UTC" | "Local", []) => Value::Time(Box::new(gotime::utc(at))),
        ("Truncate", [Value::Duration(d)]) => {
            let rest = if *d > 0 { at.as_nanosecond().rem_euclid(i128::from(*d)) as i64 } else { 0 };
            ops::shift(t, -rest)?
        }
        ("Round", [Value::Duration(d)]) if *d > 0 => {
            let rest = at.as_nanosecond().rem_euclid(i128::from(*d)) as i64;
            ops::shift(t, if rest + rest < *d { -rest } else { d - rest })?
        }
        _ => return None,
    })
}

/// Go's `AddDate`: the month's overflow goes into the next one (31 January + 1 month = 2 or 3 March).
pub(crate) fn add_date(t: &jiff::Zoned, years: i64, months: i64, days: i64) -> Option<jiff::Zoned> {
    let month = i64::from(t.month()) - 1 + months;
    let year = i64::from(t.year()).checked_add(years)?.checked_add(month.div_euclid(12))?;
    let first = jiff::civil::Date::new(year.try_into().ok()?, month.rem_euclid(12) as i8 + 1, 1).ok()?;
    let more = i64::from(t.day() - 1).checked_add(days)?;
    let date = first.checked_add(jiff::Span::new().try_days(more).ok()?).ok()?;
    date.to_datetime(t.time()).to_zoned(t.time_zone().clone()).ok()
}

fn span(d: i64, method: &str, args: &[Value]) -> Option<Value> {
    let by = |nanos: i64| {
        // Go adds whole and part, so that the result is as exact as a float can be.
        Value::Float((d / nanos) as f64 + (d % nanos) as f64 / nanos as f64)
    };
    Some(match (method, args) {
        ("Hours", []) => by(3_600_000_000_000),
        ("Minutes", []) => by(60_000_000_000),
        ("Seconds", []) => by(1_000_000_000),
        ("Milliseconds", []) => Value::Int(d / 1_000_000),
        ("Microseconds", []) => Value::Int(d / 1_000),
        ("Nanoseconds", []) => Value::Int(d),
        ("String", []) => Value::from(duration::format(d)),
        ("Abs", []) => Value::Duration(d.saturating_abs()),
        ("Truncate", [Value::Duration(m)]) => Value::Duration(if *m > 0 { d - d % m } else { d }),
        ("Round", [Value::Duration(m)]) if *m > 0 => {
            let rest = d % m;
            let up = rest.abs().saturating_mul(2) >= *m;
            Value::Duration(if up { d - rest + m * d.signum() } else { d - rest })
        }
        _ => return None,
    })
}
