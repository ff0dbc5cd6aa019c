//! Compares a Workflow object with a recorded one, by the rules of the recordings' own `compare.py`, which is the judge.
//!
//! Compared, for the workflow: phase, message, progress, outputs, condition Completed. For every node, by name: its
//! identity, phase, message, relations, inputs, outputs and flags. Not compared: times, hosts, addresses, resource
//! durations, where artifacts lie, the order of children (but of a Retry's), anything under spec.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::Regex;
use serde_json::{Map, Value, json};

/// One member that is not the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Name of the node; empty for the workflow itself.
    pub node: String,
    pub field: String,
    pub argo: Value,
    pub actual: Value,
}

impl Difference {
    fn new(node: &str, field: &str, argo: Value, actual: Value) -> Self {
        Self { node: node.to_owned(), field: field.to_owned(), argo, actual }
    }

    /// `node field argo | actual`, cut to fit a line.
    pub fn short(&self) -> String {
        let node = self.node.rsplit('.').next().unwrap_or_default();
        format!("{node} {} {} | {}", self.field, cut(&self.argo), cut(&self.actual))
    }
}

const SHORT_CHARS_MAX: usize = 60;

fn cut(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.chars().take(SHORT_CHARS_MAX).collect()
}

/// A case that gave no object to compare.
pub fn no_result(why: &str) -> Difference {
    Difference::new("", "run", json!("ran"), json!(why))
}

/// All differences, by node name and field; empty when the objects agree.
pub fn diff(golden: &Value, actual: &Value) -> Vec<Difference> {
    let (golden, actual) = match (normal(golden), normal(actual)) {
        (Ok(golden), Ok(actual)) => (golden, actual),
        (Err(why), _) | (_, Err(why)) => {
            return vec![Difference::new("", "run", json!("readable"), json!(why))];
        }
    };
    let mut names: Vec<&String> = golden.keys().chain(actual.keys()).collect();
    names.sort();
    names.dedup();
    let mut found = Vec::new();
    for name in names {
        match (golden.get(name), actual.get(name)) {
            (Some(_), None) => found.push(Difference::new(name, "node", json!("present"), json!("missing"))),
            (None, Some(extra)) => {
                let text = |k: &str| extra.get(k).and_then(Value::as_str).unwrap_or("None").to_owned();
                let what = format!("extra {} {}", text("type"), text("phase"));
                found.push(Difference::new(name, "node", json!("absent"), json!(what)));
            }
            (Some(golden), Some(actual)) => fields(name, golden, actual, &mut found),
            (None, None) => {}
        }
    }
    found
}

fn fields(name: &str, golden: &Map<String, Value>, actual: &Map<String, Value>, found: &mut Vec<Difference>) {
    let mut keys: Vec<&String> = golden.keys().chain(actual.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let get = |m: &Map<String, Value>| m.get(key).cloned().unwrap_or_default();
        let (golden, actual) = (get(golden), get(actual));
        if !same(&golden, &actual) {
            found.push(Difference::new(name, key, golden, actual));
        }
    }
}

type Normal = BTreeMap<String, Map<String, Value>>;

/// What of an object is compared. Errors: a text that says which member it lacks.
fn normal(workflow: &Value) -> Result<Normal, String> {
    let status = &workflow["status"];
    let empty = Map::new();
    let nodes = status["nodes"].as_object().unwrap_or(&empty);
    let mut out = Normal::new();
    out.insert(String::new(), whole(status)?);
    let name_of = |id: &Value| -> Result<Value, String> {
        let id = id.as_str().ok_or("an id is no text")?;
        Ok(match nodes.get(id) {
            Some(node) => Value::String(member(node, "name")?),
            None => Value::String(format!("?{id}")),
        })
    };
    for node in nodes.values() {
        let mut d = Map::new();
        for key in ["id", "displayName", "type", "phase", "templateName", "templateScope", "progress"] {
            d.insert(key.to_owned(), node[key].clone());
        }
        d.insert("message".to_owned(), text(&node["message"]));
        d.insert("templateRef".to_owned(), node["templateRef"].clone());
        if node["boundaryID"].as_str().is_some_and(|b| !b.is_empty()) {
            d.insert("boundary".to_owned(), name_of(&node["boundaryID"])?);
        }
        let names = |ids: &Value, in_order: bool| -> Result<Value, String> {
            let mut names = list(ids).iter().map(&name_of).collect::<Result<Vec<_>, _>>()?;
            if !in_order {
                names.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
            }
            Ok(Value::Array(names))
        };
        d.insert("children".to_owned(), names(&node["children"], node["type"] == "Retry")?);
        d.insert("outboundNodes".to_owned(), names(&node["outboundNodes"], false)?);
        d.insert("inputs".to_owned(), io(&node["inputs"], false)?);
        d.insert("outputs".to_owned(), io(&node["outputs"], true)?);
        let mut flag = node["nodeFlag"].as_object().cloned().unwrap_or_default();
        flag.retain(|_, v| !is_blank(v));
        d.insert("nodeFlag".to_owned(), Value::Object(flag));
        d.insert("daemoned".to_owned(), json!(!is_blank(&node["daemoned"])));
        d.insert("memoHit".to_owned(), json!(!is_blank(&node["memoizationStatus"]["hit"])));
        d.retain(|_, v| !is_blank(v));
        out.insert(member(node, "name")?, d);
    }
    Ok(out)
}

fn whole(status: &Value) -> Result<Map<String, Value>, String> {
    let completed = list(&status["conditions"]).iter().any(|c| c["type"] == "Completed" && c["status"] == "True");
    let mut d = Map::new();
    d.insert("phase".to_owned(), status["phase"].clone());
    d.insert("message".to_owned(), text(&status["message"]));
    d.insert("progress".to_owned(), status["progress"].clone());
    d.insert("outputs".to_owned(), io(&status["outputs"], true)?);
    d.insert("completed".to_owned(), json!(completed));
    Ok(d)
}

fn io(io: &Value, is_output: bool) -> Result<Value, String> {
    let mut out = Map::new();
    let mut parameters = Map::new();
    for parameter in list(&io["parameters"]) {
        parameters.insert(member(parameter, "name")?, parameter["value"].clone());
    }
    if !parameters.is_empty() {
        out.insert("parameters".to_owned(), Value::Object(parameters));
    }
    let mut artifacts = list(&io["artifacts"]).iter().map(|a| member(a, "name")).collect::<Result<Vec<_>, _>>()?;
    artifacts.retain(|name| !name.ends_with("-logs"));
    artifacts.sort();
    if !artifacts.is_empty() {
        out.insert("artifacts".to_owned(), json!(artifacts));
    }
    for key in ["result", "exitCode"] {
        if is_output && !io[key].is_null() {
            out.insert(key.to_owned(), io[key].clone());
        }
    }
    Ok(Value::Object(out))
}

fn member(value: &Value, key: &str) -> Result<String, String> {
    value[key].as_str().map(str::to_owned).ok_or_else(|| format!("'{key}'"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Absent, as far as the comparison goes. Source: Python's `in (None, "", [], {}, False)`, where zero is False.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
    }
}

/// Times and sizes inside messages vary from run to run.
fn text(message: &Value) -> Value {
    static TIME: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\d{4}-\d\d-\d\dT[\d:.]+Z?").expect("a constant that a test compiles"));
    static DURATION: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(\d+(?:\.\d+)?)(ms|s|m|h)\b").expect("a constant that a test compiles"));
    let message = message.as_str().unwrap_or_default();
    let message = TIME.replace_all(message, "<time>");
    Value::String(DURATION.replace_all(&message, "<duration>").trim().to_owned())
}

/// Equal, where JSON inside a text may differ in the order of keys and in blanks.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(x), Value::String(y)) if x != y => {
            let json = |t: &str| serde_json::from_str::<Value>(t).ok();
            x.starts_with(['[', '{']) && matches!((json(x), json(y)), (Some(x), Some(y)) if equal(&x, &y))
        }
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(key, x)| y.get(key).is_some_and(|y| same(x, y)))
        }
        _ => equal(a, b),
    }
}

/// Equal as Python has it: `1`, `1.0` and `true` are one value.
fn equal(a: &Value, b: &Value) -> bool {
    let number = |v: &Value| match v {
        Value::Bool(b) => Some(f64::from(u8::from(*b))),
        Value::Number(n) => n.as_f64(),
        Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    };
    match (a, b) {
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| equal(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(key, x)| y.get(key).is_some_and(|y| equal(x, y)))
        }
        _ => a == b || matches!((number(a), number(b)), (Some(x), Some(y)) if x == y),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workflow(change: impl FnOnce(&mut Value)) -> Value {
        let mut object = json!({"status": {
        "phase": "Failed", "message": "took 3.5s", "progress": "1/2",
        "conditions": [{"type": "Completed", "status": "True"}],
        "nodes": {
            "w": {"id": "w", "name": "w", "type": "Steps", "phase": "Failed", "children": ["w-2", "w-1"]},
            "w-1": {"id": "w-1", "name": "w.a", "type": "Pod", "phase": "Failed", "boundaryID": "w",
                    "outputs": {"exitCode": "1", "result": "{\"a\": 1, \"b\": 2}", "artifacts": [{"name": "main-logs"}]}},
            "w-2": {"id": "w-2", "name": "w.b", "type": "Pod", "phase": "Succeeded", "daemoned": false},
        }}});
        change(&mut object);
        object
    }

    fn changed(change: impl FnOnce(&mut Value)) -> Vec<String> {
        diff(&workflow(|_| ()), &workflow(change)).iter().map(Difference::short).collect()
    }

    #[test]
    fn what_varies_from_run_to_run_is_no_difference() {
        let found = changed(|w| {
            w["status"]["message"] = json!("took 44ms ");
            w["status"]["nodes"]["w"]["children"] = json!(["w-1", "w-2"]);
            w["status"]["nodes"]["w-1"]["outputs"]["result"] = json!("{\"b\":2.0,\"a\":true}");
            w["status"]["nodes"]["w-1"]["outputs"]["artifacts"] = json!([]);
            w["status"]["nodes"]["w-1"]["startedAt"] = json!("2026-01-01T00:00:00Z");
            w["status"]["nodes"]["w-2"].as_object_mut().expect("an object").remove("daemoned");
        });
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn what_matters_is_a_difference() {
        let found = changed(|w| {
            w["status"]["phase"] = json!("Error");
            w["status"]["nodes"]["w-1"]["outputs"]["exitCode"] = json!("2");
            w["status"]["nodes"]["w-1"]["boundaryID"] = json!("gone");
            w["status"]["nodes"]["w"]["type"] = json!("Retry");
            w["status"]["nodes"].as_object_mut().expect("an object").remove("w-2");
        });
        assert_eq!(
            found,
            [
                " phase Failed | Error",
                "w children [\"w.a\",\"w.b\"] | [\"?w-2\",\"w.a\"]",
                "w type Steps | Retry",
                "a boundary w | ?gone",
                "a outputs {\"exitCode\":\"1\",\"result\":\"{\\\"a\\\": 1, \\\"b\\\": 2}\"} | {\"exitCode\":\"2\",\"result\":\"{\\\"a\\\": 1, \\\"b\\\": 2}\"}"
                    .chars()
                    .collect::<String>()
                    .as_str(),
                "b node present | missing",
            ]
            .map(|line| line.to_owned())
        );
    }

    #[test]
    fn children_of_a_retry_are_in_order() {
        let retry = |children: Value| {
            workflow(|w| {
                w["status"]["nodes"]["w"]["type"] = json!("Retry");
                w["status"]["nodes"]["w"]["children"] = children;
            })
        };
        assert_eq!(diff(&retry(json!(["w-1", "w-2"])), &retry(json!(["w-2", "w-1"]))).len(), 1);
    }
}
