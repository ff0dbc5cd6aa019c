//! A webhook that is asked about writes of one workflow's object, as the services see it: their client passes it.

use std::sync::Arc;

use argosy_api::labels;
use argosy_apiserver::Server;
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::Request,
    http::{Method, StatusCode},
    response::{IntoResponse as _, Response},
};
use parking_lot::Mutex;
use serde_json::json;
use tower::ServiceExt as _;

/// What the webhook answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// No, unless the write puts the workflow out of service.
    Denies,
    /// Nothing: it cannot be called.
    Fails,
}

/// Asked about the workflow `about`, while it has an answer.
#[derive(Default)]
pub struct Webhook {
    rule: Mutex<Option<(&'static str, Answer)>>,
}

impl Webhook {
    /// Answers so from now on about the workflow of this name.
    pub fn set(&self, about: &'static str, answer: Answer) {
        *self.rule.lock() = Some((about, answer));
    }

    /// Agrees to everything from now on.
    pub fn agree(&self) {
        *self.rule.lock() = None;
    }

    /// A client of the API whose writes the webhook is asked about.
    pub fn client(self: &Arc<Self>, server: &Server, namespace: &str) -> kube::Client {
        let (inner, webhook) = (server.router(), Arc::clone(self));
        let router = Router::new().fallback(move |request: Request| {
            let (inner, webhook) = (inner.clone(), Arc::clone(&webhook));
            async move { webhook.pass(inner, request).await }
        });
        kube::Client::new(router, namespace)
    }

    async fn pass(&self, inner: Router, request: Request) -> Response {
        let rule = *self.rule.lock();
        let answer = match rule {
            Some((about, answer)) if is_write_of(about, &request) => answer,
            Some(_) | None => return serve(inner, request).await,
        };
        match answer {
            Answer::Fails => {
                let why = "Internal error occurred: failed calling webhook \"status.bench\": connection refused";
                refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", why)
            }
            Answer::Denies => {
                let (parts, body) = request.into_parts();
                let body = match axum::body::to_bytes(body, usize::MAX).await {
                    Ok(body) => body,
                    Err(error) => return refusal(StatusCode::BAD_REQUEST, "BadRequest", &error.to_string()),
                };
                if puts_out_of_service(&body) {
                    return serve(inner, Request::from_parts(parts, Body::from(body))).await;
                }
                let why = "admission webhook \"status.bench\" denied the request: no status is good enough";
                refusal(StatusCode::FORBIDDEN, "Forbidden", why)
            }
        }
    }
}

fn is_write_of(name: &str, request: &Request) -> bool {
    let path = request.uri().path();
    request.method() == Method::PATCH && path.split_once("/workflows/").is_some_and(|(_, rest)| rest == name)
}

fn puts_out_of_service(patch: &Bytes) -> bool {
    let patch: serde_json::Value = serde_json::from_slice(patch).unwrap_or_default();
    patch["metadata"]["labels"][labels::QUARANTINED] == "true"
}

async fn serve(inner: Router, request: Request) -> Response {
    match inner.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn refusal(code: StatusCode, reason: &str, why: &str) -> Response {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code.as_u16(),
        "message": why,
    });
    (code, Json(status)).into_response()
}
