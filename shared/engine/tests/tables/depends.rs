//! depends.json: parsing and evaluating dependencies.

use std::borrow::Cow;

use argosy_api::v1alpha1::{DAGTask, from_value};
use argosy_engine::depends::{self, Depends, TaskResult};
use serde_json::{Value, json};

use crate::harness::{run, same, text};

fn tasks(case: &Value) -> Vec<DAGTask> {
    from_value(case.get("tasks").cloned().unwrap_or_else(|| json!([]))).expect("tasks of the table fit")
}

fn own(case: &Value) -> DAGTask {
    match &case["task"] {
        Value::String(name) => tasks(case).into_iter().find(|t| t.name == *name).expect("the task is listed"),
        task => from_value(task.clone()).expect("the task fits"),
    }
}

fn result(case: &Value, name: &str) -> TaskResult {
    let phase = &case["results"][name]["phase"];
    TaskResult {
        succeeded: phase == "Succeeded",
        failed: phase == "Failed",
        errored: phase == "Error",
        skipped: phase == "Skipped",
        omitted: phase == "Omitted",
        daemoned: false,
        any_succeeded: false,
        all_failed: false,
    }
}

fn evaluate(case: &Value) -> Result<(), String> {
    let depends = Depends::of(&own(case), &tasks(case)).map_err(|e| e.to_string())?;
    let proceed = depends.names.iter().all(|name| !case["results"][name.as_ref()]["phase"].is_null());
    same("proceed", &json!(proceed), &case["proceed"])?;
    let execute = proceed && depends.evaluate(&|i| result(case, &depends.names[i]));
    same("execute", &json!(execute), &case["execute"])
}

fn parse(case: &Value) -> Result<(), String> {
    let depends = Depends::of(&own(case), &tasks(case)).map_err(|e| e.to_string())?;
    match &case["dependencies"] {
        Value::Array(names) => same("dependencies", &json!(depends.names), &json!(names))?,
        kinds => {
            let about_items: Vec<&str> = depends.about_items().collect();
            let kind = |name: &Cow<str>| {
                (name.to_string(), json!(if about_items.contains(&name.as_ref()) { "items" } else { "task" }))
            };
            same("dependencies", &Value::Object(depends.names.iter().map(kind).collect()), kinds)?;
        }
    }
    same("logic", &json!(depends.logic), &case["logic"])
}

fn check_results(case: &Value) -> Result<(), String> {
    match (Depends::of(&own(case), &[]), case["valid"] == json!(true)) {
        (Ok(_), true) => Ok(()),
        (Err(e), false) if e.to_string().contains(text(case, "errorContains")) => Ok(()),
        (other, _) => Err(format!("{other:?}")),
    }
}

/// The table orders ancestors by when they finished, which only a run knows; here only the set is compared.
fn ancestry(case: &Value) -> Result<(), String> {
    let mut got = depends::ancestry(text(case, "task"), &tasks(case)).map_err(|e| e.to_string())?;
    let mut expected: Vec<String> = from_value(case["ancestry"].clone()).expect("names");
    got.sort();
    expected.sort();
    same("ancestry", &json!(got), &json!(expected))
}

#[test]
#[ignore = "needs Argo's own tables beside the checkout"]
fn depends_table() {
    run("depends.json", |case| {
        Some(match text(case, "op") {
            "evaluate" => evaluate(case),
            "parse" => parse(case),
            "rawLogic" => same("logic", &json!(depends::raw_logic(&own(case))), &case["logic"]),
            "checkResults" => check_results(case),
            "ancestry" => ancestry(case),
            op => Err(format!("unknown operation {op}")),
        })
    });
}
