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
use super::table::{Include, table};

/// How one request wants to see objects.
pub(crate) struct Renderer {
    form: Form,
    include: Include,
    /// The columns of a watch's table were sent.
    defined: bool,
}

impl Renderer {
    pub fn new(headers: &HeaderMap, params: &Params) -> Self {
        Renderer { form: Form::accepted(headers), include: Include::parse(params.get("includeObject")), defined: false }
    }

    pub fn object(&mut self, store: &Store, code: StatusCode, object: &Arc<Object>) -> Response {
        bytes_response(code, self.watched(store, object))
    }

    /// An object as it stands in a watch event.
    pub fn watched(&mut self, store: &Store, object: &Arc<Object>) -> Bytes {
        match self.form {
            Form::Full => store.encoded(object),
            Form::Metadata => partial(object).to_vec().into(),
            Form::Table => {
                let defined = std::mem::replace(&mut self.defined, true);
                let metadata = json!({"resourceVersion": object.revision.to_string()});
                let one = std::iter::once(object.as_ref());
                let now = store.now();
                table(object.kind, one, metadata, self.include, defined, now).to_string().into()
            }
        }
    }

    pub fn list(&mut self, store: &Store, kind: &Kind, list: &List) -> Response {
        let meta = list_meta(list);
        let (list_kind, api_version) = match self.form {
            Form::Full => (format!("{}List", kind.kind), kind.api_version()),
            Form::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
            Form::Table => {
                let objects = list.objects.iter().map(AsRef::as_ref);
                let body = table(kind, objects, meta, self.include, false, store.now());
                return json_response(StatusCode::OK, &body);
            }
        };
        let head = json!({"kind": list_kind, "apiVersion": api_version, "metadata": meta}).to_string();
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
            Form::Full => (kind.kind, kind.api_version()),
            Form::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
            Form::Table => {
                return json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                    "columnDefinitions": [], "rows": []});
            }
        };
        json!({"kind": name, "apiVersion": api_version, "metadata": metadata})
    }
}

pub(crate) fn bytes_response(code: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
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
