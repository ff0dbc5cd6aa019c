//! What requests share, and how the server behaves.

use std::sync::Arc;

use argosy_listen::Hosts;
use axum::extract::FromRequestParts;
use http::request::Parts;
use tokio_util::sync::CancellationToken;

use crate::caller::{Caller, Callers, Mode};
use crate::failure::{Failure, Result};

/// How the server behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// How callers are known.
    pub modes: Vec<Mode>,
    /// Under which names it answers.
    pub hosts: Hosts,
    /// The only namespace that it is for; empty for all.
    pub managed_namespace: String,
}

/// What requests share.
pub(crate) struct App {
    pub callers: Callers,
    pub options: Options,
    /// Cancelled when the server ends: streams end then.
    pub closing: CancellationToken,
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        app.callers.of(&parts.headers).await
    }
}
