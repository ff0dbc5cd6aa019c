//! Get and list.

use std::sync::Arc;

use base64::Engine;
use serde_json::{Value, json};

use super::failure::{Failure, Result};
use super::json::Json;
use super::object::Object;
use super::request::{Params, Target};
use super::selector::Selector;
use super::store::{Snapshot, Store};

/// A list with what its envelope says.
pub(crate) struct List {
    pub revision: u64,
    pub objects: Vec<Arc<Object>>,
    pub continues: Option<String>,
    pub remaining: Option<usize>,
}

pub(crate) fn get(store: &Store, target: &Target) -> Result<Arc<Object>> {
    store.get(target.kind, &target.key()).ok_or_else(|| Failure::not_found(target.kind, target.name()))
}

/// Lists a resource. `stale` shows a state some revisions old.
pub(crate) fn list(store: &Store, target: &Target, params: &Params, stale: bool) -> Result<List> {
    let selector = Selector::parse(target.kind, params.get("labelSelector"), params.get("fieldSelector"))?;
    let limit = match params.number("limit")? {
        None | Some(0) => usize::MAX,
        Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    let (at, after) = match params.get("continue") {
        Some(token) => {
            let (revision, key) = read_token(token)?;
            (Some(revision), Some(key))
        }
        None => (start_revision(store, params, stale)?, None),
    };
    let Snapshot { revision, objects, remaining } =
        store.list(target.kind, target.namespace.as_deref(), at, after.as_deref(), limit, &|object| {
            selector.matches(object)
        })?;
    let last = objects.last().filter(|_| remaining > 0);
    Ok(List {
        revision,
        continues: last.map(|last| write_token(revision, &last.key)),
        remaining: Some(remaining).filter(|r| *r > 0 && selector.is_empty()),
        objects,
    })
}

/// How far behind a stale list is.
const STALE_REVISIONS: u64 = 10;

fn start_revision(store: &Store, params: &Params, stale: bool) -> Result<Option<u64>> {
    let current = store.revision();
    let asked = params.number("resourceVersion")?;
    if let Some(asked) = asked.filter(|asked| *asked > current) {
        return Err(Failure::too_large_revision(asked, current));
    }
    match (params.get("resourceVersionMatch"), asked) {
        (Some("Exact"), Some(asked)) => Ok(Some(asked)),
        // A list at least as new as asked: a lagging cache would be between the two.
        _ if stale => Ok(Some(current.saturating_sub(STALE_REVISIONS).max(asked.unwrap_or(0)).max(store.oldest()))),
        _ => Ok(None),
    }
}

fn write_token(revision: u64, key: &str) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("{revision} {key}"))
}

fn read_token(token: &str) -> Result<(u64, String)> {
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| {
            let (revision, key) = text.split_once(' ')?;
            Some((revision.parse().ok()?, key.to_owned()))
        })
        .ok_or_else(|| Failure::bad_request("continue key is not valid"))
}

/// The `PartialObjectMetadata` of an object.
pub(crate) fn partial(object: &Object) -> Json {
    let mut out = Json::object();
    out.set(&["kind"], Json::string("PartialObjectMetadata"));
    out.set(&["apiVersion"], Json::string("meta.k8s.io/v1"));
    out.copy_from(&object.tree, &["metadata"]);
    out
}

/// The metadata of a list's envelope.
pub(crate) fn list_meta(list: &List) -> Value {
    let mut meta = json!({"resourceVersion": list.revision.to_string()});
    if let Some(token) = &list.continues {
        meta["continue"] = json!(token);
    }
    if let Some(remaining) = list.remaining {
        meta["remainingItemCount"] = json!(remaining);
    }
    meta
}
