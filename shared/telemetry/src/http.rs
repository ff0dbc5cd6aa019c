//! `/metrics`, `/healthz` and `/readyz`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;

use crate::{Error, metrics};

/// Serves the process's metrics and health until `shutdown` ends. `/readyz` answers 200 while `ready` holds.
///
/// Errors: `Listen`.
pub async fn serve(
    address: SocketAddr,
    ready: Arc<AtomicBool>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let listen = |source| Error::Listen { address, source };
    let listener = tokio::net::TcpListener::bind(address).await.map_err(listen)?;
    axum::serve(listener, router(ready)).with_graceful_shutdown(shutdown).await.map_err(listen)
}

fn router(ready: Arc<AtomicBool>) -> Router {
    let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    let readiness = move || {
        let is_ready = ready.load(Ordering::Relaxed);
        async move { if is_ready { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") } }
    };
    Router::new()
        .route("/metrics", get(async move || (text, metrics::text())))
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(readiness))
}
