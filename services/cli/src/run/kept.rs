//! Workflows that a data directory has from earlier runs.

use std::path::Path;

use argosy_api::{labels, v1alpha1 as v1};
use argosy_client::{Error, objects};
use kube::{
    Client,
    api::{DynamicObject, ListParams},
};
use serde_json::Value;

use crate::{channel::say, failure::Failure, terminal};

/// Fields of a spec that people set while a workflow runs.
const SET_LATER: [&str; 2] = ["shutdown", "suspend"];

/// Those that have not ended.
pub fn unfinished() -> ListParams {
    ListParams::default().labels(&format!("{}!=true", labels::COMPLETED))
}

/// Creates `value`, or takes up the workflow of its name in `data_dir` that an earlier run has left unfinished.
///
/// Errors: that one has ended, or is another workflow.
pub async fn create(
    client: &Client,
    namespace: &str,
    value: Value,
    data_dir: Option<&Path>,
) -> Result<DynamicObject, Failure> {
    let name = value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let namespace = value.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or(namespace).to_owned();
    let spec = value.get("spec").cloned().unwrap_or_default();
    let error = match objects::create(client, &namespace, "Workflow", value, false).await {
        Err(Error::Api(kube::Error::Api(status))) if status.code == 409 => Error::Api(kube::Error::Api(status)),
        other => return Ok(other?),
    };
    let Some(dir) = data_dir else { return Err(error.into()) };
    let there = objects::get(client, &namespace, &name).await?;
    let (name, dir) = (terminal::word(&name), terminal::word(&dir.to_string_lossy()));
    let phase = there.data.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default();
    if phase.parse::<v1::WorkflowPhase>().is_ok_and(v1::WorkflowPhase::is_completed) {
        return Err(Failure::Usage(format!(
            "{name} ran in {dir} before, and is {phase}; choose another name with --name, or another --data-dir (`argosy dev --data-dir {dir}` and `argosy get {name}` show it, `argosy delete {name}` removes it)"
        )));
    }
    if settled(there.data.get("spec")) != settled(Some(&spec)) {
        return Err(Failure::Usage(format!(
            "{name} of an earlier run is in {dir}, has not ended, and is another workflow than the file's; let it end with `argosy dev --data-dir {dir}`, or choose another name with --name, or another --data-dir"
        )));
    }
    say!("note: {name} goes on where an earlier run has left it in {dir}");
    Ok(there)
}

/// Says of unfinished workflows other than `meant` that they go on as well.
pub async fn tell_others(client: &Client, meant: &[DynamicObject]) -> Result<(), Failure> {
    let all = objects::api(client, "Workflow", None).list(&unfinished()).await?;
    let is_meant = |one: &DynamicObject| meant.iter().any(|other| other.metadata.uid == one.metadata.uid);
    let names: Vec<_> =
        all.items.iter().filter(|one| !is_meant(one)).filter_map(|one| one.metadata.name.as_deref()).collect();
    if let [first, others @ ..] = names.as_slice() {
        let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
        say!("note: {}{more} of an earlier run goes on as well, until this run ends", terminal::word(first));
    }
    Ok(())
}

/// A spec as it was created, for comparison.
fn settled(spec: Option<&Value>) -> Value {
    let mut spec = v1::without_nulls(spec.cloned().unwrap_or_default());
    if let Some(members) = spec.as_object_mut() {
        members.retain(|key, _| !SET_LATER.contains(&key.as_str()));
    }
    spec
}
