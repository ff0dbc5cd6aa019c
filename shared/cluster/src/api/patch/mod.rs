//! Patches: the four body types, each a function from the old object to the new one.

mod merge;

use std::sync::Arc;

use super::admission;
use super::failure::{Failure, Result};
use super::json::Json;
use super::object::Object;
use super::request::{Params, Target};
use super::store::{Store, Written};
use super::write;

/// A patch body.
enum Patch {
    Json(json_patch::Patch),
    Merge(Json),
}

impl Patch {
    fn parse(content_type: &str, body: &[u8]) -> Result<Patch> {
        let media = content_type.split(';').next().unwrap_or("").trim();
        let unreadable =
            |e: serde_json::Error| Failure::bad_request(format!("error decoding patch: {e}"));
        match media {
            "application/json-patch+json" => serde_json::from_slice(body)
                .map(Patch::Json)
                .map_err(unreadable),
            "application/merge-patch+json" => {
                Json::parse(body).map(Patch::Merge).map_err(unreadable)
            }
            other => Err(Failure::unsupported_media(other)),
        }
    }
}

/// Patches an object; server-side apply also creates it.
pub(crate) fn patch(
    store: &Store,
    target: &Target,
    params: &Params,
    content_type: &str,
    body: &[u8],
) -> Result<Written<Arc<Object>>> {
    let kind = target.kind;
    let patch = Patch::parse(content_type, body)?;
    store.write(params.dry_run()?, |txn| {
        let old = txn
            .get(kind, &target.key())
            .ok_or_else(|| Failure::not_found(kind, target.name()))?;
        let mut tree = patched(&patch, &old)?;
        admission::check_type(kind, &mut tree)?;
        admission::check_namespace(kind, target.namespace.as_deref(), &mut tree)?;
        write::replace(txn, &old, tree, target.sub.as_deref() == Some("status"))
    })
}

fn patched(patch: &Patch, old: &Object) -> Result<Json> {
    match patch {
        Patch::Merge(patch) => Ok(merge::merged(&old.tree, patch)),
        Patch::Json(operations) => {
            let mut value = old.tree.to_value();
            json_patch::patch(&mut value, operations)
                .map_err(|e| Failure::invalid(old.kind, old.name(), &[("patch", e.to_string())]))?;
            Ok(Json::from(value))
        }
    }
}
