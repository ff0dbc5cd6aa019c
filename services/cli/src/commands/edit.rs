//! Changes of a workflow object that others change at the same time.

use argosy_api::v1alpha1::Workflow;
use kube::{
    Client,
    api::{Patch, PatchParams},
};
use serde_json::{Map, Value, json};

use crate::{failure::Failure, objects};

/// How often a change is tried when another writer was faster.
const TRIES: usize = 10;

/// Reads the workflow `name`, lets `change` work on it, and writes the difference, unless the object changed meanwhile:
/// then all of it again.
///
/// Errors: those of `change`; no such workflow; always another writer.
pub async fn edit<T, E: std::error::Error + Send + Sync + 'static>(
    client: &Client,
    namespace: &str,
    name: &str,
    change: impl Fn(&mut Workflow) -> Result<T, E>,
) -> Result<T, Failure> {
    let api = objects::workflows(client, namespace);
    for _ in 0..TRIES {
        let object = objects::get(client, namespace, name).await?;
        let before = objects::readable(&object)?;
        let mut after = before.clone();
        let result = change(&mut after).map_err(anyhow::Error::from)?;
        let json = |workflow: &Workflow| serde_json::to_value(workflow).map_err(anyhow::Error::from);
        let Some(mut patch) = difference(&json(&before)?, &json(&after)?) else {
            return Ok(result);
        };
        patch["metadata"]["resourceVersion"] = json!(object.metadata.resource_version);
        let name = object.metadata.name.unwrap_or_default();
        match api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(_) => return Ok(result),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::Other(anyhow::anyhow!("{name} changes all the time: tried {TRIES} times")))
}

/// The merge patch that makes `after` of `before`; `None` when they are equal.
fn difference(before: &Value, after: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return (before != after).then(|| after.clone());
    };
    let mut patch = Map::new();
    for (name, value) in new {
        let changed = match old.get(name) {
            Some(previous) => difference(previous, value),
            None => Some(value.clone()),
        };
        patch.extend(changed.map(|value| (name.clone(), value)));
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_differences_are_written() {
        let before = json!({"a": 1, "b": {"c": [1], "d": 2}, "e": 3});
        let after = json!({"a": 1, "b": {"c": [1, 2], "d": 2}, "f": {"g": 1}});
        assert_eq!(difference(&before, &after), Some(json!({"b": {"c": [1, 2]}, "e": null, "f": {"g": 1}})));
        assert_eq!(difference(&before, &before), None);
    }
}
