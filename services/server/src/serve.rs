//! The server and what it is made of.

use std::io;
use std::sync::Arc;

use argosy_listen::Listener;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::{App, Options};
use crate::body::BODY_BYTES_MAX;
use crate::caller::Callers;
use crate::failure::{Code, Failure};
use crate::routes;

/// Everything that is answered, until `closing`, for the Kubernetes API of `config`.
///
/// Errors: no client can be made of the configuration.
pub fn router(config: &kube::Config, options: Options, closing: CancellationToken) -> Result<Router, kube::Error> {
    let callers = Callers::new(config, &options.modes)?;
    let app = Arc::new(App { callers, options, closing });
    Ok(routes::all()
        .fallback(|| async { Failure::new(Code::NotFound, "Not Found") })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), known_host))
        .with_state(app))
}

/// Answers connections of `listener` until `closing`; the port takes TLS, as `tls` says, and plain HTTP.
///
/// Errors: no client can be made of the configuration; the listener fails.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    config: &kube::Config,
    options: Options,
    closing: CancellationToken,
) -> io::Result<()> {
    let router = router(config, options, closing.clone()).map_err(io::Error::other)?;
    axum::serve(Listener::new(listener, tls)?, router)
        .with_graceful_shutdown(async move { closing.cancelled().await })
        .await
}

async fn known_host(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match app.options.hosts.check(&request) {
        Ok(()) => next.run(request).await,
        Err(refused) => Failure::new(Code::PermissionDenied, refused.to_string()).into_response(),
    }
}
