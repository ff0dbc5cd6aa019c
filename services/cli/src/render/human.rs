//! Durations and moments in words, as Argo's CLI has them.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};

/// Two units at most: `10 hours 0 minutes`, `20 seconds`.
pub fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let units = [("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)];
    let first = units.iter().position(|(_, size)| seconds >= *size).unwrap_or(3);
    let (name, size) = units[first];
    let count = seconds / size;
    let mut text = plural(count, name);
    if let Some((next, next_size)) = units.get(first + 1) {
        text.push(' ');
        text.push_str(&plural(seconds % size / next_size, next));
    }
    text
}

fn plural(count: i64, unit: &str) -> String {
    if count == 1 { format!("1 {unit}") } else { format!("{count} {unit}s") }
}

/// One unit: `4s`, `10m`, `1h`, `2d`.
pub fn short(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `Mon Nov 23 09:21:44 +0000 (3 minutes ago)`.
pub fn moment(at: Timestamp, now: Timestamp) -> String {
    let zoned = at.to_zoned(TimeZone::system());
    format!("{} ({})", zoned.strftime("%a %b %d %H:%M:%S %z"), ago(now.as_second() - at.as_second()))
}

/// `2026-01-01 00:00:00 +0000 UTC`, as Go prints a time.
pub fn go_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string()
}

/// Of what is to come, `3 minutes from now`.
fn ago(seconds: i64) -> String {
    if seconds == 0 {
        return "now".to_owned();
    }
    let (seconds, behind) = (seconds.abs(), if seconds > 0 { "ago" } else { "from now" });
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{} {behind}", plural(count, unit))
}

/// `0s*(1 cpu),4s*(100Mi memory)`.
pub fn resources(durations: &BTreeMap<String, i64>) -> String {
    let one = |(name, seconds): (&String, &i64)| {
        let amount = match name.as_str() {
            "memory" => "100Mi",
            "storage" | "ephemeral-storage" => "10Gi",
            _ => "1",
        };
        format!("{}*({amount} {name})", short(*seconds))
    };
    durations.iter().map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_argos() {
        let cases = [
            (1, "1 second"),
            (59, "59 seconds"),
            (36_000, "10 hours 0 minutes"),
            (86_400, "1 day 0 hours"),
            (5400, "1 hour 30 minutes"),
            (61, "1 minute 1 second"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(duration(seconds), expected);
        }
        assert_eq!([0, 59, 60, 3600, 172_800].map(short), ["0s", "59s", "1m", "1h", "2d"]);
        assert_eq!([0, 1, 120, 90_000].map(ago), ["now", "1 second ago", "2 minutes ago", "1 day ago"]);
        assert_eq!(ago(-61), "1 minute from now");
    }
}
