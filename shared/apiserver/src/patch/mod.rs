//! Patches: the four body types, each a function from the old object to the new one.

mod apply;
mod fields;
mod managed;
mod merge;
mod strategic;

use std::sync::Arc;

use super::admission;
use super::call::Call;
use super::failure::{Failure, Result};
use super::field_check::{self, Warnings};
use super::json::Json;
use super::kinds::Kind;
use super::object::Object;
use super::request::Target;
use super::store::{Store, Written};
use super::write;

pub(crate) use managed::record_update;

/// A patch body.
enum Patch {
    Json(json_patch::Patch),
    Merge(Json),
    Strategic(Json),
    Apply(Json),
}

impl Patch {
    fn parse(kind: &Kind, media: &str, body: &[u8]) -> Result<Patch> {
        let unreadable = |e: String| Failure::bad_request(format!("the patch cannot be read: {e}"));
        let tree = || Json::parse(body).map_err(|e| unreadable(e.to_string()));
        match media {
            "application/json-patch+json" => {
                serde_json::from_slice(body).map(Patch::Json).map_err(|e| unreadable(e.to_string()))
            }
            "application/merge-patch+json" => tree().map(Patch::Merge),
            "application/strategic-merge-patch+json" if !kind.is_custom() => tree().map(Patch::Strategic),
            // JSON, which most clients send, is far quicker to read than YAML.
            "application/apply-patch+yaml" => match Json::parse(body) {
                Ok(tree) => Ok(Patch::Apply(tree)),
                Err(_) => std::str::from_utf8(body)
                    .map_err(|e| unreadable(e.to_string()))
                    .and_then(|text| serde_saphyr::from_str(text).map_err(|e| unreadable(e.to_string())))
                    .map(Patch::Apply),
            },
            other => Err(Failure::unsupported_media(other)),
        }
    }
}

/// A patched object, and whether the patch created it.
pub(crate) type Patched = (Arc<Object>, bool);

/// Patches an object; server-side apply also creates it.
pub(crate) fn patch(store: &Store, target: &Target, call: &Call) -> Result<(Written<Patched>, Warnings)> {
    let kind = target.kind;
    let status_only = target.sub.as_deref() == Some("status");
    let patch = Patch::parse(kind, call.media(), &call.body)?;
    let applying = matches!(patch, Patch::Apply(_));
    if applying && call.params.get("fieldManager").is_none() {
        return Err(Failure::bad_request(
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
        ));
    }
    let warnings = match &patch {
        Patch::Merge(tree) | Patch::Apply(tree) => field_check::of_patch(&call.params, kind, tree)?,
        // No kind with a schema takes the one; the other's texts are paths and no object.
        Patch::Strategic(_) | Patch::Json(_) => Warnings::default(),
    };
    let time = admission::time_text(store.now());
    let written = store.write(call.params.dry_run()?, |txn| {
        let old = txn.get(kind, &target.key());
        if let Patch::Apply(wanted) = &patch {
            let by = apply::Applier { manager: call.manager(), force: call.params.flag("force"), time };
            let mut tree = wanted.clone();
            admission::check_type(kind, &mut tree)?;
            admission::check_namespace(kind, target.namespace.as_deref(), &mut tree)?;
            tree.set_default(&["metadata", "name"], || Json::string(target.name()));
            let tree = apply::applied(kind, old.as_ref().map(|o| &o.tree), &tree, &by)?;
            return match old {
                Some(old) => write::replace(txn, &old, tree, status_only, None).map(|o| (o, false)),
                None => write::insert(txn, kind, target.namespace.as_deref(), tree).map(|o| (o, true)),
            };
        }
        let old = old.ok_or_else(|| Failure::not_found(kind, target.name()))?;
        let mut tree = changed(&patch, &old)?;
        admission::check_type(kind, &mut tree)?;
        admission::check_namespace(kind, target.namespace.as_deref(), &mut tree)?;
        write::replace(txn, &old, tree, status_only, Some(call.manager())).map(|o| (o, false))
    })?;
    Ok((written, warnings))
}

fn changed(patch: &Patch, old: &Object) -> Result<Json> {
    match patch {
        Patch::Merge(patch) => Ok(merge::merged(&old.tree, patch)),
        Patch::Strategic(patch) => Ok(strategic::merged(&old.tree, patch)),
        Patch::Apply(wanted) => Ok(wanted.clone()),
        Patch::Json(operations) => {
            let mut value = old.tree.to_value();
            json_patch::patch(&mut value, operations)
                .map_err(|e| Failure::invalid(old.kind, old.name(), &[("patch", e.to_string())]))?;
            Ok(Json::from(value))
        }
    }
}
