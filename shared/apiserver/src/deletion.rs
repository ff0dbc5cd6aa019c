//! Deletion: grace periods, finalizers, and the dependents of what is gone.

use std::sync::Arc;

use jiff::ToSpan;
use serde_json::json;

use super::admission::time_text;
use super::failure::{Failure, Result};
use super::json::Json;
use super::kinds::Flavor;
use super::object::Object;
use super::request::Params;
use super::store::Txn;

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// What happens to the dependents of a deleted object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Propagation {
    /// They go after it.
    #[default]
    Background,
    /// They go before it.
    Foreground,
    /// They stay.
    Orphan,
}

/// How to delete. Source: Kubernetes `DeleteOptions`.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    grace_period_secs: Option<u64>,
    propagation: Propagation,
    uid: Option<String>,
    resource_version: Option<String>,
    pub dry_run: bool,
}

impl DeleteOptions {
    /// From the body, if any, and the query parameters.
    pub fn parse(params: &Params, body: Option<Json>) -> Result<Self> {
        let body = body.unwrap_or_else(Json::object);
        let policy = body.str_at(&["propagationPolicy"]).or(params.get("propagationPolicy"));
        let propagation = match policy {
            None | Some("Background") => Propagation::Background,
            Some("Foreground") => Propagation::Foreground,
            Some("Orphan") => Propagation::Orphan,
            Some(other) => {
                return Err(Failure::bad_request(format!("propagationPolicy: Unsupported value: \"{other}\"")));
            }
        };
        let grace = match body.get("gracePeriodSeconds").and_then(Json::as_i64) {
            Some(secs) => Some(u64::try_from(secs).unwrap_or(0)),
            None => params.number("gracePeriodSeconds")?,
        };
        let dry = body.get("dryRun").and_then(Json::as_array).is_some_and(|d| !d.is_empty());
        let text = |path: &[&str]| body.str_at(path).map(str::to_owned);
        Ok(DeleteOptions {
            grace_period_secs: grace,
            propagation,
            uid: text(&["preconditions", "uid"]),
            resource_version: text(&["preconditions", "resourceVersion"]),
            dry_run: dry || params.dry_run()?,
        })
    }

    fn check(&self, object: &Object) -> Result<()> {
        if let Some(uid) = self.uid.as_deref().filter(|uid| *uid != object.uid()) {
            let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", object.uid());
            return Err(Failure::conflict(object.kind, object.name(), &why));
        }
        let revision = object.revision.to_string();
        if let Some(asked) = self.resource_version.as_deref().filter(|v| *v != revision) {
            let why = format!(
                "Precondition failed: ResourceVersion in precondition: {asked}, ResourceVersion in object meta: {revision}"
            );
            return Err(Failure::conflict(object.kind, object.name(), &why));
        }
        Ok(())
    }
}

/// What a deletion left behind.
#[derive(Debug)]
pub(crate) enum Deleted {
    /// Nothing: this was its last state.
    Gone(Arc<Object>),
    /// It waits for finalizers, dependents or its grace period.
    Waiting(Arc<Object>),
}

/// Deletes one object as the options say.
pub(crate) fn delete(txn: &mut Txn<'_>, object: &Arc<Object>, options: &DeleteOptions) -> Result<Deleted> {
    options.check(object)?;
    Ok(delete_checked(txn, object, options))
}

fn delete_checked(txn: &mut Txn<'_>, object: &Arc<Object>, options: &DeleteOptions) -> Deleted {
    let grace = grace_secs(object, options);
    let mut tree = object.tree.clone();
    let finalizer = match options.propagation {
        Propagation::Background => None,
        Propagation::Foreground => Some(FOREGROUND),
        Propagation::Orphan => Some(ORPHAN),
    };
    let has_dependents = !txn.dependents(object.uid()).is_empty();
    if let Some(finalizer) = finalizer.filter(|f| has_dependents && !object.has_finalizer(f)) {
        let mut all = object.finalizers().to_vec();
        all.push(Json::string(finalizer));
        tree.set(&["metadata", "finalizers"], Json::Array(Arc::new(all)));
    }
    let finalized = tree.at(&["metadata", "finalizers"]).and_then(Json::as_array).is_none_or(<[Json]>::is_empty);
    if finalized && grace == 0 {
        let last = txn.remove(object);
        removed(txn, &last);
        return Deleted::Gone(last);
    }
    if !object.is_deleting() {
        let due = txn.now() + i64::try_from(grace).unwrap_or(i64::MAX / 4).seconds();
        tree.set(&["metadata", "deletionTimestamp"], Json::string(time_text(due)));
        tree.set(&["metadata", "deletionGracePeriodSeconds"], json!(grace).into());
        count_generation(object, &mut tree);
    } else if grace < deletion_grace_secs(object) {
        tree.set(&["metadata", "deletionGracePeriodSeconds"], json!(grace).into());
    }
    if tree == object.tree {
        return Deleted::Waiting(Arc::clone(object));
    }
    let waiting = txn.put(object.kind, tree);
    match options.propagation {
        Propagation::Background => {}
        Propagation::Foreground => collect_dependents(txn, waiting.uid(), true),
        Propagation::Orphan => release_dependents(txn, waiting.uid()),
    }
    // Collecting may have finished it already.
    let current = txn.get(waiting.kind, &waiting.key);
    match current.filter(|c| c.uid() == waiting.uid()) {
        None => Deleted::Gone(waiting),
        Some(current) => finish_if_ready(txn, current),
    }
}

/// The grace period in seconds of a deletion; only pods that run on a node have one.
/// Source: Kubernetes `podStrategy.CheckGracefulDelete`.
fn grace_secs(object: &Object, options: &DeleteOptions) -> u64 {
    if object.kind.flavor != Flavor::Pod {
        return 0;
    }
    let spec_grace = object
        .tree
        .at(&["spec", "terminationGracePeriodSeconds"])
        .and_then(Json::as_i64)
        .map_or(30, |secs| u64::try_from(secs).unwrap_or(0));
    let unassigned = object.tree.str_at(&["spec", "nodeName"]).is_none();
    let ended = matches!(object.tree.str_at(&["status", "phase"]), Some("Succeeded" | "Failed"));
    if unassigned || ended {
        return 0;
    }
    let asked = options.grace_period_secs.unwrap_or(spec_grace);
    if object.is_deleting() {
        // A running grace period is only ever shortened.
        asked.min(deletion_grace_secs(object))
    } else {
        asked
    }
}

fn deletion_grace_secs(object: &Object) -> u64 {
    object
        .tree
        .at(&["metadata", "deletionGracePeriodSeconds"])
        .and_then(Json::as_i64)
        .map_or(0, |secs| u64::try_from(secs).unwrap_or(0))
}

fn count_generation(object: &Object, tree: &mut Json) {
    if let Some(generation) = object.tree.at(&["metadata", "generation"]).and_then(Json::as_i64) {
        tree.set(&["metadata", "generation"], json!(generation + 1).into());
    }
}

/// Removes an object that waits for nothing any more; called after every update of it.
pub(crate) fn finish_if_ready(txn: &mut Txn<'_>, object: Arc<Object>) -> Deleted {
    if object.has_finalizer(FOREGROUND) && !has_blocking_dependents(txn, object.uid()) {
        return finish_if_ready_without(txn, object, FOREGROUND);
    }
    if object.has_finalizer(ORPHAN) && txn.dependents(object.uid()).is_empty() {
        return finish_if_ready_without(txn, object, ORPHAN);
    }
    if !object.is_deleting() || !object.finalizers().is_empty() || deletion_grace_secs(&object) > 0 {
        return Deleted::Waiting(object);
    }
    let last = txn.remove(&object);
    removed(txn, &last);
    Deleted::Gone(last)
}

fn finish_if_ready_without(txn: &mut Txn<'_>, object: Arc<Object>, finalizer: &str) -> Deleted {
    if !object.is_deleting() {
        return Deleted::Waiting(object);
    }
    let left: Vec<Json> = object.finalizers().iter().filter(|f| f.as_str() != Some(finalizer)).cloned().collect();
    let mut tree = object.tree.clone();
    tree.set(&["metadata", "finalizers"], Json::Array(Arc::new(left)));
    let object = txn.put(object.kind, tree);
    finish_if_ready(txn, object)
}

fn has_blocking_dependents(txn: &Txn<'_>, uid: &str) -> bool {
    txn.dependents(uid).iter().any(|dependent| {
        dependent.owner_references().iter().any(|owner| {
            owner.str_at(&["uid"]) == Some(uid) && owner.get("blockOwnerDeletion").and_then(Json::as_bool) == Some(true)
        })
    })
}

/// After a removal: the dependents go, owners that waited for it go on, a namespace is emptied.
fn removed(txn: &mut Txn<'_>, last: &Arc<Object>) {
    collect_dependents(txn, last.uid(), false);
    for owner in last.owner_uids() {
        if let Some(owner) = txn.by_uid(owner).filter(|o| o.is_deleting()) {
            finish_if_ready(txn, owner);
        }
    }
    if last.kind.flavor == Flavor::Namespace {
        for object in txn.of_namespace(last.name()) {
            if let Some(object) = current(txn, &object) {
                let options = DeleteOptions { grace_period_secs: Some(0), ..DeleteOptions::default() };
                delete_checked(txn, &object, &options);
            }
        }
    }
}

fn current(txn: &Txn<'_>, object: &Object) -> Option<Arc<Object>> {
    txn.get(object.kind, &object.key).filter(|now| now.uid() == object.uid())
}

/// Deletes the dependents of an owner that have no other owner left.
fn collect_dependents(txn: &mut Txn<'_>, uid: &str, foreground: bool) {
    for dependent in txn.dependents(uid) {
        let Some(dependent) = current(txn, &dependent) else {
            continue;
        };
        let other_owner_lives = dependent.owner_uids().any(|other| other != uid && txn.by_uid(other).is_some());
        if other_owner_lives || dependent.is_deleting() {
            continue;
        }
        let options = DeleteOptions {
            propagation: if foreground { Propagation::Foreground } else { Propagation::Background },
            ..DeleteOptions::default()
        };
        delete_checked(txn, &dependent, &options);
    }
}

fn release_dependents(txn: &mut Txn<'_>, uid: &str) {
    for dependent in txn.dependents(uid) {
        let left: Vec<Json> =
            dependent.owner_references().iter().filter(|o| o.str_at(&["uid"]) != Some(uid)).cloned().collect();
        let mut tree = dependent.tree.clone();
        if left.is_empty() {
            tree.remove(&["metadata", "ownerReferences"]);
        } else {
            tree.set(&["metadata", "ownerReferences"], Json::Array(Arc::new(left)));
        }
        txn.put(dependent.kind, tree);
    }
}

/// Whether every owner of a new object is of a served kind and gone, so that it must not stay.
pub(crate) fn is_abandoned(txn: &Txn<'_>, object: &Object) -> bool {
    let owners = object.owner_references();
    !owners.is_empty()
        && owners.iter().all(|owner| {
            let group = owner.str_at(&["apiVersion"]).and_then(|v| v.split_once('/')).map_or("", |(group, _)| group);
            let known = owner.str_at(&["kind"]).is_some_and(|kind| super::kinds::find_by_kind(group, kind).is_some());
            known && owner.str_at(&["uid"]).is_none_or(|uid| txn.by_uid(uid).is_none())
        })
}
