//! The healthy workflows: what is measured is how long all of them take.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use argosy_api::labels;
use argosy_objects::api;
use futures::StreamExt as _;
use kube::{
    api::{Api, DynamicObject, ListParams, PartialObjectMeta},
    runtime::watcher::{self, Event, watcher},
};
use serde_json::{Value, json};

use super::system::System;

/// Where they are.
const NAMESPACE: &str = "argo";
/// How many of them run at a time.
pub const COUNT: usize = 50;
/// Steps of each, one after another.
pub const STEPS: usize = 10;
/// How long they may take before they count as stalled.
const ENDS_WITHIN: Duration = Duration::from_secs(90);

/// Runs `count` of them, named for `name`, and tells how long it took from the first submission to the last end.
///
/// Errors: one that has not succeeded.
pub async fn run(system: &System, name: &str, count: usize) -> Result<Duration> {
    let mut waiting: BTreeSet<String> = (0..count).map(|i| format!("{name}-{i}")).collect();
    let names = waiting.clone();
    let started = Instant::now();
    let submitted = async {
        for name in &names {
            system.submit(NAMESPACE, name, spec()).await?;
        }
        Ok(())
    };
    let ended = async {
        match tokio::time::timeout(ENDS_WITHIN, ends(system, &mut waiting)).await {
            Ok(result) => result,
            Err(_) => bail!("after {} s these healthy workflows have not ended: {waiting:?}", ENDS_WITHIN.as_secs()),
        }
    };
    tokio::try_join!(submitted, ended)?;
    let took = started.elapsed();
    have_succeeded(system, &names).await?;
    Ok(took)
}

fn spec() -> Value {
    let groups: Vec<Value> = (0..STEPS).map(|i| json!([{"name": format!("s{i}"), "template": "work"}])).collect();
    json!({"entrypoint": "main", "templates": [
        {"name": "main", "steps": groups},
        {"name": "work", "container": {"image": "bench", "command": ["true"]}},
    ]})
}

/// Waits until each of `waiting` has ended.
async fn ends(system: &System, waiting: &mut BTreeSet<String>) -> Result<()> {
    let kind = api::argo_kind("Workflow");
    let workflows: Api<PartialObjectMeta<DynamicObject>> =
        Api::namespaced_with(system.server.client(NAMESPACE), NAMESPACE, &kind);
    let selector = format!("{}=true", labels::COMPLETED);
    let mut events = std::pin::pin!(watcher(workflows, watcher::Config::default().labels(&selector)));
    while !waiting.is_empty() {
        match events.next().await.context("the watch of the workflows ended")?.context("watch the workflows")? {
            Event::Apply(object) | Event::InitApply(object) => {
                _ = waiting.remove(&object.metadata.name.unwrap_or_default());
            }
            Event::Init | Event::InitDone | Event::Delete(_) => {}
        }
    }
    Ok(())
}

async fn have_succeeded(system: &System, names: &BTreeSet<String>) -> Result<()> {
    let all = system.workflows(NAMESPACE).list(&ListParams::default()).await.context("list the healthy workflows")?;
    let phase =
        |object: &DynamicObject| object.data.pointer("/status/phase").and_then(Value::as_str) == Some("Succeeded");
    let succeeded: BTreeSet<String> = all.into_iter().filter(phase).filter_map(|object| object.metadata.name).collect();
    let others: Vec<&String> = names.difference(&succeeded).collect();
    ensure!(others.is_empty(), "these healthy workflows have not succeeded: {others:?}");
    Ok(())
}
