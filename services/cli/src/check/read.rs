//! Reading an object as its type, with the field that cannot be read.

use argosy_api::v1alpha1 as v1;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::culprit;

/// Errors: the field that cannot be read, and why.
pub(super) fn read<T: DeserializeOwned>(value: Value) -> Result<T, (String, String)> {
    v1::from_value(value.clone()).or_else(|error| {
        // Only now, as keeping account of the way costs time.
        let found: Result<T, _> = serde_path_to_error::deserialize(v1::without_nulls(value.clone()));
        found
            .map_err(|named| (named.path().to_string(), named.into_inner().to_string()))
            .or(Err((String::new(), error.to_string())))
            .map_err(|(path, message)| {
                // The reader of a field that is read as it comes says nothing of the way.
                let path = if path.contains('.') { path } else { culprit::find::<T>(&value, v1::from_value) };
                (path, message)
            })
    })
}
