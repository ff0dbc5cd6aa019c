//! `/metrics`, `/healthz` and `/readyz`.

use std::net::SocketAddr;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;

use crate::{Error, Health, metrics};

/// Serves the process's metrics and health until `shutdown` ends.
///
/// `/readyz` answers 200 while every part can do its work, `/healthz` while none hangs; both else answer 503 and name the
/// parts. A bus or an API that is away makes a process unready, and not unhealthy: to start it anew would not help.
///
/// Errors: `Listen`.
pub async fn serve(
    address: SocketAddr,
    health: Health,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let listen = |source| Error::Listen { address, source };
    let listener = tokio::net::TcpListener::bind(address).await.map_err(listen)?;
    axum::serve(listener, router(health)).with_graceful_shutdown(shutdown).await.map_err(listen)
}

fn router(health: Health) -> Router {
    let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    let alive = health.clone();
    Router::new()
        .route("/metrics", get(async move || (text, metrics::text())))
        .route("/healthz", get(async move || answer(&alive.hanging())))
        .route("/readyz", get(async move || answer(&health.not_ready())))
}

fn answer(against: &[String]) -> (StatusCode, String) {
    match against {
        [] => (StatusCode::OK, "ok\n".to_owned()),
        _ => (StatusCode::SERVICE_UNAVAILABLE, against.join("\n") + "\n"),
    }
}
