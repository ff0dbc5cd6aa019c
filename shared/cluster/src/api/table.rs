//! Tables, as `kubectl get` prints them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::columns;
use super::kinds::Kind;
use super::object::Object;
use super::read::partial;

/// Which part of an object a row carries along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Include {
    #[default]
    Metadata,
    Object,
    None,
}

impl Include {
    pub fn parse(text: Option<&str>) -> Include {
        match text {
            Some("Object") => Include::Object,
            Some("None") => Include::None,
            _ => Include::Metadata,
        }
    }
}

/// A table of objects. `defined` leaves out the column definitions, which a watch sends once.
pub(crate) fn table<'a>(
    kind: &Kind,
    objects: impl Iterator<Item = &'a Object>,
    metadata: Value,
    include: Include,
    defined: bool,
    now: Timestamp,
) -> Value {
    let columns = columns::of(kind);
    let rows: Vec<Value> = objects
        .map(|object| {
            let cells: Vec<Value> = columns.iter().map(|column| (column.cell)(object, now)).collect();
            let carried = match include {
                Include::Metadata => partial(object).to_value(),
                Include::Object => object.tree.to_value(),
                Include::None => Value::Null,
            };
            json!({"cells": cells, "object": carried})
        })
        .collect();
    let definitions: Vec<Value> = columns
        .iter()
        .filter(|_| !defined)
        .map(|column| {
            json!({"name": column.name, "type": column.data_type, "priority": column.priority,
                "format": if column.name == "Name" { "name" } else { "" }, "description": column.name})
        })
        .collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": definitions, "rows": rows})
}

/// A length of time in the few words `kubectl` uses: `45s`, `5m10s`, `3h`, `2d`.
/// Source: apimachinery `duration.HumanDuration`.
pub(crate) fn human_duration(secs: i64) -> String {
    let (minutes, hours, days) = (secs / 60, secs / 3600, secs / 86_400);
    let two = |whole: i64, unit: char, rest: i64, small: char| {
        if rest == 0 { format!("{whole}{unit}") } else { format!("{whole}{unit}{rest}{small}") }
    };
    match secs {
        i64::MIN..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        _ if secs < 120 => format!("{secs}s"),
        _ if minutes < 10 => two(minutes, 'm', secs % 60, 's'),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, 'h', minutes % 60, 'm'),
        _ if hours < 48 => format!("{hours}h"),
        _ if days < 8 => two(days, 'd', hours % 24, 'h'),
        _ if days < 365 * 2 => format!("{days}d"),
        _ if days < 365 * 8 => two(days / 365, 'y', days % 365, 'd'),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::human_duration;

    #[test]
    fn ages_read_like_kubectls() {
        for (secs, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (310, "5m10s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (13_000, "3h36m"),
            (100_000, "27h"),
            (200_000, "2d7h"),
            (1_000_000, "11d"),
            (80_000_000, "2y195d"),
        ] {
            assert_eq!(human_duration(secs), text);
        }
    }
}
