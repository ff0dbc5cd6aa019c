//! What a case of `operate.json` expects to be true.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::operate::World;

/// Checks the expectations against the workflow `target`, or the case's first.
pub(crate) fn check(world: &World, target: Option<&str>, expect: &Value) -> Result<()> {
    let run = world.run(target)?;
    let object = serde_json::to_value(run.object())?;
    let nodes = object["status"]["nodes"].as_object().cloned().unwrap_or_default();
    let by_name = |name: &str| nodes.values().find(|n| n["name"] == name);
    if let Some(phase) = expect.get("workflowPhase") {
        let actual = object["status"].get("phase").cloned().unwrap_or_else(|| Value::String(String::new()));
        ensure!(actual == *phase, "phase {actual}, not {phase} ({})", object["status"]["message"]);
    }
    if let Some(message) = expect.get("message") {
        ensure!(object["status"]["message"] == *message, "message {}, not {message}", object["status"]["message"]);
    }
    if let Some(count) = expect.get("nodeCount").and_then(Value::as_u64) {
        ensure!(
            nodes.len() as u64 == count,
            "{} nodes, not {count}: {:?}",
            nodes.len(),
            nodes.values().map(|n| &n["name"]).collect::<Vec<_>>()
        );
    }
    if let Some(count) = expect.get("podCount").and_then(Value::as_u64) {
        ensure!(run.pods.len() as u64 == count, "{} pods, not {count}", run.pods.len());
    }
    for (name, wanted) in expect.get("nodes").and_then(Value::as_object).into_iter().flatten() {
        let node = by_name(name).with_context(|| format!("no node {name}"))?;
        for (key, value) in wanted.as_object().into_iter().flatten() {
            ensure!(
                node.get(key) == Some(value),
                "node {name}: {key} {:?}, not {value} ({})",
                node.get(key),
                node["message"]
            );
        }
    }
    for name in expect.get("absentNodes").and_then(Value::as_array).into_iter().flatten() {
        ensure!(by_name(name.as_str().unwrap_or_default()).is_none(), "node {name} should not be");
    }
    for (name, wanted) in expect.get("others").and_then(Value::as_object).into_iter().flatten() {
        check(world, Some(name), wanted).with_context(|| format!("workflow {name}"))?;
    }
    for fact in expect.get("facts").and_then(Value::as_array).into_iter().flatten() {
        check_fact(world, target, fact).with_context(|| fact.to_string())?;
    }
    Ok(())
}

fn check_fact(world: &World, target: Option<&str>, fact: &Value) -> Result<()> {
    let run = world.run(fact["workflow"].as_str().or(target))?;
    let object = serde_json::to_value(run.object())?;
    let node_name = fact["node"].as_str();
    let subject = match fact["on"].as_str().unwrap_or_default() {
        "workflow" => Some(object),
        "node" => object["status"]["nodes"].as_object().and_then(|nodes| {
            nodes
                .values()
                .find(|n| {
                    n["name"].as_str() == node_name
                        || n["displayName"].as_str() == node_name
                        || n["id"].as_str() == node_name
                })
                .cloned()
        }),
        "pod" => match node_name {
            Some(name) => run.pods.get(name).cloned(),
            None => run.pods.values().next().cloned(),
        },
        "pods" => Some(Value::Array(run.pods.values().cloned().collect())),
        other => bail!("facts about {other} are unknown"),
    };
    let value = match fact["path"].as_str() {
        Some(path) => subject.as_ref().and_then(|s| at(s, path)),
        None => subject,
    };
    verdict(fact, value.as_ref())
}

fn verdict(fact: &Value, value: Option<&Value>) -> Result<()> {
    let empty = value.is_none_or(|v| match v {
        Value::Null => true,
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    });
    let yes = |key: &str| fact.get(key).and_then(Value::as_bool) == Some(true);
    if yes("present") {
        ensure!(value.is_some_and(|v| !v.is_null()), "absent");
    }
    if yes("absent") {
        ensure!(value.is_none_or(Value::is_null), "present: {value:?}");
    }
    if yes("notEmpty") {
        ensure!(!empty, "empty");
    }
    if yes("empty") {
        ensure!(empty, "not empty: {value:?}");
    }
    if let Some(wanted) = fact.get("equals") {
        ensure!(value == Some(wanted) || value.is_none() && (wanted.is_null() || wanted == ""), "is {value:?}");
    }
    if let Some(unwanted) = fact.get("notEquals") {
        ensure!(value != Some(unwanted), "is {value:?}");
    }
    if let Some(len) = fact.get("len").and_then(Value::as_u64) {
        let actual = value
            .map_or(0, |v| v.as_array().map(Vec::len).or_else(|| v.as_object().map(serde_json::Map::len)).unwrap_or(0));
        ensure!(actual as u64 == len, "length {actual}");
    }
    if let Some(part) = fact.get("contains").and_then(Value::as_str) {
        let text = value.map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).unwrap_or_default();
        ensure!(text.contains(part), "is {text}");
    }
    Ok(())
}

/// `a.b[0]["c.d"]` in a value.
fn at(value: &Value, path: &str) -> Option<Value> {
    let mut here = value;
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix("[\"") {
            let (key, tail) = tail.split_once("\"]")?;
            here = here.get(key)?;
            rest = tail;
        } else if let Some(tail) = rest.strip_prefix('[') {
            let (index, tail) = tail.split_once(']')?;
            here = here.get(index.parse::<usize>().ok()?)?;
            rest = tail;
        } else {
            let tail = rest.strip_prefix('.').unwrap_or(rest);
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            here = here.get(&tail[..end])?;
            rest = &tail[end..];
        }
    }
    Some(here.clone())
}
