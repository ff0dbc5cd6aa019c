//! Create and update.

use std::sync::Arc;

use super::accounts;
use super::admission;
use super::deletion::{self, DeleteOptions, Deleted};
use super::event_age;
use super::failure::{Failure, Result};
use super::json::Json;
use super::kinds::{self, Kind};
use super::object::{Object, key};
use super::patch::record_update;
use super::quota;
use super::request::Target;
use super::store::{Store, Txn, Written};
use super::validation;

/// Creates an object from a request body.
pub(crate) fn create(store: &Store, target: &Target, tree: Json, dry: bool) -> Result<Written<Arc<Object>>> {
    store.write(dry, |txn| insert(txn, target.kind, target.namespace.as_deref(), tree))
}

/// Completes, checks and stores a new object.
pub(crate) fn insert(
    txn: &mut Txn<'_>,
    kind: &'static Kind,
    namespace: Option<&str>,
    mut tree: Json,
) -> Result<Arc<Object>> {
    admission::check_type(kind, &mut tree)?;
    validation::check_types(kind, &tree)?;
    admission::check_namespace(kind, namespace, &mut tree)?;
    if tree.str_at(&["metadata", "resourceVersion"]).is_some() {
        return Err(Failure::bad_request("resourceVersion should not be set on objects to be created"));
    }
    let generated = tree.str_at(&["metadata", "name"]).is_none();
    // A generated name may be taken: try again with another, a bounded number of times.
    for _ in 0..8 {
        if generated {
            tree.remove(&["metadata", "name"]);
        }
        let uid = txn.next_uid();
        admission::complete_new(kind, &mut tree, uid, txn.now())?;
        let name = tree.str_at(&["metadata", "name"]).unwrap_or("");
        if txn.get(kind, &key(namespace.unwrap_or(""), name)).is_none() {
            validation::check(kind, None, &tree)?;
            txn.check_size(None, &tree)?;
            if let Some(namespace) = namespace {
                accounts::admit(txn, kind, namespace, name, &tree)?;
                quota::admit(txn, kind, namespace, name)?;
                ensure_namespace(txn, namespace)?;
            }
            let object = txn.put(kind, tree);
            if event_age::is_event(kind) {
                event_age::drop_old(txn, kind);
            }
            if deletion::is_abandoned(txn, &object) {
                deletion::delete(txn, &object, &DeleteOptions::default())?;
            }
            return Ok(object);
        }
        if !generated {
            return Err(Failure::already_exists(kind, name));
        }
    }
    Err(Failure::already_exists(kind, tree.str_at(&["metadata", "generateName"]).unwrap_or("")))
}

/// Makes a namespace that is used before it was created.
pub(crate) fn ensure_namespace(txn: &mut Txn<'_>, name: &str) -> Result<()> {
    let kind = kinds::namespaces();
    if txn.get(kind, &key("", name)).is_some() {
        return Ok(());
    }
    let mut tree = Json::object();
    tree.set(&["metadata", "name"], Json::string(name));
    insert(txn, kind, None, tree).map(|_| ())
}

/// Replaces an object with a request body.
pub(crate) fn update(
    store: &Store,
    target: &Target,
    mut tree: Json,
    manager: &str,
    dry: bool,
) -> Result<Written<Arc<Object>>> {
    let kind = target.kind;
    admission::check_type(kind, &mut tree)?;
    validation::check_types(kind, &tree)?;
    admission::check_namespace(kind, target.namespace.as_deref(), &mut tree)?;
    match tree.str_at(&["metadata", "name"]) {
        None => tree.set(&["metadata", "name"], Json::string(target.name())),
        Some(name) if name == target.name() => {}
        Some(name) => {
            return Err(Failure::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                target.name()
            )));
        }
    }
    store.write(dry, |txn| {
        let old = txn.get(kind, &target.key()).ok_or_else(|| Failure::not_found(kind, target.name()))?;
        let status_only = target.sub.as_deref() == Some("status");
        replace(txn, &old, tree, status_only, Some(manager))
    })
}

/// Stores the new form of an existing object; checks its uid and resource version if it has any.
/// `manager` is recorded as the owner of what changes, if the object's fields have owners at all.
pub(crate) fn replace(
    txn: &mut Txn<'_>,
    old: &Arc<Object>,
    mut tree: Json,
    status_only: bool,
    manager: Option<&str>,
) -> Result<Arc<Object>> {
    if let Some(uid) = tree.str_at(&["metadata", "uid"]).filter(|uid| *uid != old.uid()) {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", old.uid());
        return Err(Failure::conflict(old.kind, old.name(), &why));
    }
    if let Some(version) = tree.str_at(&["metadata", "resourceVersion"])
        && version.parse() != Ok(old.revision)
    {
        return Err(Failure::modified(old.kind, old.name()));
    }
    if status_only && !old.kind.status {
        return Err(Failure::no_such_path());
    }
    admission::complete_update(old, &mut tree, status_only);
    validation::check(old.kind, Some(&old.tree), &tree)?;
    if let Some(manager) = manager {
        let time = admission::time_text(txn.now());
        record_update(old.kind, &old.tree, &mut tree, manager, &time);
    }
    if old.is_deleting() && grows_finalizers(old, &tree) {
        let message = "Forbidden: no new finalizers can be added if the object is being deleted";
        return Err(Failure::invalid(old.kind, old.name(), &[("metadata.finalizers", message.to_owned())]));
    }
    if tree == old.tree {
        return Ok(Arc::clone(old));
    }
    txn.check_size(Some(old), &tree)?;
    let object = txn.put(old.kind, tree);
    match deletion::finish_if_ready(txn, object) {
        Deleted::Gone(object) | Deleted::Waiting(object) => Ok(object),
    }
}

fn grows_finalizers(old: &Object, tree: &Json) -> bool {
    tree.at(&["metadata", "finalizers"])
        .and_then(Json::as_array)
        .is_some_and(|new| new.iter().any(|f| !old.finalizers().contains(f)))
}
