//! Kubernetes' strategic merge patch over JSON values.
//!
//! Maps are merged member by member and `null` removes one; a list is replaced unless its field has a merge key, in
//! which case its elements are matched by that key. The directives `$patch`, `$retainKeys`,
//! `$deleteFromPrimitiveList/…` and `$setElementOrder/…` are understood.
//! Source: Kubernetes "Update API Objects in Place Using kubectl patch"; keys from the published OpenAPI documents.

use serde_json::{Map, Value};

/// Which fields have merge keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// A PodSpec.
    Pod,
    /// A Workflow, a WorkflowSpec or a Template.
    Workflow,
}

impl Schema {
    /// The member by which elements of the list `field` are matched; `None` when such a list is replaced whole.
    fn merge_key(self, field: &str) -> Option<&'static str> {
        let key = match field {
            "env" | "initContainers" | "volumes" | "imagePullSecrets" => "name",
            "volumeMounts" => "mountPath",
            "volumeDevices" => "devicePath",
            "ports" => "containerPort",
            "hostAliases" => "ip",
            "ownerReferences" => "uid",
            _ => match (self, field) {
                (Self::Pod, "containers" | "ephemeralContainers" | "resourceClaims" | "schedulingGates") => "name",
                (Self::Pod, "topologySpreadConstraints") => "topologyKey",
                (Self::Workflow, "templates" | "parameters" | "artifacts" | "tasks" | "sidecars") => "name",
                (Self::Workflow, "tolerations") => "key",
                _ => return None,
            },
        };
        Some(key)
    }

    /// True for lists of texts that are joined rather than replaced.
    fn joins_texts(field: &str) -> bool {
        field == "finalizers"
    }
}

/// Applies `patch` to `target`. What the patch names wins; `null` removes.
pub fn merge(target: &mut Value, patch: Value, schema: Schema) {
    merge_member(target, patch, schema, "");
}

/// Applies `patch`, the value of member `field`, to `target`.
fn merge_member(target: &mut Value, patch: Value, schema: Schema, field: &str) {
    match patch {
        Value::Object(patch) => match target {
            Value::Object(map) => merge_map(map, patch, schema),
            _ => {
                let mut map = Map::new();
                merge_map(&mut map, patch, schema);
                *target = Value::Object(map);
            }
        },
        Value::Array(patch) => {
            let mergeable = Schema::joins_texts(field) || schema.merge_key(field).is_some();
            match (schema.merge_key(field), target) {
                (Some(key), Value::Array(items)) if patch.iter().all(Value::is_object) => {
                    merge_list(items, patch, key, schema);
                }
                (None, Value::Array(items)) if mergeable => {
                    for text in patch {
                        if !items.contains(&text) {
                            items.push(text);
                        }
                    }
                }
                (_, target) => {
                    *target = Value::Array(patch.into_iter().filter(|item| directive(item).is_none()).collect())
                }
            }
        }
        scalar => *target = scalar,
    }
}

fn merge_map(target: &mut Map<String, Value>, mut patch: Map<String, Value>, schema: Schema) {
    match patch.remove("$patch").as_ref().and_then(Value::as_str) {
        Some("replace") => target.clear(),
        Some("delete") => {
            target.clear();
            return;
        }
        _ => {}
    }
    if let Some(Value::Array(keep)) = patch.remove("$retainKeys") {
        target.retain(|name, _| keep.iter().any(|k| k == name));
    }
    let mut orders = Vec::new();
    for (name, value) in patch {
        if let Some(field) = name.strip_prefix("$setElementOrder/") {
            orders.push((field.to_owned(), value));
        } else if let Some(field) = name.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Value::Array(items)), Value::Array(gone)) = (target.get_mut(field), value) {
                items.retain(|item| !gone.contains(item));
            }
        } else if value.is_null() {
            target.remove(&name);
        } else {
            // An absent member is merged too, so that directives inside the patch do not end up in the result.
            let entry = target.entry(name.clone()).or_insert(Value::Null);
            merge_member(entry, value, schema, &name);
        }
    }
    for (field, order) in orders {
        if let (Some(Value::Array(items)), Value::Array(order)) = (target.get_mut(&field), order) {
            set_order(items, &order, schema.merge_key(&field));
        }
    }
}

/// The text of `$patch` in a list element.
fn directive(item: &Value) -> Option<&str> {
    item.get("$patch")?.as_str()
}

/// Merges lists of objects matched by member `key`.
///
/// Order: elements that the patch does not name keep theirs, and so do elements both lists name among themselves as
/// the patch has them; an element new to the target comes before the next untouched one.
fn merge_list(items: &mut Vec<Value>, mut patch: Vec<Value>, key: &str, schema: Schema) {
    let replaces = patch.iter().any(|item| directive(item) == Some("replace"));
    if replaces {
        patch.retain(|item| directive(item).is_none());
        *items = patch;
        return;
    }
    let before: Vec<Value> = items.iter().filter_map(|item| item.get(key).cloned()).collect();
    let position = |item: &Value| item.get(key).and_then(|id| before.iter().position(|b| b == id));

    let mut named = Vec::with_capacity(patch.len());
    for item in patch {
        let id = item.get(key).cloned();
        let found = items.iter().position(|i| id.is_some() && i.get(key) == id.as_ref());
        if directive(&item) == Some("delete") {
            if let Some(at) = found {
                items.remove(at);
            }
            continue;
        }
        let mut merged = found.map_or(Value::Null, |at| items.remove(at));
        merge_member(&mut merged, item, schema, "");
        match named.iter_mut().find(|n: &&mut Value| id.is_some() && n.get(key) == id.as_ref()) {
            Some(earlier) => *earlier = merged,
            None => named.push(merged),
        }
    }

    let mut untouched = std::mem::take(items).into_iter().peekable();
    for item in named {
        if let Some(at) = position(&item) {
            while let Some(other) = untouched.next_if(|o| position(o).is_some_and(|p| p < at)) {
                items.push(other);
            }
        }
        items.push(item);
    }
    items.extend(untouched);
}

/// Sorts `items` as `order` names them; what it does not name comes last.
fn set_order(items: &mut [Value], order: &[Value], key: Option<&str>) {
    let rank = |item: &Value| match key {
        Some(key) => order.iter().position(|o| o.get(key) == item.get(key)),
        None => order.iter().position(|o| o == item),
    };
    items.sort_by_key(|item| rank(item).unwrap_or(usize::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merged(mut target: Value, patch: Value, schema: Schema) -> Value {
        merge(&mut target, patch, schema);
        target
    }

    #[test]
    fn elements_are_matched_by_name_and_null_removes() {
        let result = merged(
            json!({"containers": [{"name": "wait", "image": "w"}, {"name": "main", "image": "m", "tty": true}]}),
            json!({"containers": [{"name": "main", "tty": null, "resources": {"limits": {"cpu": 1}}}], "tolerations": []}),
            Schema::Pod,
        );
        let expected = json!({
            "containers": [{"name": "wait", "image": "w"}, {"name": "main", "image": "m", "resources": {"limits": {"cpu": 1}}}],
            "tolerations": [],
        });
        assert_eq!(result, expected);
    }

    #[test]
    fn new_elements_come_before_untouched_ones() {
        let result = merged(
            json!({"templates": [{"name": "a"}, {"name": "b"}]}),
            json!({"templates": [{"name": "c"}, {"name": "b", "x": 1}]}),
            Schema::Workflow,
        );
        assert_eq!(result, json!({"templates": [{"name": "c"}, {"name": "a"}, {"name": "b", "x": 1}]}));
    }

    #[test]
    fn directives_delete_replace_retain_and_order() {
        let target =
            json!({"env": [{"name": "A"}, {"name": "B"}], "strategy": {"a": 1, "b": 2}, "finalizers": ["x", "y"]});
        let patch = json!({
            "env": [{"name": "A", "$patch": "delete"}, {"name": "C"}],
            "$setElementOrder/env": [{"name": "B"}, {"name": "C"}],
            "strategy": {"$retainKeys": ["b"]},
            "$deleteFromPrimitiveList/finalizers": ["x"],
        });
        let expected = json!({"env": [{"name": "B"}, {"name": "C"}], "strategy": {"b": 2}, "finalizers": ["y"]});
        assert_eq!(merged(target, patch, Schema::Pod), expected);
        let replaced = merged(
            json!({"env": [{"name": "A"}]}),
            json!({"env": [{"$patch": "replace"}, {"name": "Z"}]}),
            Schema::Pod,
        );
        assert_eq!(replaced, json!({"env": [{"name": "Z"}]}));
    }

    #[test]
    fn resource_claims_merge_in_a_pod_but_not_in_a_workflow() {
        let (a, b) = (json!({"resourceClaims": [{"name": "a"}]}), json!({"resourceClaims": [{"name": "b"}]}));
        assert_eq!(merged(a.clone(), b.clone(), Schema::Workflow), b);
        assert_eq!(merged(a, b, Schema::Pod)["resourceClaims"].as_array().map(Vec::len), Some(2));
    }
}
