//! Values of the expression language.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{Timestamp, Zoned};

use crate::{gofmt, gotime};

/// A value. Unlike JSON it keeps integers and floats apart and has times and durations.
#[derive(Debug, Clone)]
pub enum Value {
    /// Go's nil.
    Nil,
    /// A boolean.
    Bool(bool),
    /// A Go int.
    Int(i64),
    /// A Go float64; also every number that came from JSON.
    Float(f64),
    /// A string.
    Str(Arc<str>),
    /// A list.
    Array(Arc<Vec<Value>>),
    /// A map; the keys are sorted, as Go's JSON writer sorts them.
    Map(Arc<BTreeMap<String, Value>>),
    /// A moment in a time zone.
    Time(Box<Zoned>),
    /// A span in nanoseconds.
    Duration(i64),
}

impl Value {
    /// A string value.
    pub fn str(text: impl AsRef<str>) -> Self {
        Value::Str(Arc::from(text.as_ref()))
    }

    /// A list value.
    pub fn array(items: Vec<Value>) -> Self {
        Value::Array(Arc::new(items))
    }

    /// A map value.
    pub fn map(map: BTreeMap<String, Value>) -> Self {
        Value::Map(Arc::new(map))
    }

    /// The value JSON text stands for; numbers become floats, as in Go.
    pub fn from_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Value::Nil,
            serde_json::Value::Bool(b) => Value::Bool(*b),
            serde_json::Value::Number(n) => Value::Float(n.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(s) => Value::str(s),
            serde_json::Value::Array(items) => Value::array(items.iter().map(Value::from_json).collect()),
            serde_json::Value::Object(map) if time_of(map).is_some() => {
                time_of(map).map_or(Value::Nil, |at| Value::Time(Box::new(gotime::utc(at))))
            }
            serde_json::Value::Object(map) => {
                Value::map(map.iter().map(|(k, v)| (k.clone(), Value::from_json(v))).collect())
            }
        }
    }

    /// The name Go prints for the value's type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Nil => "<nil>",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float64",
            Value::Str(_) => "string",
            Value::Array(_) => "[]interface {}",
            Value::Map(_) => "map[string]interface {}",
            Value::Time(_) => "time.Time",
            Value::Duration(_) => "time.Duration",
        }
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(s) => Some(s),
            _ => None,
        }
    }

    /// Int or float as a float.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Int(n) => Some(*n as f64),
            Value::Float(n) => Some(*n),
            _ => None,
        }
    }

    /// Is it nil?
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Nil)
    }

    /// Compact JSON text as Go's `json.Marshal` writes it, or `None` when there is none (NaN, infinity).
    /// `html` escapes `<`, `>` and `&`, which Go does by default.
    pub fn to_json(&self, html: bool) -> Option<String> {
        let mut out = String::new();
        gofmt::write_json(&mut out, self, html, None)?;
        Some(out)
    }

    /// Go's `%v`.
    pub fn display(&self) -> String {
        let mut out = String::new();
        gofmt::write_value(&mut out, self);
        out
    }
}

/// The only key of an object that stands for a moment.
const TIME_KEY: &str = "\0time";

/// A moment as it is written in an environment, where JSON has no form for it; expressions see a time.
pub fn time_json(at: Timestamp) -> serde_json::Value {
    serde_json::json!({ TIME_KEY: at.to_string() })
}

/// The moment an object stands for, if it does.
pub(crate) fn time_of(map: &serde_json::Map<String, serde_json::Value>) -> Option<Timestamp> {
    map.get(TIME_KEY)?.as_str()?.parse().ok()
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Value::Bool(b)
    }
}

impl From<String> for Value {
    fn from(s: String) -> Self {
        Value::Str(Arc::from(s))
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Value::Int(n)
    }
}
