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
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::cause::unreadable;
use crate::failure::Result;
use crate::json::Json;
use crate::kinds::Kind;

/// What `$visit` makes of the type of a built-in kind; none for other kinds.
macro_rules! by_type {
    ($kind:expr, $visit:ident($($argument:expr),*)) => {
        match ($kind.group, $kind.plural) {
            ("", "pods") => Some($visit::<Pod>($($argument),*)),
            ("", "configmaps") => Some($visit::<ConfigMap>($($argument),*)),
            ("", "secrets") => Some($visit::<Secret>($($argument),*)),
            ("", "persistentvolumeclaims") => Some($visit::<PersistentVolumeClaim>($($argument),*)),
            ("", "serviceaccounts") => Some($visit::<ServiceAccount>($($argument),*)),
            ("", "events") => Some($visit::<Event>($($argument),*)),
            ("", "services") => Some($visit::<Service>($($argument),*)),
            ("", "nodes") => Some($visit::<Node>($($argument),*)),
            ("", "namespaces") => Some($visit::<Namespace>($($argument),*)),
            ("", "resourcequotas") => Some($visit::<ResourceQuota>($($argument),*)),
            ("policy", "poddisruptionbudgets") => Some($visit::<PodDisruptionBudget>($($argument),*)),
            ("coordination.k8s.io", "leases") => Some($visit::<Lease>($($argument),*)),
            ("batch", "jobs") => Some($visit::<Job>($($argument),*)),
            ("apps", "deployments") => Some($visit::<Deployment>($($argument),*)),
            ("apps", "statefulsets") => Some($visit::<StatefulSet>($($argument),*)),
            ("rbac.authorization.k8s.io", "roles") => Some($visit::<Role>($($argument),*)),
            ("rbac.authorization.k8s.io", "rolebindings") => Some($visit::<RoleBinding>($($argument),*)),
            // Custom kinds, their definitions, and events.k8s.io: clients read them without types.
            _ => None,
        }
    };
}

pub(super) fn check(kind: &Kind, old: Option<&Json>, tree: &Json) -> Result<()> {
    // Of a pod the status is written again and again.
    if (kind.group, kind.plural) == ("", "pods") && old.is_some_and(|old| same(old, tree, "spec")) {
        return match tree.get("status") {
            Some(status) => read::<PodStatus>(kind, "status", status),
            None => Ok(()),
        };
    }
    by_type!(kind, whole(kind, tree)).unwrap_or(Ok(()))
}

/// The paths of fields in an object of a built-in kind, or in a part of one, that its type does not have. At most `max`; none
/// where it cannot be read, which others tell.
pub(crate) fn unknown(kind: &Kind, tree: &Json, max: usize) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(Some(known)) = by_type!(kind, again(tree)) {
        lost(&tree.to_value(), &known, "", max, &mut found);
    }
    found
}

/// What is left of an object that is read as its type and written again.
fn again<T: DeserializeOwned + Serialize>(tree: &Json) -> Option<Value> {
    serde_json::to_value(serde_json::from_slice::<T>(&tree.to_vec()).ok()?).ok()
}

/// The members of `before` that `after` has lost.
fn lost(before: &Value, after: &Value, path: &str, max: usize, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (name, value) in before.iter().filter(|(_, value)| !value.is_null()) {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match after.get(name) {
                    Some(after) => lost(value, after, &path, max, found),
                    None if found.len() < max => found.push(path),
                    None => return,
                }
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                lost(before, after, &format!("{path}[{index}]"), max, found);
            }
        }
        _ => {}
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::find;

    #[test]
    fn fields_that_a_type_does_not_have_are_named_by_their_paths() {
        let kind = find("", "v1", "pods").expect("pods");
        let told = |value: Value| unknown(kind, &Json::from(value), 20);
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "lables": {}, "annotations": {"any": "x"}},
            "spec": {"hostnam": "a", "containers": [{"name": "a"}, {"name": "b", "comand": ["c"], "resources": {"limits": {"cpu": 1}}, "env": null}],
                "volumes": [{"name": "v", "emptyDir": {}}]}, "status": {}});
        assert_eq!(told(pod), ["metadata.lables", "spec.containers[1].comand", "spec.hostnam"]);
        assert_eq!(told(json!({"spec": {"containers": 5}, "a": 1})), [""; 0], "it is told by who reads it");
        assert_eq!(unknown(kind, &Json::from(json!({"a": 1, "b": 2})), 1).len(), 1);
    }
}
