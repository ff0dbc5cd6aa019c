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
