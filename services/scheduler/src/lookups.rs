//! Looks at objects of the cluster for the engine, and reports what is there.

use std::sync::Arc;

use argosy_actor::{Backoff, Host};
use argosy_api::message::{LookupKey, LookupKind, Observed};
use argosy_objects::api;
use argosy_objects::names::{find, is_name};
use argosy_workflows::{WorkflowKey, WorkflowLog as _};
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics;

/// Requests under way at once, for a shard.
const CONCURRENT: usize = 16;
const TOO_LARGE: &str = "it is larger than a message of the bus may be, 1 MiB; split it";

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
                let found = get(&client, &key).await;
                if let Err(error) = tell(&host, &workflow, id, key, found).await {
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

/// Tells what was found; of what is too large for a message, that.
async fn tell(
    host: &Host,
    workflow: &WorkflowKey,
    id: String,
    key: LookupKey,
    found: Result<Option<Value>, String>,
) -> Result<(), argosy_bus::Error> {
    let answer = |object, refused| Observed::LookedUp { key: key.clone(), object, refused };
    let (object, refused) = match found {
        Ok(object) => (object, String::new()),
        Err(refused) => (None, refused),
    };
    match host.report(workflow, id.clone(), answer(object, refused)).await {
        Err(error) if error.is_too_large() => host.report(workflow, id, answer(None, TOO_LARGE.to_owned())).await,
        told => told,
    }
}

/// The object; `None` when there is none by that name. Errors: why it cannot be had.
pub(crate) async fn get(client: &kube::Client, key: &LookupKey) -> Result<Option<Value>, String> {
    // What no object can be called is not there. It must not become another path.
    if !key.namespace.is_empty() && !is_name(&key.namespace) {
        return Ok(None);
    }
    let api = api_of(client, key);
    let mut backoff = Backoff::short();
    loop {
        match find(&api, &key.name).await {
            Ok(None) => return Ok(None),
            Ok(Some(mut object)) => {
                object.metadata.managed_fields = None;
                let mut object = api::to_json(&object).map_err(|error| error.to_string())?;
                if let Some(wanted) = &key.data_key {
                    keep_only(&mut object, wanted);
                }
                return Ok(Some(object));
            }
            Err(error) if api::answer(&error) == api::Answer::Transient => {
                tracing::warn!(lookup = ?key, error = &error as &dyn std::error::Error, "lookup not answered, trying again");
                backoff.wait().await;
            }
            Err(error) => {
                tracing::warn!(lookup = ?key, error = &error as &dyn std::error::Error, "lookup refused");
                return Err(api::message(&error));
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

#[cfg(test)]
mod tests {
    use argosy_api::message::ObservedMessage;
    use argosy_bus::{Bus as _, Stream, memory::Memory, subject};
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn what_is_too_large_for_a_message_is_told_to_be() {
        let bus = Arc::new(Memory::new());
        let host = Host::new(bus.clone(), "t", 1);
        let workflow = WorkflowKey { uid: "u".into(), namespace: "ns".into(), name: "w".into() };
        let key = LookupKey {
            kind: LookupKind::WorkflowTemplate,
            namespace: "ns".into(),
            name: "large".into(),
            data_key: None,
        };
        for (id, bytes) in [("1", 10), ("2", 2 << 20)] {
            let object = json!({"spec": {"entrypoint": "x".repeat(bytes)}});
            tell(&host, &workflow, id.to_owned(), key.clone(), Ok(Some(object))).await.expect("told");
        }
        let told = bus.read(Stream::Observed, &subject::of_stream(Stream::Observed), 0, 10).await.expect("readable");
        let answers: Vec<(bool, String)> = told
            .iter()
            .map(|message| match serde_json::from_slice::<ObservedMessage>(&message.payload).expect("ours").body {
                Observed::LookedUp { object, refused, .. } => (object.is_some(), refused),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(answers, [(true, String::new()), (false, TOO_LARGE.to_owned())]);
    }
}
