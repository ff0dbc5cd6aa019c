//! A deterministic server and the clients of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use argosy_apiserver::{Options, Server};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;
use uuid::Uuid;

/// Options whose clock stands still and whose uids count up.
pub fn options() -> Options {
    let count = AtomicU64::new(0);
    Options {
        clock: Arc::new(|| "2026-01-02T03:04:05Z".parse().expect("a valid time")),
        uids: Arc::new(move || Uuid::from_u64_pair(0x4000, count.fetch_add(1, Ordering::Relaxed) + 1)),
        ..Options::default()
    }
}

pub fn server() -> Server {
    Server::new(options())
}

/// Workflows of namespace `argo`.
pub fn workflows(server: &Server) -> Api<DynamicObject> {
    let resource =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Workflow"), "workflows");
    Api::namespaced_with(server.client("argo"), "argo", &resource)
}

pub fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).expect("a valid object")
}

pub fn workflow(name: &str) -> DynamicObject {
    object(serde_json::json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"entrypoint": "main", "templates": [{"name": "main"}]},
    }))
}

/// The HTTP code of a refused request.
pub fn code<T: std::fmt::Debug>(result: kube::Result<T>) -> u16 {
    match result {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("expected a refusal, got {other:?}"),
    }
}
