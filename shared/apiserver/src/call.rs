//! One request, and what every request can reach.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, header};
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use super::deletion::DeleteOptions;
use super::failure::{Failure, Result};
use super::json::Json;
use super::logs::LogSource;
use super::protobuf;
use super::request::Params;
use super::sources::Faults;
use super::store::Store;

/// The media type of bodies that typed Go clients send.
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// What every request can reach.
pub(crate) struct Api {
    pub store: Arc<Store>,
    pub logs: RwLock<Option<Arc<dyn LogSource>>>,
    pub faults: Option<Arc<dyn Faults>>,
    pub body_bytes_max: usize,
}

/// One request, its body read.
pub(crate) struct Call {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub params: Params,
    pub body: Bytes,
    /// Ends long answers when the server that carries them stops.
    pub closing: CancellationToken,
}

impl Call {
    /// The media type of the body, without its parameters; empty where none is stated.
    pub fn media(&self) -> &str {
        let stated = self.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
        stated.split(';').next().unwrap_or("").trim()
    }

    /// Who writes: `fieldManager`, else the program's name from its user agent.
    pub fn manager(&self) -> &str {
        let agent = || {
            let agent = self.headers.get(header::USER_AGENT)?.to_str().ok()?;
            agent.split('/').next().filter(|name| !name.is_empty())
        };
        self.params.get("fieldManager").or_else(agent).unwrap_or("unknown")
    }

    /// The body of a deletion.
    pub fn delete_options(&self) -> Result<DeleteOptions> {
        if self.body.is_empty() {
            return DeleteOptions::parse(&self.params, None);
        }
        DeleteOptions::parse(&self.params, Some(self.object()?))
    }

    /// The body as an object.
    pub fn object(&self) -> Result<Json> {
        match self.media() {
            "application/json" => Json::parse(&self.body).map_err(|e| e.to_string()),
            "application/yaml" => std::str::from_utf8(&self.body)
                .map_err(|e| e.to_string())
                .and_then(|text| serde_saphyr::from_str(text).map_err(|e| e.to_string())),
            PROTOBUF => {
                return protobuf::parse(&self.body).ok_or_else(|| Failure::unsupported_media(PROTOBUF));
            }
            other => return Err(Failure::unsupported_media(other)),
        }
        .map_err(|e| Failure::bad_request(format!("the body of the request cannot be read: {e}")))
    }
}
