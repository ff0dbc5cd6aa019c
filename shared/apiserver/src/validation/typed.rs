//! The built-in kinds, which have types: one object of another shape would end the list and the watch of every client.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Event, Namespace, Node, PersistentVolumeClaim, Pod, PodStatus, ResourceQuota, Secret, Service,
    ServiceAccount,
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use serde::de::DeserializeOwned;

use super::cause::unreadable;
use crate::failure::Result;
use crate::json::Json;
use crate::kinds::Kind;

pub(super) fn check(kind: &Kind, old: Option<&Json>, tree: &Json) -> Result<()> {
    match (kind.group, kind.plural) {
        // Of a pod the status is written again and again.
        ("", "pods") if old.is_some_and(|old| same(old, tree, "spec")) => match tree.get("status") {
            Some(status) => read::<PodStatus>(kind, "status", status),
            None => Ok(()),
        },
        ("", "pods") => whole::<Pod>(kind, tree),
        ("", "configmaps") => whole::<ConfigMap>(kind, tree),
        ("", "secrets") => whole::<Secret>(kind, tree),
        ("", "persistentvolumeclaims") => whole::<PersistentVolumeClaim>(kind, tree),
        ("", "serviceaccounts") => whole::<ServiceAccount>(kind, tree),
        ("", "events") => whole::<Event>(kind, tree),
        ("", "services") => whole::<Service>(kind, tree),
        ("", "nodes") => whole::<Node>(kind, tree),
        ("", "namespaces") => whole::<Namespace>(kind, tree),
        ("", "resourcequotas") => whole::<ResourceQuota>(kind, tree),
        ("policy", "poddisruptionbudgets") => whole::<PodDisruptionBudget>(kind, tree),
        ("coordination.k8s.io", "leases") => whole::<Lease>(kind, tree),
        ("batch", "jobs") => whole::<Job>(kind, tree),
        ("apps", "deployments") => whole::<Deployment>(kind, tree),
        ("apps", "statefulsets") => whole::<StatefulSet>(kind, tree),
        ("rbac.authorization.k8s.io", "roles") => whole::<Role>(kind, tree),
        ("rbac.authorization.k8s.io", "rolebindings") => whole::<RoleBinding>(kind, tree),
        // Custom kinds, their definitions, and events.k8s.io: clients read them without types.
        _ => Ok(()),
    }
}

fn same(old: &Json, tree: &Json, field: &str) -> bool {
    match (old.get(field), tree.get(field)) {
        (Some(old), Some(new)) => old.same(new) || old == new,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Of the whole object, without its metadata: that is looked at for all kinds.
fn whole<T: DeserializeOwned>(kind: &Kind, tree: &Json) -> Result<()> {
    let mut rest = tree.clone();
    rest.remove(&["metadata"]);
    read::<T>(kind, "", &rest)
}

fn read<T: DeserializeOwned>(kind: &Kind, field: &str, value: &Json) -> Result<()> {
    let gap = if field.is_empty() { "" } else { ": " };
    match serde_json::from_slice::<T>(&value.to_vec()) {
        Ok(_) => Ok(()),
        Err(error) => Err(unreadable(kind, format!("{field}{gap}{error}"))),
    }
}
