//! Answers in the form asked for: whole objects, metadata only, or tables.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::failure::Failure;
use super::kinds::Kind;
use super::object::Object;
use super::read::{List, list_meta, partial};
use super::request::{Form, Params};
use super::store::Store;

/// How one request wants to see objects.
pub(crate) struct Renderer {
    form: Form,
}

impl Renderer {
    pub fn new(headers: &HeaderMap, _params: &Params) -> Self {
        Renderer {
            form: Form::accepted(headers),
        }
    }

    pub fn object(&mut self, store: &Store, code: StatusCode, object: &Arc<Object>) -> Response {
        bytes_response(code, self.watched(store, object))
    }

    /// An object as it stands in a watch event.
    pub fn watched(&mut self, store: &Store, object: &Arc<Object>) -> Bytes {
        match self.form {
            Form::Full | Form::Table => store.encoded(object),
            Form::Metadata => partial(object).to_vec().into(),
        }
    }

    pub fn list(&mut self, store: &Store, kind: &Kind, list: &List) -> Response {
        let (list_kind, api_version) = match self.form {
            Form::Full | Form::Table => (format!("{}List", kind.kind), kind.api_version()),
            Form::Metadata => (
                "PartialObjectMetadataList".to_owned(),
                "meta.k8s.io/v1".to_owned(),
            ),
        };
        let head =
            json!({"kind": list_kind, "apiVersion": api_version, "metadata": list_meta(list)})
                .to_string();
        let mut out = BytesMut::with_capacity(256 + list.objects.len() * 1024);
        out.put_slice(&head.as_bytes()[..head.len() - 1]);
        out.put_slice(b",\"items\":[");
        for (i, object) in list.objects.iter().enumerate() {
            if i > 0 {
                out.put_u8(b',');
            }
            out.put_slice(&self.watched(store, object));
        }
        out.put_slice(b"]}");
        bytes_response(StatusCode::OK, out.freeze())
    }

    /// The object of a bookmark event.
    pub fn bookmark(&self, kind: &Kind, metadata: Value) -> Value {
        let (name, api_version) = match self.form {
            Form::Full | Form::Table => (kind.kind, kind.api_version()),
            Form::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
        };
        json!({"kind": name, "apiVersion": api_version, "metadata": metadata})
    }
}

pub(crate) fn bytes_response(code: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = code;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    response
}

pub(crate) fn json_response(code: StatusCode, body: &Value) -> Response {
    bytes_response(code, body.to_string().into())
}

pub(crate) fn text_response(body: &'static str) -> Response {
    Response::new(Body::from(body))
}

pub(crate) fn failure_response(failure: &Failure) -> Response {
    json_response(failure.code, &failure.body())
}
