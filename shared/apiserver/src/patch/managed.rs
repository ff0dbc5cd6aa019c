//! Who owns which fields: the entries of `metadata.managedFields`.

use std::sync::Arc;

use serde_json::json;

use super::fields;
use crate::json::Json;
use crate::kinds::Kind;

const PATH: [&str; 2] = ["metadata", "managedFields"];

/// The entries of an object.
pub(super) fn entries(tree: &Json) -> Vec<Json> {
    tree.at(&PATH).and_then(Json::as_array).unwrap_or(&[]).to_vec()
}

pub(super) fn set_entries(tree: &mut Json, entries: Vec<Json>) {
    if entries.is_empty() {
        tree.remove(&PATH);
    } else {
        tree.set(&PATH, Json::Array(Arc::new(entries)));
    }
}

pub(super) fn fields_of(entry: &Json) -> Json {
    entry.get("fieldsV1").cloned().unwrap_or_else(Json::object)
}

pub(super) fn is_apply_of(entry: &Json, manager: &str) -> bool {
    entry.str_at(&["operation"]) == Some("Apply") && entry.str_at(&["manager"]) == Some(manager)
}

pub(super) fn entry(kind: &Kind, manager: &str, operation: &str, time: &str, owned: Json) -> Json {
    let mut entry = Json::from(json!({
        "manager": manager, "operation": operation, "apiVersion": kind.api_version(),
        "time": time, "fieldsType": "FieldsV1",
    }));
    entry.set(&["fieldsV1"], owned);
    entry
}

/// Records a change that is not an apply: its manager owns what it changed, nobody else does.
/// Objects that nobody ever applied keep no record.
pub(crate) fn record_update(kind: &Kind, old: &Json, new: &mut Json, manager: &str, time: &str) {
    let before = entries(old);
    if before.is_empty() {
        new.remove(&PATH);
        return;
    }
    let touched = fields::changed(old, new);
    if fields::is_empty(&touched) {
        set_entries(new, before);
        return;
    }
    let mut owned = touched.clone();
    let mut after = Vec::new();
    for entry in before {
        let ours = entry.str_at(&["operation"]) == Some("Update") && entry.str_at(&["manager"]) == Some(manager);
        if ours {
            owned = fields::union(&fields_of(&entry), &owned);
            continue;
        }
        let left = fields::without(&fields_of(&entry), &touched);
        if !fields::is_empty(&left) {
            let mut entry = entry;
            entry.set(&["fieldsV1"], left);
            after.push(entry);
        }
    }
    after.push(entry(kind, manager, "Update", time, owned));
    set_entries(new, after);
}
