//! Strategic merge patch for the built-in kinds: merge patch, with lists of named things merged by key.

use std::sync::Arc;

use crate::json::Json;

/// The member that identifies the items of a list, by the list's own name and, where names are used
/// for several things, the name of what holds it.
/// Source: `patchMergeKey` in the Kubernetes API types of core/v1, apps/v1 and meta/v1.
fn merge_key(parent: &str, list: &str) -> Option<&'static str> {
    Some(match list {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "resourceClaims" => "name",
        "volumeMounts" => "mountPath",
        "volumeDevices" => "devicePath",
        "ports" if parent == "spec" => "port",
        "ports" => "containerPort",
        "conditions" if parent == "status" => "type",
        "hostAliases" => "ip",
        "podIPs" | "hostIPs" => "ip",
        "ownerReferences" => "uid",
        "topologySpreadConstraints" => "topologyKey",
        "addresses" if parent == "status" => "type",
        "taints" => "key",
        "secrets" => "name",
        _ => return None,
    })
}

/// Lists of plain values that a patch adds to instead of replacing them.
fn merges_values(list: &str) -> bool {
    list == "finalizers"
}

/// `base` with `patch` merged in.
pub(super) fn merged(base: &Json, patch: &Json) -> Json {
    merge_object(base, patch, "")
}

fn merge_object(base: &Json, patch: &Json, name: &str) -> Json {
    let Some(changes) = patch.as_map() else {
        return patch.clone();
    };
    let mut out = match (patch.str_at(&["$patch"]), base) {
        (Some("replace"), _) | (_, Json::Null) => Json::object(),
        (_, Json::Object(_)) => base.clone(),
        _ => Json::object(),
    };
    if let Some(kept) = changes.get("$retainKeys").and_then(Json::as_array) {
        let old: Vec<String> = out.map_mut().keys().map(str::to_owned).collect();
        for key in old {
            if !kept.iter().any(|k| k.as_str() == Some(&key)) {
                out.map_mut().remove(&key);
            }
        }
    }
    for (key, change) in changes.iter() {
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            delete_values(&mut out, list, change);
            continue;
        }
        if key.starts_with('$') {
            continue;
        }
        let map = out.map_mut();
        let old = map.get(key).unwrap_or(&Json::Null);
        let value = match change {
            Json::Null => {
                map.remove(key);
                continue;
            }
            Json::Object(_) if change.str_at(&["$patch"]) == Some("delete") => {
                map.remove(key);
                continue;
            }
            Json::Object(_) => merge_object(old, change, key),
            Json::Array(items) => {
                let order = changes.get(&format!("$setElementOrder/{key}")).and_then(Json::as_array);
                merge_list(old, items, name, key, order)
            }
            plain => plain.clone(),
        };
        if map.get(key) != Some(&value) {
            map.insert(key, value);
        }
    }
    out
}

fn delete_values(out: &mut Json, list: &str, gone: &Json) {
    let gone = gone.as_array().unwrap_or(&[]);
    let Some(old) = out.get(list).and_then(Json::as_array) else {
        return;
    };
    let left = old.iter().filter(|v| !gone.contains(v)).cloned().collect();
    out.set(&[list], Json::Array(Arc::new(left)));
}

fn merge_list(old: &Json, items: &[Json], parent: &str, name: &str, order: Option<&[Json]>) -> Json {
    let old = old.as_array().unwrap_or(&[]);
    if merges_values(name) {
        let mut all = old.to_vec();
        all.extend(items.iter().filter(|i| !old.contains(i)).cloned());
        return Json::Array(Arc::new(all));
    }
    let Some(key) = merge_key(parent, name) else {
        return Json::Array(Arc::new(items.to_vec()));
    };
    let replace = items.iter().any(|i| i.str_at(&["$patch"]) == Some("replace"));
    let mut all: Vec<Json> = if replace { Vec::new() } else { old.to_vec() };
    for item in items {
        let directive = item.str_at(&["$patch"]);
        if directive == Some("replace") {
            continue;
        }
        let place = all.iter().position(|o| item.get(key).is_some() && o.get(key) == item.get(key));
        match (directive, place) {
            (Some("delete"), Some(place)) => {
                all.remove(place);
            }
            (Some("delete"), None) => {}
            (_, Some(place)) => all[place] = merge_object(&all[place], item, name),
            (_, None) => all.push(merge_object(&Json::Null, item, name)),
        }
    }
    if let Some(order) = order {
        all.sort_by_key(|item| order.iter().position(|o| o.get(key) == item.get(key)).unwrap_or(usize::MAX));
    }
    Json::Array(Arc::new(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_of_named_things_merge_by_key() {
        let base = json!({"spec": {"containers": [
            {"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}], "args": ["p"]},
            {"name": "b", "image": "2"}]},
            "metadata": {"finalizers": ["f"], "labels": {"k": "v"}}});
        for (patch, path, want) in [
            (
                json!({"spec": {"containers": [{"name": "a", "args": ["q"],
                    "env": [{"name": "Y", "value": "2"}]}]}}),
                "/spec/containers/0",
                json!({"name": "a", "image": "1", "args": ["q"],
                    "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}),
            ),
            (
                json!({"spec": {"containers": [{"name": "a", "$patch": "delete"}]}}),
                "/spec/containers",
                json!([{"name": "b", "image": "2"}]),
            ),
            (
                json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "c"}]}}),
                "/spec/containers",
                json!([{"name": "c"}]),
            ),
            (
                json!({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
                    "containers": [{"name": "b", "image": "3"}]}}),
                "/spec/containers/0",
                json!({"name": "b", "image": "3"}),
            ),
            (
                json!({"metadata": {"finalizers": ["g"], "labels": {"k": null}}}),
                "/metadata",
                json!({"finalizers": ["f", "g"], "labels": {}}),
            ),
            (json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["f"]}}), "/metadata/finalizers", json!([])),
            (json!({"metadata": {"labels": {"$patch": "replace", "n": "1"}}}), "/metadata/labels", json!({"n": "1"})),
        ] {
            let out = merged(&base.clone().into(), &patch.clone().into()).to_value();
            assert_eq!(out.pointer(path), Some(&want), "{patch}");
        }
    }
}
