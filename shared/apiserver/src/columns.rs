//! The columns of each kind's table.

use serde_json::{Value, json};

use super::column::{AGE, Column, NAME, age, at, text};
use super::json::Json;
use super::kinds::Kind;
use super::object::Object;
use super::pod_columns;

const CREATED: Column = text("Created At", |o, _| at(o, &["metadata", "creationTimestamp"]));

fn or_none(object: &Object, path: &[&str]) -> Value {
    match object.tree.at(path) {
        None | Some(Json::Null) => json!("<none>"),
        Some(value) => value.to_value(),
    }
}

fn count(object: &Object, field: &str) -> usize {
    object.tree.get(field).map_or(0, |value| match value {
        Json::Object(map) => map.len(),
        Json::Array(items) => items.len(),
        _ => 0,
    })
}

fn number(object: &Object, path: &[&str]) -> i64 {
    object.tree.at(path).and_then(Json::as_i64).unwrap_or(0)
}

static PLAIN: [Column; 2] = [NAME, AGE];
static WORKFLOWS: [Column; 4] = [
    NAME,
    text("Status", |o, _| at(o, &["status", "phase"])),
    text("Age", |o, now| match o.tree.str_at(&["status", "startedAt"]) {
        None => json!(""),
        Some(_) => age(o, &["status", "startedAt"], now),
    }),
    text("Message", |o, _| at(o, &["status", "message"])),
];
static NAMESPACES: [Column; 3] = [NAME, text("Status", |o, _| at(o, &["status", "phase"])), AGE];
static CONFIG_MAPS: [Column; 3] =
    [NAME, text("Data", |o, _| json!((count(o, "data") + count(o, "binaryData")).to_string())), AGE];
static SECRETS: [Column; 4] =
    [NAME, text("Type", |o, _| at(o, &["type"])), text("Data", |o, _| json!(count(o, "data").to_string())), AGE];
static ACCOUNTS: [Column; 3] = [NAME, text("Secrets", |o, _| json!(count(o, "secrets").to_string())), AGE];
static CLAIMS: [Column; 7] = [
    NAME,
    text("Status", |o, _| at(o, &["status", "phase"])),
    text("Volume", |o, _| at(o, &["spec", "volumeName"])),
    text("Capacity", |o, _| at(o, &["status", "capacity", "storage"])),
    text("Access Modes", |o, _| {
        let modes = o.tree.at(&["spec", "accessModes"]).and_then(Json::as_array);
        let modes: Vec<&str> = modes
            .unwrap_or(&[])
            .iter()
            .filter_map(Json::as_str)
            .map(|mode| match mode {
                "ReadWriteOnce" => "RWO",
                "ReadOnlyMany" => "ROX",
                "ReadWriteMany" => "RWX",
                "ReadWriteOncePod" => "RWOP",
                other => other,
            })
            .collect();
        json!(modes.join(","))
    }),
    text("StorageClass", |o, _| at(o, &["spec", "storageClassName"])),
    AGE,
];
static SERVICES: [Column; 4] = [
    NAME,
    text("Type", |o, _| at(o, &["spec", "type"])),
    text("Cluster-IP", |o, _| or_none(o, &["spec", "clusterIP"])),
    AGE,
];
static NODES: [Column; 4] = [
    NAME,
    text("Status", |o, _| {
        let conditions = o.tree.at(&["status", "conditions"]).and_then(Json::as_array);
        let ready = conditions
            .unwrap_or(&[])
            .iter()
            .any(|c| c.str_at(&["type"]) == Some("Ready") && c.str_at(&["status"]) == Some("True"));
        json!(if ready { "Ready" } else { "NotReady" })
    }),
    AGE,
    text("Version", |o, _| at(o, &["status", "nodeInfo", "kubeletVersion"])),
];
static EVENTS: [Column; 5] = [
    text("Last Seen", |o, now| {
        let recent = ["lastTimestamp", "eventTime", "deprecatedLastTimestamp"]
            .into_iter()
            .find(|field| o.tree.str_at(&[field]).is_some());
        match recent {
            Some(field) => age(o, &[field], now),
            None => age(o, &["metadata", "creationTimestamp"], now),
        }
    }),
    text("Type", |o, _| at(o, &["type"])),
    text("Reason", |o, _| at(o, &["reason"])),
    text("Object", |o, _| {
        let about = ["involvedObject", "regarding"].into_iter().find_map(|field| o.tree.get(field));
        let part = |name| about.and_then(|a| a.str_at(&[name])).unwrap_or("");
        json!(format!("{}/{}", part("kind").to_ascii_lowercase(), part("name")))
    }),
    text("Message", |o, _| {
        json!(["message", "note"].into_iter().find_map(|field| o.tree.str_at(&[field])).unwrap_or("").trim())
    }),
];
static BUDGETS: [Column; 5] = [
    NAME,
    text("Min Available", |o, _| na(o, &["spec", "minAvailable"])),
    text("Max Unavailable", |o, _| na(o, &["spec", "maxUnavailable"])),
    text("Allowed Disruptions", |o, _| json!(number(o, &["status", "disruptionsAllowed"]).to_string())),
    AGE,
];
static LEASES: [Column; 3] = [NAME, text("Holder", |o, _| at(o, &["spec", "holderIdentity"])), AGE];
static JOBS: [Column; 3] = [
    NAME,
    text("Completions", |o, _| {
        let wanted = o.tree.at(&["spec", "completions"]).and_then(Json::as_i64);
        let done = number(o, &["status", "succeeded"]);
        json!(format!("{done}/{}", wanted.unwrap_or(1)))
    }),
    AGE,
];
static SETS: [Column; 3] = [
    NAME,
    text("Ready", |o, _| {
        let ready = number(o, &["status", "readyReplicas"]);
        json!(format!("{ready}/{}", number(o, &["spec", "replicas"])))
    }),
    AGE,
];
static DEFINITIONS: [Column; 2] = [NAME, CREATED];

fn na(object: &Object, path: &[&str]) -> Value {
    match object.tree.at(path) {
        None | Some(Json::Null) => json!("N/A"),
        Some(Json::Number(n)) => json!(n.to_string()),
        Some(value) => value.to_value(),
    }
}

/// The columns of a kind. Source: Argo's CRDs (`additionalPrinterColumns`) and the printers of Kubernetes.
pub(crate) fn of(kind: &Kind) -> &'static [Column] {
    match kind.plural {
        "workflows" => &WORKFLOWS,
        "pods" => &pod_columns::PODS,
        "namespaces" => &NAMESPACES,
        "configmaps" => &CONFIG_MAPS,
        "secrets" => &SECRETS,
        "serviceaccounts" => &ACCOUNTS,
        "persistentvolumeclaims" => &CLAIMS,
        "services" => &SERVICES,
        "nodes" => &NODES,
        "events" => &EVENTS,
        "poddisruptionbudgets" => &BUDGETS,
        "leases" => &LEASES,
        "jobs" => &JOBS,
        "deployments" | "statefulsets" => &SETS,
        "customresourcedefinitions" | "roles" => &DEFINITIONS,
        _ => &PLAIN,
    }
}
