//! What a column of a table is, and those that many kinds have.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age::human_duration;
use super::object::Object;

/// One column: how to fill it from an object at a time.
pub(crate) struct Column {
    pub name: &'static str,
    pub data_type: &'static str,
    /// 0 is always shown, 1 with `-o wide`.
    pub priority: u8,
    pub cell: fn(&Object, Timestamp) -> Value,
}

pub(super) const fn text(name: &'static str, cell: fn(&Object, Timestamp) -> Value) -> Column {
    Column { name, data_type: "string", priority: 0, cell }
}

pub(super) const fn wide(column: Column) -> Column {
    Column { priority: 1, ..column }
}

pub(super) const NAME: Column = text("Name", |o, _| json!(o.name()));
pub(super) const AGE: Column = text("Age", |o, now| age(o, &["metadata", "creationTimestamp"], now));

/// The text at a path, or nothing.
pub(super) fn at(object: &Object, path: &[&str]) -> Value {
    match object.tree.at(path) {
        None => json!(""),
        Some(value) => value.to_value(),
    }
}

pub(super) fn age(object: &Object, path: &[&str], now: Timestamp) -> Value {
    match object.tree.str_at(path).map(str::parse::<Timestamp>) {
        None => json!("<unknown>"),
        Some(Err(_)) => json!("<invalid>"),
        Some(Ok(then)) => json!(human_duration(now.as_second() - then.as_second())),
    }
}
