//! Sets of field paths, as `managedFields` writes them (`FieldsV1`).
//!
//! A set is a tree of JSON objects: `f:name` is a member, `k:{"name":"a"}` an item of a keyed list,
//! `.` the thing itself. A leaf is an empty object. Lists without a key and values are atomic.

use crate::json::Json;
use crate::json_map::Map;

/// Fields that no manager owns: they identify the object or are set by the server.
const UNOWNED_METADATA: [&str; 11] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
    "generateName",
];

/// The fields of an applied object.
pub(super) fn of_object(tree: &Json) -> Json {
    let mut out = Json::object();
    for (key, value) in tree.as_map().into_iter().flat_map(Map::iter) {
        match key {
            "apiVersion" | "kind" => {}
            "metadata" => {
                let mut owned = value.clone();
                for field in UNOWNED_METADATA {
                    owned.remove(&[field]);
                }
                let fields = of_value(&owned);
                if fields.as_map().is_some_and(|m| !m.is_empty()) {
                    out.set(&["f:metadata"], fields);
                }
            }
            _ => out.set(&[&format!("f:{key}")], of_value(value)),
        }
    }
    out
}

fn of_value(value: &Json) -> Json {
    let mut out = Json::object();
    for (key, value) in value.as_map().into_iter().flat_map(Map::iter) {
        out.set(&[&format!("f:{key}")], of_value(value));
    }
    out
}

/// The paths of two sets' common leaves whose values differ between two objects.
pub(super) fn conflicts(ours: &Json, theirs: &Json, live: &Json, applied: &Json) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    collect(ours, theirs, Some(live), Some(applied), &[], &mut found);
    found
}

fn is_leaf(fields: &Json) -> bool {
    fields.as_map().is_none_or(Map::is_empty)
}

fn collect(
    ours: &Json,
    theirs: &Json,
    live: Option<&Json>,
    applied: Option<&Json>,
    path: &[String],
    found: &mut Vec<Vec<String>>,
) {
    for (key, our_inner) in ours.as_map().into_iter().flat_map(Map::iter) {
        let (Some(name), Some(their_inner)) = (key.strip_prefix("f:"), theirs.get(key)) else {
            continue;
        };
        let (live, applied) = (live.and_then(|l| l.get(name)), applied.and_then(|a| a.get(name)));
        let mut path = path.to_vec();
        path.push(name.to_owned());
        if !is_leaf(our_inner) && !is_leaf(their_inner) {
            collect(our_inner, their_inner, live, applied, &path, found);
            continue;
        }
        // An empty object as a wish says nothing about its members.
        let whole = is_leaf(their_inner) || applied.is_none_or(|a| a.as_map().is_none());
        if is_leaf(our_inner) && whole && live != applied {
            found.push(path);
        }
    }
}

/// `fields` without what is in `gone`; emptied branches vanish. A leaf of `gone` covers all beneath it.
pub(super) fn without(fields: &Json, gone: &Json) -> Json {
    subtract(fields, gone, true)
}

/// The fields owned before and not wanted any more. A wished leaf covers only itself: an empty object
/// no longer wants the members it had.
pub(super) fn dropped(before: &Json, wanted: &Json) -> Json {
    subtract(before, wanted, false)
}

fn subtract(fields: &Json, gone: &Json, leaf_covers: bool) -> Json {
    let mut out = Json::object();
    for (key, inner) in fields.as_map().into_iter().flat_map(Map::iter) {
        match gone.get(key) {
            None => out.set(&[key], inner.clone()),
            Some(gone) if is_leaf(inner) || leaf_covers && is_leaf(gone) => {}
            Some(gone) => {
                let left = subtract(inner, gone, leaf_covers);
                if !is_leaf(&left) {
                    out.set(&[key], left);
                }
            }
        }
    }
    out
}

/// Removes from `tree` the fields in `dropped` that are in none of `others`.
pub(super) fn prune(tree: &mut Json, dropped: &Json, others: &[&Json]) {
    for (key, inner) in dropped.as_map().into_iter().flat_map(Map::iter) {
        let Some(name) = key.strip_prefix("f:") else {
            continue;
        };
        let theirs: Vec<&Json> = others.iter().filter_map(|o| o.get(key)).collect();
        if is_leaf(inner) {
            if theirs.is_empty() {
                tree.remove(&[name]);
            }
            continue;
        }
        let Some(mut below) = tree.get(name).cloned() else {
            continue;
        };
        if theirs.iter().any(|t| is_leaf(t)) {
            continue;
        }
        prune(&mut below, inner, &theirs);
        if below.as_map().is_some_and(Map::is_empty) && theirs.is_empty() {
            tree.remove(&[name]);
        } else {
            tree.set(&[name], below);
        }
    }
}

/// The fields that changed from `old` to `new`; `status` counts as one field.
pub(super) fn changed(old: &Json, new: &Json) -> Json {
    let empty = Map::default();
    let (a, b) = (old.as_map().unwrap_or(&empty), new.as_map().unwrap_or(&empty));
    let mut out = Json::object();
    a.differences(b, &mut |key, before, after| {
        if before == after {
            return;
        }
        let field = format!("f:{key}");
        match (key, before, after) {
            ("status", _, Some(_)) => out.set(&[&field], Json::object()),
            ("metadata", Some(before), Some(after)) => {
                let (mut before, mut after) = (before.clone(), after.clone());
                for field in UNOWNED_METADATA {
                    before.remove(&[field]);
                    after.remove(&[field]);
                }
                let inner = changed(&before, &after);
                if !is_leaf(&inner) {
                    out.set(&[&field], inner);
                }
            }
            (_, Some(Json::Object(x)), Some(Json::Object(y))) => {
                let inner = changed(&Json::Object(x.clone()), &Json::Object(y.clone()));
                if !is_leaf(&inner) {
                    out.set(&[&field], inner);
                }
            }
            (_, _, Some(value)) => out.set(&[&field], of_value(value)),
            (_, _, None) => {}
        }
    });
    out
}

/// The union of two sets.
pub(super) fn union(a: &Json, b: &Json) -> Json {
    let mut out = a.clone();
    for (key, inner) in b.as_map().into_iter().flat_map(Map::iter) {
        let merged = match a.get(key) {
            Some(ours) if is_leaf(ours) || is_leaf(inner) => Json::object(),
            Some(ours) => union(ours, inner),
            None => inner.clone(),
        };
        out.set(&[key], merged);
    }
    out
}

/// Whether a set has no field.
pub(super) fn is_empty(fields: &Json) -> bool {
    is_leaf(fields)
}
