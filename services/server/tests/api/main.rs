//! The routes against a real API server in this process, asked over TLS with a caller's token.

mod calls;
mod changes;
mod stored;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use argosy_apiserver::{Access, Options, Server};
use argosy_listen::Hosts;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::{Request, StatusCode};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// The largest answer that a test reads.
const BYTES_MAX: usize = 8 << 20;

/// A server for an API server of its own.
pub struct World {
    router: Router,
    pub token: String,
    pub client: kube::Client,
    pub closing: CancellationToken,
}

impl Drop for World {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

impl World {
    pub async fn new() -> Self {
        _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let api = Server::new(Options::default());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let access = Arc::new(Access::new().expect("a key"));
        let (serving, key) = (api.clone(), Arc::clone(&access));
        _ = tokio::spawn(async move { serving.serve(listener, key, std::future::pending()).await });
        let kubeconfig = Kubeconfig::from_yaml(&access.kubeconfig(address)).expect("a kubeconfig");
        let config =
            kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("usable");
        let closing = CancellationToken::new();
        let options = argosy_server::Options {
            modes: vec![argosy_server::Mode::Client],
            hosts: Hosts::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 2746))),
            managed_namespace: String::new(),
        };
        let router = argosy_server::router(&config, options, closing.clone()).expect("a server");
        Self { router, token: access.token().to_owned(), client: api.client("argo"), closing }
    }

    /// Sends a request as it is.
    pub async fn send(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.expect("routers do not fail")
    }

    /// A request of one who holds the token.
    pub fn request(&self, method: &str, path: &str, body: Option<Value>) -> Request<Body> {
        let builder = Request::builder().method(method).uri(path).header("host", "localhost:2746");
        let builder = builder.header("authorization", format!("Bearer {}", self.token));
        builder.body(body.map_or_else(Body::empty, |body| Body::from(body.to_string()))).expect("a request")
    }

    /// The status and the body of an answer.
    pub async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let response = self.send(self.request(method, path, body)).await;
        let status = response.status();
        let bytes = to_bytes(response.into_body(), BYTES_MAX).await.expect("a body");
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// The body of an answer that is to be 200.
    pub async fn ok(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert_eq!(status, StatusCode::OK, "{method} {path}: {answer}");
        answer
    }
}
