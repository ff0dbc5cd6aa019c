//! The table of schedules and decisions, cron.json: the rows that were recorded for this project, and Argo's own where they lie
//! beside the checkout.

// The ban on reading files is for the crate; its tables are files.
#![allow(clippy::disallowed_methods)]

#[path = "../../../tests/conformance/recorded/cases.rs"]
#[allow(dead_code)] // others use the rest
mod recorded;

use std::collections::BTreeMap;
use std::sync::Arc;

use argosy_api::v1alpha1::{CronWorkflow, CronWorkflowSpec, Time, WorkflowSpec, from_value};
use argosy_cron::{Around, Child, Due, Run, Schedule, Timetable, Verdict, schedule_texts, used_schedule};
use argosy_engine::validate::{Options, Templates};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

const KNOWN: &str = include_str!("known-differences.txt");

#[test]
fn cron_table() {
    let lines = KNOWN.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let known: BTreeMap<&str, &str> = lines.map(|line| line.split_once(" — ").expect("`id — reason`")).collect();
    let (mut passed, mut differ, mut wrong) = (0, 0, Vec::new());
    for row in &recorded::table("cron.json") {
        let id = text(row, "id");
        match (judge(row), known.get(id)) {
            (Ok(()), None) => passed += 1,
            (Err(_), Some(_)) => differ += 1,
            (Err(what), None) => wrong.push(format!("{id}: {what}")),
            (Ok(()), Some(reason)) => wrong.push(format!("{id} passes, yet is listed: {reason}")),
        }
    }
    println!("cron.json: {passed} passed, {differ} known differences, {} wrong", wrong.len());
    assert!(passed > 90, "only {passed} rows were judged");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn judge(row: &Value) -> Result<(), String> {
    match text(row, "op") {
        "next" => next(row),
        "scheduleStrings" => strings(row),
        "outstanding" => outstanding(row),
        "when" => {
            let got = argosy_cron::when(&object(row).0, now(row)).map_err(|error| error.to_string())?;
            same("result", json!(got), &row["expect"]["result"])
        }
        "run" | "validate" => run(row),
        "reconcileActive" => reconcile(row),
        "history" => history(row),
        other => Err(format!("an operation `{other}` that nobody knows")),
    }
}

fn next(row: &Value) -> Result<(), String> {
    let schedule = match Schedule::parse(text(row, "schedule"), &TimeZone::UTC) {
        Ok(schedule) => schedule,
        Err(error) => return same("error", json!(error.to_string()), &row["expect"]["error"]),
    };
    let mut at: Option<Timestamp> = Some(text(row, "after").parse().expect("a timestamp"));
    let count = row["expect"]["next"].as_array().map_or(1, Vec::len);
    let mut step = |_| {
        at = at.and_then(|at| schedule.next(at));
        json!(at)
    };
    same("next", (0..count).map(&mut step).collect(), &row["expect"]["next"])
}

fn strings(row: &Value) -> Result<(), String> {
    let spec: CronWorkflowSpec = from_value(row["spec"].clone()).expect("a spec");
    let expect = &row["expect"];
    same("withTimezone", json!(schedule_texts(&spec)), &expect["withTimezone"])?;
    same("stringWithTimezone", json!(used_schedule(&spec)), &expect["stringWithTimezone"])?;
    same("schedules", json!(spec.schedules), &expect["schedules"])?;
    same("string", json!(spec.schedules.join(",")), &expect["string"])
}

fn outstanding(row: &Value) -> Result<(), String> {
    let (cron, now) = (object(row).0, now(row));
    match Timetable::of(&cron, now, &TimeZone::UTC) {
        Ok(timetable) => same("run", json!(timetable.and_then(|table| table.late(now))), &row["expect"]["run"]),
        Err(error) => same("error", json!(error.to_string()), &row["expect"]["error"]),
    }
}

fn run(row: &Value) -> Result<(), String> {
    let ((mut cron, value), now, mut workflows) = (object(row), now(row), workflows(row));
    let at = Timestamp::from_second(now.as_second() / 60 * 60).expect("a minute");
    let problems = argosy_cron::problems(&cron, &NoTemplates, &Options::default());
    let problem = problems.first().map(|problem| problem.message.clone());
    let verdict = argosy_cron::run(&mut cron, Due { at, is_late: false }, now, problem.as_deref());
    if let Verdict::Run(Run { at, replaces }) = &verdict {
        for workflow in &mut workflows {
            if replaces.iter().any(|name| workflow["metadata"]["name"] == json!(name)) {
                workflow["spec"]["shutdown"] = json!("Terminate");
            }
        }
        let mut made = argosy_cron::workflow(&value, *at);
        made["metadata"]["uid"] = json!("made");
        argosy_cron::started(&mut cron, *at, &Child::of(&made));
        workflows.push(made);
    }
    if row["expect"]["isError"] == json!(true) && verdict != Verdict::Wrong {
        return Err("it is not wrong".to_owned());
    }
    compare(row, &cron, &workflows)
}

fn reconcile(row: &Value) -> Result<(), String> {
    let (mut cron, workflows) = (object(row).0, workflows(row));
    let children: Vec<Child> = workflows.iter().map(Child::of).collect();
    let result = argosy_cron::reconcile(&mut cron, &children);
    same("error", json!(result.err().map(|error| error.to_string())), &row["expect"]["error"])?;
    compare(row, &cron, &workflows)
}

fn history(row: &Value) -> Result<(), String> {
    let (mut cron, mut workflows) = (object(row).0, workflows(row));
    // Who has no label is nobody's.
    let is_child = |workflow: &&Value| !workflow["metadata"]["labels"]["workflows.argoproj.io/cron-workflow"].is_null();
    let children: Vec<Child> = workflows.iter().filter(is_child).map(Child::of).collect();
    let suspended = CronWorkflow { spec: CronWorkflowSpec { suspend: true, ..cron.spec.clone() }, ..cron.clone() };
    let around = Around { now: now(row), local: &TimeZone::UTC, decided: None, children: &children, problem: None };
    let look = argosy_cron::look(&mut suspended.clone(), around);
    workflows.retain(|workflow| !look.surplus.iter().any(|name| workflow["metadata"]["name"] == json!(name)));
    cron.status.last_scheduled_time = None::<Time>;
    compare(row, &cron, &workflows)
}

/// What the row expects, as far as it says something.
fn compare(row: &Value, cron: &CronWorkflow, workflows: &[Value]) -> Result<(), String> {
    let mut wrong = Vec::new();
    for (key, expected) in row["expect"].as_object().into_iter().flatten() {
        let got = match key.as_str() {
            "active" => cron.status.active.iter().map(|reference| reference["name"].clone()).collect(),
            "phase" => json!(cron.status.phase),
            "succeeded" => json!(cron.status.succeeded),
            "failed" => json!(cron.status.failed),
            "labels" => json!(cron.metadata.labels),
            "annotations" => json!(cron.metadata.annotations),
            "lastScheduledTime" => json!(cron.status.last_scheduled_time),
            "conditionCount" => json!(cron.status.conditions.len()),
            "workflowCount" => json!(workflows.len()),
            "workflowAnnotationCount" => {
                json!(workflows[0]["metadata"]["annotations"].as_object().map(serde_json::Map::len))
            }
            "workflowAnnotationKeys" => {
                json!(workflows[0]["metadata"]["annotations"].as_object().map(|all| all.keys().collect::<Vec<_>>()))
            }
            "workflows" => workflows_as_told(workflows),
            "conditions" => conditions(cron, expected),
            "isError" | "error" => continue,
            other => return Err(format!("an expectation `{other}` that nobody knows")),
        };
        if got != *expected {
            wrong.push(format!("{key}: got {got}, expected {expected}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// The conditions; where only a part of a message is expected, that part.
fn conditions(cron: &CronWorkflow, expected: &Value) -> Value {
    let mut got = json!(cron.status.conditions);
    for (index, condition) in got.as_array_mut().into_iter().flatten().enumerate() {
        let Some(part) = expected[index]["messageContains"].as_str() else { continue };
        if let Some(Value::String(message)) = condition.as_object_mut().and_then(|all| all.remove("message")) {
            condition["messageContains"] = json!(if message.contains(part) { part } else { message.as_str() });
        }
    }
    got
}

/// Names, labels, annotations, owners and shutdown, in the order of names.
fn workflows_as_told(workflows: &[Value]) -> Value {
    let mut told: Vec<Value> = workflows
        .iter()
        .map(|workflow| {
            let of_metadata = ["name", "labels", "annotations", "ownerReferences"]
                .map(|key| (key.to_owned(), workflow["metadata"][key].clone()));
            let shutdown = ("shutdown".to_owned(), workflow["spec"]["shutdown"].clone());
            let is_there = |(_, value): &(String, Value)| !value.is_null() && *value != json!({});
            Value::Object(of_metadata.into_iter().chain([shutdown]).filter(is_there).collect())
        })
        .collect();
    told.sort_by_key(|workflow| workflow["name"].to_string());
    Value::Array(told)
}

struct NoTemplates;

impl Templates for NoTemplates {
    fn get(&self, _: bool, _: &str) -> Option<Arc<WorkflowSpec>> {
        None
    }
}

fn object(row: &Value) -> (CronWorkflow, Value) {
    let value = yaml(text(row, "cronWorkflow"));
    (from_value(value.clone()).expect("a CronWorkflow"), value)
}

fn workflows(row: &Value) -> Vec<Value> {
    let texts = row["workflows"].as_array().into_iter().flatten();
    texts.map(|text| yaml(text.as_str().expect("YAML"))).collect()
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("YAML")
}

fn now(row: &Value) -> Timestamp {
    text(row, "now").parse().expect("a timestamp")
}

fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key].as_str().unwrap_or_default()
}

fn same(what: &str, got: Value, expected: &Value) -> Result<(), String> {
    if got == *expected { Ok(()) } else { Err(format!("{what}: got {got}, expected {expected}")) }
}
