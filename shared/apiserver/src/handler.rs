//! From an HTTP request to the verb that serves it.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::call::{Api, Call};
use super::deletion::{self, Deleted};
use super::discovery;
use super::failure::{Failure, Result};
use super::field_check;
use super::kinds::Flavor;
use super::openapi;
use super::patch;
use super::pods;
use super::quota;
use super::read;
use super::render::{Renderer, bytes_response, failure_response, json_response, text_response};
use super::request::{Params, Target};
use super::reviews;
use super::selector::Selector;
use super::sources::Fault;
use super::watching;
use super::write;

/// Largest request body. Source: the limit of kube-apiserver, 3 MiB.
pub(crate) const BODY_BYTES_MAX: usize = 3 << 20;

impl Api {
    /// Serves one request; never fails otherwise than with a `Status`.
    pub async fn serve(self: Arc<Self>, closing: CancellationToken, request: http::Request<Body>) -> Response {
        match self.try_serve(closing, request).await {
            Ok(response) => response,
            Err(failure) => failure_response(&failure),
        }
    }

    async fn try_serve(&self, closing: CancellationToken, request: http::Request<Body>) -> Result<Response> {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, self.body_bytes_max)
            .await
            .map_err(|_| Failure::too_large(self.body_bytes_max))?;
        let call = Call {
            params: Params::parse(&parts.uri)?,
            method: parts.method,
            uri: parts.uri,
            headers: parts.headers,
            body,
            closing,
        };
        // A page of a browser can send a body without a type unasked, so that none is taken for granted.
        if !call.body.is_empty() && call.media().is_empty() {
            return Err(Failure::unstated_media());
        }
        let path = call.uri.path();
        match Target::parse(path) {
            Some(target) => self.resource(call, &target).await,
            None => other(&call),
        }
    }

    async fn resource(&self, call: Call, target: &Target) -> Result<Response> {
        let verb = verb(&call, target)?;
        let fault = match &self.faults {
            Some(faults) => {
                faults.on_arrival(verb, &call.uri, &call.headers);
                faults.on_request(verb, call.uri.path())
            }
            None => Fault::None,
        };
        match fault {
            Fault::None | Fault::LostAnswer => {}
            Fault::ConflictOnce => return Err(Failure::modified(target.kind, target.name())),
            Fault::Refuse503 => {
                return Err(Failure::unavailable("the server is not ready (planned)"));
            }
            Fault::Forbid => {
                let kind = target.kind.qualified();
                return Err(Failure::forbidden(format!("{kind} is forbidden: the user cannot {verb} it (planned)")));
            }
            Fault::QuotaConflict => {
                if verb == "create" && target.kind.flavor == Flavor::Pod {
                    return Err(Failure::modified(quota::kind(), "pods"));
                }
            }
            Fault::DropWatch => {
                if verb == "watch" {
                    return Ok(bytes_response(StatusCode::OK, Bytes::new()));
                }
            }
        }
        let response = match (verb, target.sub.as_deref()) {
            ("get", Some("log")) if target.kind.flavor == Flavor::Pod => pods::log(self, call, target).await,
            ("create", Some("eviction")) if target.kind.flavor == Flavor::Pod => pods::evict(self, &call, target).await,
            ("create", Some("binding")) if target.kind.flavor == Flavor::Pod => pods::bind(self, &call, target).await,
            ("get", None | Some("status")) => self.get(&call, target).await,
            ("list", None) => self.list(&call, target).await,
            ("watch", None) => self.watch(call, target),
            ("create", None) => self.create(&call, target).await,
            ("update", None | Some("status" | "finalize")) => self.update(&call, target).await,
            ("patch", None | Some("status")) => self.patch(&call, target).await,
            ("delete", None) => self.delete(&call, target).await,
            ("deletecollection", None) => self.delete_collection(&call, target).await,
            _ => Err(Failure::no_such_path()),
        };
        if fault == Fault::LostAnswer {
            return Err(Failure::internal("the answer was lost (planned)"));
        }
        response
    }

    async fn get(&self, call: &Call, target: &Target) -> Result<Response> {
        let object = read::get(&self.store, target)?;
        self.store.settled(object.revision).await?;
        Ok(Renderer::new(&call.headers, &call.params).object(&self.store, StatusCode::OK, &object))
    }

    async fn list(&self, call: &Call, target: &Target) -> Result<Response> {
        let stale = self.faults.as_ref().is_some_and(|f| f.stale_list());
        let list = read::list(&self.store, target, &call.params, stale)?;
        self.store.settled(list.revision).await?;
        Ok(Renderer::new(&call.headers, &call.params).list(&self.store, target.kind, &list))
    }

    fn watch(&self, call: Call, target: &Target) -> Result<Response> {
        let renderer = Renderer::new(&call.headers, &call.params);
        let lines = watching::watch(&self.store, target, &call.params, renderer, call.closing)?;
        let mut response = bytes_response(StatusCode::OK, Bytes::new());
        *response.body_mut() = Body::from_stream(lines);
        Ok(response)
    }

    async fn create(&self, call: &Call, target: &Target) -> Result<Response> {
        let tree = call.object()?;
        let warnings = field_check::of_object(&call.params, target.kind, &tree)?;
        let written = write::create(&self.store, target, tree, call.params.dry_run()?)?;
        self.store.settled(written.revision).await?;
        let response =
            Renderer::new(&call.headers, &call.params).object(&self.store, StatusCode::CREATED, &written.value);
        Ok(warnings.on(response))
    }

    async fn update(&self, call: &Call, target: &Target) -> Result<Response> {
        let tree = call.object()?;
        let warnings = field_check::of_object(&call.params, target.kind, &tree)?;
        let written = write::update(&self.store, target, tree, call.manager(), call.params.dry_run()?)?;
        self.store.settled(written.revision).await?;
        Ok(warnings.on(Renderer::new(&call.headers, &call.params).object(&self.store, StatusCode::OK, &written.value)))
    }

    async fn patch(&self, call: &Call, target: &Target) -> Result<Response> {
        let (written, warnings) = patch::patch(&self.store, target, call)?;
        self.store.settled(written.revision).await?;
        let (object, created) = written.value;
        let code = if created { StatusCode::CREATED } else { StatusCode::OK };
        Ok(warnings.on(Renderer::new(&call.headers, &call.params).object(&self.store, code, &object)))
    }

    async fn delete(&self, call: &Call, target: &Target) -> Result<Response> {
        let options = call.delete_options()?;
        let written = self.store.write(options.dry_run, |txn| {
            let object =
                txn.get(target.kind, &target.key()).ok_or_else(|| Failure::not_found(target.kind, target.name()))?;
            deletion::delete(txn, &object, &options)
        })?;
        self.store.settled(written.revision).await?;
        let mut renderer = Renderer::new(&call.headers, &call.params);
        Ok(match &written.value {
            Deleted::Waiting(object) => renderer.object(&self.store, StatusCode::OK, object),
            // Pods answer with their last state, everything else with a `Status`, as Kubernetes does.
            Deleted::Gone(object) if target.kind.plural == "pods" => {
                renderer.object(&self.store, StatusCode::OK, object)
            }
            Deleted::Gone(object) => json_response(
                StatusCode::OK,
                &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                    "details": {"name": object.name(), "group": target.kind.group,
                                "kind": target.kind.plural, "uid": object.uid()}}),
            ),
        })
    }

    async fn delete_collection(&self, call: &Call, target: &Target) -> Result<Response> {
        let options = call.delete_options()?;
        let selector =
            Selector::parse(target.kind, call.params.get("labelSelector"), call.params.get("fieldSelector"))?;
        let list = self.store.list(target.kind, target.namespace.as_deref(), None, None, usize::MAX, &|object| {
            selector.matches(object)
        })?;
        let written = self.store.write(options.dry_run, |txn| {
            for object in &list.objects {
                if let Some(now) = txn.get(object.kind, &object.key)
                    && now.uid() == object.uid()
                {
                    deletion::delete(txn, &now, &options)?;
                }
            }
            Ok(txn.revision())
        })?;
        self.store.settled(written.revision).await?;
        let list = read::List { revision: written.value, objects: list.objects, continues: None, remaining: None };
        Ok(Renderer::new(&call.headers, &call.params).list(&self.store, target.kind, &list))
    }
}

/// Paths that name no stored resource: health, discovery, reviews.
fn other(call: &Call) -> Result<Response> {
    let path = call.uri.path();
    if call.method == Method::POST
        && let Some(review) = reviews::review(path, call)
    {
        return review.map(|body| json_response(StatusCode::CREATED, &body));
    }
    if call.method != Method::GET {
        return Err(Failure::no_such_path());
    }
    if matches!(path, "/healthz" | "/readyz" | "/livez") {
        return Ok(text_response("ok"));
    }
    if path == "/openapi/v2" {
        return Ok(openapi_v2(&call.headers));
    }
    if let Some(document) = openapi::document(path) {
        return Ok(bytes_response(StatusCode::OK, document));
    }
    match discovery::document(path) {
        Some(document) => Ok(json_response(StatusCode::OK, &document)),
        None => Err(Failure::no_such_path()),
    }
}

/// OpenAPI 2 without definitions: kubectl asks for it where it does not know a kind, to find that it is not there.
fn openapi_v2(headers: &HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !accept.contains(openapi::OPENAPI_V2_ASKED) {
        return json_response(StatusCode::OK, &openapi::openapi_v2());
    }
    let mut response = bytes_response(StatusCode::OK, openapi::openapi_v2_protobuf());
    let media = http::HeaderValue::from_static(openapi::OPENAPI_V2_GIVEN);
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    response
}

fn verb(call: &Call, target: &Target) -> Result<&'static str> {
    let named = target.name.is_some();
    let watch = call.params.flag("watch");
    let placed = target.namespace.is_some() || !target.kind.namespaced;
    Ok(match (&call.method, named) {
        (&Method::GET, _) if watch && target.sub.is_none() => "watch",
        (&Method::GET, true) => "get",
        (&Method::GET, false) => "list",
        (&Method::POST, false) if placed => "create",
        (&Method::POST, true) => "create",
        (&Method::PUT, true) => "update",
        (&Method::PATCH, true) => "patch",
        (&Method::DELETE, true) => "delete",
        (&Method::DELETE, false) if placed => "deletecollection",
        _ => return Err(Failure::method_not_allowed()),
    })
}
