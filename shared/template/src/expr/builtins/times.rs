//! Builtins on times and durations.

use jiff::tz::TimeZone;

use super::super::env::Env;
use super::super::error::Fail;
use super::super::value::Value;
use super::closures;
use crate::{duration, gotime};

/// Layouts `date()` tries in turn.
const LAYOUTS: &[&str] = &[
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    gotime::RFC3339,
    "02 Jan 06 15:04 MST",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
    "02 Jan 06 15:04 -0700",
    "Mon, 02 Jan 2006 15:04:05 -0700",
];

pub(super) fn call(name: &str, args: &[Value], env: &Env<'_>) -> Option<Result<Value, Fail>> {
    use Value::Str;
    Some(match (name, args) {
        ("now", []) => match env.now {
            Some(now) => Ok(Value::Time(Box::new(gotime::utc(now)))),
            None => Err(Fail::run("now() is not available here")),
        },
        ("duration", [Str(s)]) => duration::parse_go(s).map(Value::Duration).map_err(|e| Fail::run(e.to_string())),
        ("date", [Str(text)]) => date(text, None, TimeZone::UTC),
        ("date", [Str(text), Str(layout)]) => date(text, Some(layout), TimeZone::UTC),
        ("date", [Str(text), Str(layout), Str(zone)]) => {
            self::zone(zone).and_then(|zone| date(text, Some(layout), zone))
        }
        ("timezone", [Str(name)]) => zone(name).map(|_| Value::Str(name.clone())),
        ("count" | "sum", [list]) => closures::without_closure(name, list),
        _ => return None,
    })
}

pub(crate) fn zone(name: &str) -> Result<TimeZone, Fail> {
    match name {
        "" | "UTC" | "Local" => Ok(TimeZone::UTC),
        _ => TimeZone::get(name).map_err(|_| Fail::run(format!("unknown time zone {name}"))),
    }
}

fn date(text: &str, layout: Option<&str>, zone: TimeZone) -> Result<Value, Fail> {
    let parsed = match layout {
        Some(layout) => gotime::parse(layout, text, &zone),
        None => {
            let found = LAYOUTS.iter().find_map(|layout| gotime::parse(layout, text, &zone).ok());
            found.ok_or_else(|| format!("invalid date {text}"))
        }
    };
    parsed.map(|t| Value::Time(Box::new(t))).map_err(Fail::run)
}
