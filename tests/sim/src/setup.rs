//! What stands in the API before anything runs.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use argosy_api::message::LookupKind;
use argosy_apiserver::Server;
use argosy_objects::api;
use k8s_openapi::api::core::v1::{ResourceQuota, ServiceAccount};
use kube::{
    api::{Api, ApiResource, DynamicObject, PostParams},
    core::GroupVersionKind,
};
use serde_json::json;

use crate::{
    corpus::{self, ARGO, Case},
    gate::Plant,
    plan::Plan,
};

/// The service accounts that pods may have: the API refuses those of others.
async fn accounts(server: &Server, plan: &Plan) -> Result<()> {
    let mut wanted = BTreeSet::new();
    for case in &plan.workflows {
        let object = case.workflow()?;
        let named = object.pointer("/spec/serviceAccountName").and_then(serde_json::Value::as_str);
        wanted.extend(named.map(|name| (case.namespace, name.to_owned())));
        if plan.plant == Some(Plant::WrongAccount) {
            wanted.insert((case.namespace, "root".to_owned()));
        }
    }
    for (namespace, name) in wanted {
        let accounts: Api<ServiceAccount> = Api::namespaced(server.client(namespace), namespace);
        let account = serde_json::from_value(json!({"metadata": {"name": name}})).context("an account")?;
        accounts.create(&PostParams::default(), &account).await.context("create the account")?;
    }
    Ok(())
}

/// Creates what the workflows look up, the quota, and then the workflows.
pub async fn create(server: &Server, plan: &Plan) -> Result<()> {
    // Where nobody looks them up there are none: an object more has all others get other uids, and a seed another meaning.
    let namespaces: BTreeSet<&str> =
        plan.workflows.iter().filter(|case| case.looks_up()).map(|case| case.namespace).collect();
    for namespace in namespaces {
        let client = server.client(namespace);
        for (key, object) in corpus::objects(namespace)? {
            let object: DynamicObject = serde_json::from_value(object).context("an object of the corpus")?;
            let objects: Api<DynamicObject> = match key.kind {
                LookupKind::ConfigMap => {
                    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "ConfigMap"));
                    Api::namespaced_with(client.clone(), namespace, &kind)
                }
                LookupKind::WorkflowTemplate | LookupKind::ClusterWorkflowTemplate => {
                    Api::namespaced_with(client.clone(), namespace, &api::argo_kind("WorkflowTemplate"))
                }
            };
            objects.create(&PostParams::default(), &object).await.with_context(|| format!("create {}", key.name))?;
        }
    }
    if let Some(most) = plan.grown.as_ref().and_then(|grown| grown.quota) {
        let quotas: Api<ResourceQuota> = Api::namespaced(server.client(ARGO), ARGO);
        let quota = json!({"metadata": {"name": "few"}, "spec": {"hard": {"pods": most.to_string()}}});
        let quota = serde_json::from_value(quota).context("a quota")?;
        quotas.create(&PostParams::default(), &quota).await.context("create the quota")?;
    }
    if plan.workflows.iter().any(Case::wants_locks) {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "ConfigMap"));
        let maps: Api<DynamicObject> = Api::namespaced_with(server.client(ARGO), ARGO, &kind);
        for object in corpus::limits()?.into_values() {
            let object: DynamicObject = serde_json::from_value(object).context("an object of the corpus")?;
            maps.create(&PostParams::default(), &object).await.context("create the limits")?;
        }
    }
    accounts(server, plan).await?;
    let doomed = plan.locked.flatten().map(|_| Case::argo(corpus::DOOMED));
    for case in doomed.iter().chain(&plan.workflows) {
        let workflows = api::workflows(&server.client(case.namespace), case.namespace);
        let object: DynamicObject = serde_json::from_value(case.workflow()?).context("a workflow")?;
        workflows.create(&PostParams::default(), &object).await.with_context(|| format!("create {case}"))?;
    }
    Ok(())
}
