//! Bodies of requests, as JSON. An empty one stands for an empty object, as clients send none where everything is in the
//! path.

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::failure::{Code, Failure, Result};

/// Largest body, in bytes: above what the Kubernetes API takes, so that its own words are heard.
pub const BODY_BYTES_MAX: usize = 4 << 20;

/// The members of the body.
pub struct Body(Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let bytes =
            Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status().as_u16() {
                413 => Failure::new(Code::ResourceExhausted, format!("a body has at most {BODY_BYTES_MAX} bytes")),
                _ => Failure::invalid(rejection.body_text()),
            })?;
        if bytes.is_empty() {
            return Ok(Self(Map::new()));
        }
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|error| Failure::invalid(format!("the body is no JSON: {error}")))?;
        match value {
            Value::Object(members) => Ok(Self(members)),
            Value::Null => Ok(Self(Map::new())),
            _ => Err(Failure::invalid("the body is no JSON object")),
        }
    }
}

impl Body {
    /// A text; empty where there is none.
    pub fn text(&self, name: &str) -> Result<String> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(wrong(name, "a text")),
        }
    }

    pub fn flag(&self, name: &str) -> Result<bool> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(wrong(name, "true or false")),
        }
    }

    pub fn texts(&self, name: &str) -> Result<Vec<String>> {
        self.read(name).map(Option::unwrap_or_default)
    }

    /// An object; `None` where there is none.
    pub fn object(&mut self, name: &str) -> Result<Option<Value>> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(object @ Value::Object(_)) => Ok(Some(object)),
            Some(_) => Err(wrong(name, "an object")),
        }
    }

    /// A value of a type of its own.
    pub fn read<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value.clone())
                .map(Some)
                .map_err(|error| Failure::invalid(format!("`{name}` of the body: {error}"))),
        }
    }

    /// Whether nothing is to be stored, as Kubernetes' `createOptions` say it.
    pub fn is_dry_run(&self) -> bool {
        let options = self.0.get("createOptions").and_then(|options| options.get("dryRun"));
        options.and_then(Value::as_array).is_some_and(|stages| stages.iter().any(|stage| stage == "All"))
    }
}

fn wrong(name: &str, expected: &str) -> Failure {
    Failure::invalid(format!("`{name}` of the body is not {expected}"))
}
