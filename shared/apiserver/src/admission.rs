//! What happens to an object between the request and the store: names, server-set metadata, defaults.

use base64::Engine;
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::failure::{Failure, Result};
use super::json::Json;
use super::json_map::Map;
use super::kinds::{Flavor, Kind};
use super::object::Object;

/// Longest name of an object of the subdomain form.
const NAME_CHARS_MAX: usize = 253;
/// Longest name of a workflow: it becomes a label value.
const WORKFLOW_NAME_CHARS_MAX: usize = 63;
/// Generated names are cut to this before the random end is added, as Kubernetes does.
const GENERATED_BASE_CHARS_MAX: usize = 58;
/// Random characters at the end of a generated name.
const GENERATED_SUFFIX_CHARS: usize = 5;

/// Time in the form Kubernetes writes: whole seconds, UTC.
pub(crate) fn time_text(time: Timestamp) -> String {
    let seconds = Timestamp::from_second(time.as_second()).unwrap_or(time);
    seconds.to_string()
}

/// Checks that body and path agree, filling what the body leaves out.
pub(crate) fn check_type(kind: &Kind, tree: &mut Json) -> Result<()> {
    if tree.as_map().is_none() {
        return Err(Failure::bad_request("the body of the request is not an object"));
    }
    let api_version = kind.api_version();
    for (field, wanted) in [("apiVersion", api_version.as_str()), ("kind", kind.kind)] {
        match tree.get(field) {
            None | Some(Json::Null) => tree.set(&[field], Json::string(wanted)),
            Some(got) if got.as_str() == Some(wanted) => {}
            Some(got) => {
                return Err(Failure::bad_request(format!(
                    "the {field} in the data ({}) does not match the expected {field} ({wanted})",
                    got.as_str().unwrap_or("not text")
                )));
            }
        }
    }
    match tree.get("metadata") {
        None | Some(Json::Null) => tree.set(&["metadata"], Json::object()),
        Some(Json::Object(_)) => {}
        Some(_) => return Err(Failure::bad_request("the metadata in the data is not an object")),
    }
    Ok(())
}

/// Checks that the namespace of the body is that of the path, filling it in when absent.
pub(crate) fn check_namespace(kind: &Kind, namespace: Option<&str>, tree: &mut Json) -> Result<()> {
    let Some(namespace) = namespace.filter(|_| kind.namespaced) else {
        tree.remove(&["metadata", "namespace"]);
        return Ok(());
    };
    match tree.str_at(&["metadata", "namespace"]) {
        None => tree.set(&["metadata", "namespace"], Json::string(namespace)),
        Some(got) if got == namespace => {}
        Some(_) => {
            return Err(Failure::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
    }
    Ok(())
}

/// Completes a new object: name, uid, times, defaults.
pub(crate) fn complete_new(kind: &Kind, tree: &mut Json, uid: Uuid, now: Timestamp) -> Result<()> {
    name_new(kind, tree, uid)?;
    tree.set(&["metadata", "uid"], Json::string(uid.to_string()));
    tree.set(&["metadata", "creationTimestamp"], Json::string(time_text(now)));
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
        tree.remove(&["metadata", field]);
    }
    if kind.generation {
        tree.set(&["metadata", "generation"], json!(1).into());
    } else {
        tree.remove(&["metadata", "generation"]);
    }
    if kind.status && kind.flavor != Flavor::CustomResourceDefinition {
        tree.remove(&["status"]);
    }
    default_fields(kind, tree);
    Ok(())
}

fn name_new(kind: &Kind, tree: &mut Json, uid: Uuid) -> Result<()> {
    if tree.str_at(&["metadata", "name"]).is_none() {
        let Some(base) = tree.str_at(&["metadata", "generateName"]) else {
            return Err(Failure::invalid(
                kind,
                "",
                &[("metadata.name", "Required value: name or generateName is required".to_owned())],
            ));
        };
        let base: String = base.chars().take(GENERATED_BASE_CHARS_MAX).collect();
        let name = base + &random_suffix(uid);
        tree.set(&["metadata", "name"], Json::string(name));
    }
    check_name(kind, tree.str_at(&["metadata", "name"]).unwrap_or(""))
}

/// Letters and digits that spell no words, as Kubernetes picks them.
fn random_suffix(uid: Uuid) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut number = uid.as_u128() ^ (uid.as_u128() >> 64);
    let mut suffix = String::with_capacity(GENERATED_SUFFIX_CHARS);
    for _ in 0..GENERATED_SUFFIX_CHARS {
        let place = usize::try_from(number % 27).expect("less than 27");
        suffix.push(char::from(ALPHABET[place]));
        number /= 27;
    }
    suffix
}

/// Checks a name: an RFC 1123 subdomain, or a label for namespaces.
pub(crate) fn check_name(kind: &Kind, name: &str) -> Result<()> {
    let refuse = |why: String| {
        let message = format!("Invalid value: \"{name}\": {why}");
        Err(Failure::invalid(kind, name, &[("metadata.name", message)]))
    };
    let label = matches!(kind.flavor, Flavor::Namespace);
    let limit = match kind.plural {
        "workflows" | "namespaces" | "services" => WORKFLOW_NAME_CHARS_MAX,
        _ => NAME_CHARS_MAX,
    };
    if name.len() > limit {
        return refuse(format!("must be no more than {limit} characters"));
    }
    // Roles have path segment names, such as `system:node`.
    if kind.group == "rbac.authorization.k8s.io" {
        return match name {
            "." | ".." => refuse("may not be '.' or '..'".to_owned()),
            _ if name.contains(['/', '%']) => refuse("may not contain '/' or '%'".to_owned()),
            _ => Ok(()),
        };
    }
    let part_good = |part: &str| {
        let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let bytes = part.as_bytes();
        bytes.iter().all(|c| inner(*c) || *c == b'-')
            && bytes.first().is_some_and(|c| inner(*c))
            && bytes.last().is_some_and(|c| inner(*c))
    };
    if label && !part_good(name) {
        return refuse(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
             and must start and end with an alphanumeric character"
                .to_owned(),
        );
    }
    if !name.split('.').all(part_good) {
        return refuse(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
             and must start and end with an alphanumeric character"
                .to_owned(),
        );
    }
    Ok(())
}

/// Carries over what an update cannot change, and counts the generation.
/// `status_only` is an update through the status subresource.
pub(crate) fn complete_update(old: &Object, tree: &mut Json, status_only: bool) {
    let kind = old.kind;
    if status_only {
        let status = tree.get("status").cloned();
        let managed = tree.at(&["metadata", "managedFields"]).cloned();
        *tree = old.tree.clone();
        match status {
            Some(status) => tree.set(&["status"], status),
            None => {
                tree.remove(&["status"]);
            }
        }
        if let Some(managed) = managed {
            tree.set(&["metadata", "managedFields"], managed);
        }
    } else if kind.status {
        tree.copy_from(&old.tree, &["status"]);
    }
    for field in [
        "uid",
        "name",
        "namespace",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "generateName",
        "resourceVersion",
    ] {
        tree.copy_from(&old.tree, &["metadata", field]);
    }
    if !status_only {
        default_fields(kind, tree);
    }
    if kind.generation && content_changed(kind, &old.tree, tree) {
        let generation = old.tree.at(&["metadata", "generation"]).and_then(Json::as_i64).unwrap_or(0);
        tree.set(&["metadata", "generation"], json!(generation + 1).into());
    }
}

/// Whether anything changed that counts as a new generation: all but `metadata`, and but `status`
/// where that is a subresource.
/// Source: Kubernetes `customResourceStrategy.PrepareForUpdate`; a workflow's status counts.
fn content_changed(kind: &Kind, old: &Json, new: &Json) -> bool {
    let empty = Map::default();
    let (old, new) = (old.as_map().unwrap_or(&empty), new.as_map().unwrap_or(&empty));
    let mut changed = false;
    old.differences(new, &mut |key, a, b| {
        let ignored = key == "metadata" || key == "status" && kind.status;
        changed = changed || !ignored && a != b;
    });
    changed
}

fn default_fields(kind: &Kind, tree: &mut Json) {
    match kind.flavor {
        Flavor::Plain | Flavor::CustomResourceDefinition => {}
        Flavor::Namespace => {
            tree.set_default(&["spec", "finalizers"], || json!(["kubernetes"]).into());
            tree.set_default(&["status", "phase"], || Json::string("Active"));
            let name = tree.at(&["metadata", "name"]).cloned().unwrap_or_default();
            tree.set(&["metadata", "labels", "kubernetes.io/metadata.name"], name);
        }
        Flavor::PersistentVolumeClaim => {
            tree.set_default(&["spec", "volumeMode"], || Json::string("Filesystem"));
            tree.set_default(&["status", "phase"], || Json::string("Pending"));
        }
        Flavor::Secret => default_secret(tree),
        Flavor::Pod => default_pod(tree),
    }
}

fn default_secret(tree: &mut Json) {
    tree.set_default(&["type"], || Json::string("Opaque"));
    let Some(plain) = tree.remove(&["stringData"]) else {
        return;
    };
    for (key, value) in plain.as_map().into_iter().flat_map(Map::iter) {
        let encoded = base64::engine::general_purpose::STANDARD.encode(value.as_str().unwrap_or(""));
        tree.set(&["data", key], Json::string(encoded));
    }
}

fn default_pod(tree: &mut Json) {
    let spec = |name| ["spec", name];
    tree.set_default(&spec("restartPolicy"), || Json::string("Always"));
    tree.set_default(&spec("terminationGracePeriodSeconds"), || json!(30).into());
    tree.set_default(&spec("dnsPolicy"), || Json::string("ClusterFirst"));
    tree.set_default(&spec("schedulerName"), || Json::string("default-scheduler"));
    tree.set_default(&spec("serviceAccountName"), || Json::string("default"));
    tree.set_default(&spec("enableServiceLinks"), || Json::Bool(true));
    tree.set_default(&spec("securityContext"), Json::object);
    tree.set_default(&["status", "phase"], || Json::string("Pending"));
    tree.set_default(&["status", "qosClass"], || Json::string("BestEffort"));
    for list in ["initContainers", "containers"] {
        let Some(Json::Array(containers)) = tree.at(&["spec", list]) else {
            continue;
        };
        if containers.iter().all(is_complete) {
            continue;
        }
        let completed = containers.iter().cloned().map(default_container).collect();
        tree.set(&["spec", list], Json::Array(std::sync::Arc::new(completed)));
    }
}

fn is_complete(container: &Json) -> bool {
    ["terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy", "resources"]
        .iter()
        .all(|field| container.get(field).is_some())
}

fn default_container(mut container: Json) -> Json {
    container.set_default(&["terminationMessagePath"], || Json::string("/dev/termination-log"));
    container.set_default(&["terminationMessagePolicy"], || Json::string("File"));
    container.set_default(&["resources"], Json::object);
    // Kubernetes has Always for images without a tag. Here they often are the user's own and in no registry, and a
    // step should not wait for one that is at hand.
    container.set_default(&["imagePullPolicy"], || Json::string("IfNotPresent"));
    container
}
