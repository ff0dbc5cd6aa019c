//! Looks at objects of the cluster for the engine, and reports what is there.

use std::sync::Arc;

use argosy_actor::{Backoff, Host, WorkflowKey, api};
use argosy_api::message::{LookupKey, LookupKind, Observed};
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics;

/// Requests under way at once, for a shard.
const CONCURRENT: usize = 16;

pub(crate) struct Lookups {
    host: Host,
    client: kube::Client,
    stop: CancellationToken,
    tasks: TaskTracker,
    permits: Arc<Semaphore>,
}

impl Lookups {
    pub fn new(host: Host, client: kube::Client, stop: CancellationToken) -> Self {
        Self { host, client, stop, tasks: TaskTracker::new(), permits: Arc::new(Semaphore::new(CONCURRENT)) }
    }

    /// Looks, and reports under the message id `id`. A crash before the report is mended by the engine asking again.
    pub fn look(&self, workflow: WorkflowKey, id: String, key: LookupKey) {
        let (host, client, stop, permits) =
            (self.host.clone(), self.client.clone(), self.stop.clone(), Arc::clone(&self.permits));
        self.tasks.spawn(async move {
            let look = async {
                let _permit = permits.acquire().await;
                let object = get(&client, &key).await;
                if let Err(error) = host.report(&workflow, id, Observed::LookedUp { key, object }).await {
                    metrics::POISON.inc();
                    tracing::error!(
                        workflow.uid = workflow.uid,
                        error = &error as &dyn std::error::Error,
                        "lookup not reported"
                    );
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = look => {}
            }
        });
    }
}

/// The object; `None` when there is none that we may see.
async fn get(client: &kube::Client, key: &LookupKey) -> Option<Value> {
    let api = api_of(client, key);
    let mut backoff = Backoff::short();
    loop {
        match api.get_opt(&key.name).await {
            Ok(None) => return None,
            Ok(Some(mut object)) => {
                object.metadata.managed_fields = None;
                let mut object = api::to_json(&object).ok()?;
                if let Some(wanted) = &key.data_key {
                    keep_only(&mut object, wanted);
                }
                return Some(object);
            }
            Err(error) if api::answer(&error) == api::Answer::Transient => {
                tracing::warn!(lookup = ?key, error = &error as &dyn std::error::Error, "lookup not answered, trying again");
                backoff.wait().await;
            }
            Err(error) => {
                tracing::warn!(lookup = ?key, error = &error as &dyn std::error::Error, "lookup refused");
                return None;
            }
        }
    }
}

/// Takes all of a ConfigMap's data away but one key.
fn keep_only(map: &mut Value, wanted: &str) {
    let Some(members) = map.as_object_mut() else { return };
    members.remove("binaryData");
    if let Some(Value::Object(data)) = members.get_mut("data") {
        data.retain(|key, _| key == wanted);
    }
}

fn api_of(client: &kube::Client, key: &LookupKey) -> Api<DynamicObject> {
    match key.kind {
        LookupKind::WorkflowTemplate => {
            Api::namespaced_with(client.clone(), &key.namespace, &api::argo_kind("WorkflowTemplate"))
        }
        LookupKind::ClusterWorkflowTemplate => {
            Api::all_with(client.clone(), &api::argo_kind("ClusterWorkflowTemplate"))
        }
        LookupKind::ConfigMap => {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "ConfigMap"));
            Api::namespaced_with(client.clone(), &key.namespace, &resource)
        }
    }
}
