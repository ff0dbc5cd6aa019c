//! Our own types as JSON.

use serde::Serialize;
use serde_json::Value;

/// The JSON text of a value.
pub(crate) fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Our own types always have a JSON form: their keys are strings, their numbers finite.
pub(crate) fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}
