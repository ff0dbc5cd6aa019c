use argosy_template::{duration, strftime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde_json::Value;

use crate::support::{check, same};

#[test]
fn misc_table() {
    check("misc.json", run);
}

fn run(case: &Value) -> Option<Result<(), String>> {
    let want = case["result"].as_str().unwrap_or_default();
    let seconds = case["seconds"].as_i64().unwrap_or_default();
    Some(match case["op"].as_str()? {
        "strftime" => {
            let time = moment(case["time"].as_str()?);
            same(strftime::format(case["format"].as_str()?, &time).as_str(), want)
        }
        "parseDuration" => match (duration::parse(case["input"].as_str()?), case["error"].as_str()) {
            (Ok(nanos), None) => same(Some(nanos), case["nanoseconds"].as_i64()),
            (Err(e), Some(want)) => same(e.to_string().as_str(), want),
            (got, want) => Err(format!("got {got:?}, want {want:?}")),
        },
        "humanDuration" => same(duration::human(seconds).as_str(), want),
        "humanShort" => same(duration::human_short(seconds).as_str(), want),
        "humanRelative" => same(duration::human_relative(seconds).as_str(), want),
        _ => return None,
    })
}

/// The time at the offset its text gives.
fn moment(text: &str) -> Zoned {
    let at: Timestamp = text.parse().expect("a timestamp");
    let zone = match text.strip_suffix("-08:00") {
        Some(_) => TimeZone::fixed(jiff::tz::offset(-8)),
        None => TimeZone::UTC,
    };
    at.to_zoned(zone)
}
