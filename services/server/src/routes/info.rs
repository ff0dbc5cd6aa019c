//! About the server and the caller.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::app::App;
use crate::body::Body;
use crate::caller::Caller;

pub async fn info(_: Caller, State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({
        "managedNamespace": app.options.managed_namespace,
        "links": [],
        "modals": { "feedback": false, "firstTimeUser": false, "newVersion": false },
        "navColor": "",
        "columns": [],
    }))
}

/// Clients refuse an answer that lacks one of these.
pub async fn version() -> Json<Value> {
    Json(json!({
        "version": concat!("v", env!("CARGO_PKG_VERSION")),
        "buildDate": "1970-01-01T00:00:00Z",
        "gitCommit": "",
        "gitTag": "",
        "gitTreeState": "",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, architecture()),
    }))
}

/// As Go names it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

pub async fn user(caller: Caller) -> Json<Value> {
    let subject = caller.info.username.unwrap_or_default();
    let mut parts = subject.strip_prefix("system:serviceaccount:").unwrap_or_default().splitn(2, ':');
    let (namespace, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    Json(json!({
        "subject": subject,
        "groups": caller.info.groups.unwrap_or_default(),
        "serviceAccountName": account,
        "serviceAccountNamespace": namespace,
    }))
}

/// What Argo's page tells of its use; nobody keeps it.
pub async fn tracking(_: Caller, _: Body) -> Json<Value> {
    Json(json!({}))
}
