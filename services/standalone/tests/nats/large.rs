//! A workflow that is larger than a message of the server may be, and what somebody does to it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use argosy_objects::compressed;
use kube::Api;
use kube::api::{DynamicObject, PostParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};

use crate::{Server, start, workflows};

const PODS: usize = 24;
const TEXT_BYTES: usize = 50_000;
/// What a server takes that was not told otherwise.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Many pods with a long input, then somebody has to say that it may go on.
fn large() -> Result<DynamicObject> {
    let text = json!([{"name": "text", "value": "{{workflow.parameters.text}} {{item}}"}]);
    let many = json!({"name": "many", "template": "work", "arguments": {"parameters": text},
        "withSequence": {"count": PODS.to_string()}});
    Ok(serde_json::from_value(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "large", "namespace": "argo"},
        "spec": {"entrypoint": "main",
            "arguments": {"parameters": [{"name": "text", "value": "x".repeat(TEXT_BYTES)}]},
            "templates": [
                {"name": "main", "steps": [[many], [{"name": "wait", "template": "wait"}]]},
                {"name": "wait", "suspend": {}},
                {"name": "work", "inputs": {"parameters": [{"name": "text"}]},
                    "container": {"image": "busybox", "command": ["true"]}},
        ]},
    }))?)
}

/// The nodes, which are compressed by then, and the id of the one that waits; `None` while there is none.
fn waiting(object: &DynamicObject) -> Option<(Value, String)> {
    let text = object.data.pointer("/status/compressedNodes")?.as_str()?;
    let nodes: Value = serde_json::from_slice(&compressed::decode(text).ok()?).ok()?;
    let mut all = nodes.as_object()?.iter();
    let (id, _) = all.find(|(_, node)| node["type"] == "Suspend" && node["phase"] == "Running")?;
    let id = id.clone();
    Some((nodes, id))
}

/// As `argo resume` does it.
async fn resume(api: &Api<DynamicObject>) -> Result<()> {
    loop {
        let mut object = api.get("large").await?;
        let (mut nodes, id) = waiting(&object).context("nothing waits")?;
        (nodes[&id]["phase"], nodes[&id]["finishedAt"]) = (json!("Succeeded"), json!("2026-01-01T00:00:00Z"));
        let nodes = nodes.to_string();
        ensure!(nodes.len() > MESSAGE_BYTES_MAX, "{} bytes are not much", nodes.len());
        object.data["status"]["compressedNodes"] = json!(compressed::encode(nodes.as_bytes())?);
        match api.replace("large", &PostParams::default(), &object).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            replaced => return Ok(replaced.map(drop)?),
        }
    }
}

pub async fn a_large_workflow_is_resumed(binary: &Path) -> Result<()> {
    let server = Server::start(binary)?;
    let system = start(&server.url()).await?;
    let api = workflows(system.client("argo"));
    api.create(&PostParams::default(), &large()?).await?;
    let waits = |object: Option<&DynamicObject>| object.and_then(waiting).is_some();
    let ended = |object: Option<&DynamicObject>| {
        object.and_then(|object| object.data.pointer("/status/phase")).is_some_and(|phase| phase != "Running")
    };
    let long = Duration::from_secs(240);
    tokio::time::timeout(long, await_condition(api.clone(), "large", waits)).await.context("it does not wait")??;
    resume(&api).await?;
    tokio::time::timeout(long, await_condition(api.clone(), "large", ended)).await.context("it did not end")??;
    let object = api.get("large").await?;
    ensure!(object.data["status"]["phase"] == "Succeeded", "{}", object.data["status"]["message"]);
    system.shutdown().await?;
    println!("a workflow larger than a message went on when it was resumed");
    Ok(())
}
