//! Pods that went while nobody watched: nodes of unfinished workflows that run in a pod that is no more, or in one that
//! nobody watches any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use argosy_actor::{Backoff, Failure, Owned, Router, WorkflowKey, api};
use argosy_api::labels;
use argosy_api::message::{Observed, ObservedMessage, PodSummary, SCHEMA};
use argosy_api::names::{PodNameVersion, pod_name};
use argosy_api::v1alpha1::{NodePhase, NodeStatus, NodeType, Workflow};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject, ListParams};

use crate::observer::{Observers, PodKey, Sight};
use crate::service::Surroundings;

/// Workflows listed at once.
const PAGE: u32 = 200;

/// Reports nodes that run according to the status, whose pod is not in `known`: as gone when the API has none either.
pub(crate) async fn report(
    around: &Arc<Surroundings>,
    owned: &Owned,
    known: &BTreeMap<PodKey, String>,
    observers: &Router<Observers>,
) -> Result<(), Failure> {
    let client = around.client.clone();
    let workflows: Api<DynamicObject> = match &around.options.pod_namespace {
        Some(namespace) => api::workflows(&client, namespace),
        None => api::all_workflows(&client),
    };
    let mut parameters = ListParams::default().labels(&format!("{}!=true", labels::COMPLETED)).limit(PAGE);
    let mut backoff = Backoff::short();
    loop {
        let page = match workflows.list(&parameters).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "workflows not listed, trying again");
                // The list may have expired half way: from its start.
                parameters.continue_token = None;
                backoff.wait().await;
                continue;
            }
        };
        for object in page.items {
            let uid = object.metadata.uid.as_deref().unwrap_or_default();
            if around.host.shard_of(uid) != owned.shard {
                continue;
            }
            let Ok(workflow) = api::to_workflow(&object) else {
                continue;
            };
            for node in workflow
                .status
                .nodes
                .values()
                .filter(|node| node.r#type == NodeType::Pod && node.phase == NodePhase::Running)
            {
                check(around, owned, known, observers, &workflow, node).await?;
            }
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters.continue_token = Some(token),
            None => return Ok(()),
        }
    }
}

async fn check(
    around: &Arc<Surroundings>,
    owned: &Owned,
    known: &BTreeMap<PodKey, String>,
    observers: &Router<Observers>,
    workflow: &Workflow,
    node: &NodeStatus,
) -> Result<(), Failure> {
    let meta = &workflow.metadata;
    let is_first_version = meta.annotations.get(labels::POD_NAME_FORMAT).is_some_and(|text| text == "v1");
    let version = if is_first_version { PodNameVersion::V1 } else { PodNameVersion::V2 };
    let template = node.template_ref.as_ref().map_or(node.template_name.as_str(), |reference| &reference.template);
    let name = pod_name(&meta.name, &node.name, template, &node.id, version);
    let key = WorkflowKey { uid: meta.uid.clone(), namespace: meta.namespace.clone(), name: meta.name.clone() };
    let pod_key = PodKey { workflow: key.clone(), pod: name.clone() };
    if known.contains_key(&pod_key) {
        return Ok(());
    }
    let pods: Api<Pod> = Api::namespaced(around.client.clone(), &meta.namespace);
    if let Some(pod) = pods.get_opt(&name).await? {
        // Labelled as dealt with, so not among the watched, while the object does not have its end: the bus lost it.
        let why = format!("unfinished:{}", owned.lease.epoch);
        return Ok(observers.send(&pod_key, Sight::Asked { pod: Box::new(pod), why }).await?);
    }
    tracing::info!(workflow.uid = key.uid, node.id = node.id.as_str(), pod = name, "pod went while nobody watched");
    let pod = PodSummary { node_id: node.id.to_string(), name: name.clone(), deleted: true, ..PodSummary::default() };
    let message = ObservedMessage {
        schema: SCHEMA,
        at: around.host.clock.now(),
        body: Observed::PodChanged { pod: Box::new(pod) },
    };
    let id = format!("{}:pod:{name}:missing:{}", key.uid, owned.lease.epoch);
    around.host.publish(vec![around.host.observed(&key, id, serde_json::to_vec(&message)?)]).await?;
    Ok(())
}
