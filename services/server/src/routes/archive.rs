//! The archive, which this installation does not have: lists are empty, and nothing is found. Source: Argo without
//! `persistence`.

use axum::Json;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::failure::{Code, Failure, Result};

pub async fn list(_: Caller) -> Json<Value> {
    Json(json!({ "metadata": {}, "items": [] }))
}

pub async fn label_keys(_: Caller) -> Json<Value> {
    Json(json!({ "items": [] }))
}

pub async fn label_values(_: Caller) -> Json<Value> {
    Json(json!({ "items": [] }))
}

pub async fn not_kept(_: Caller) -> Result<Json<Value>> {
    Err(Failure::new(Code::Unimplemented, "archived workflows are not supported: there is no archive"))
}
