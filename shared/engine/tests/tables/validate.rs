//! validate.json and specs_valid.json: what is valid, and what is wrong with the rest.

use std::{collections::BTreeMap, sync::Arc};

use argosy_api::v1alpha1::{Object, WorkflowSpec, from_value};
use argosy_engine::validate::{self, Options, Problem, Templates};
use serde_json::{Value, json};

use crate::harness::{read, report, run, runs, text};

#[derive(Default)]
struct Library(BTreeMap<(bool, String), Arc<WorkflowSpec>>);

impl Templates for Library {
    fn get(&self, cluster: bool, name: &str) -> Option<Arc<WorkflowSpec>> {
        self.0.get(&(cluster, name.to_owned())).cloned()
    }
}

impl Library {
    fn add(&mut self, object: &Value) {
        let cluster = match text(object, "kind") {
            "WorkflowTemplate" => false,
            "ClusterWorkflowTemplate" => true,
            _ => return,
        };
        let Ok(object) = from_value::<Object<WorkflowSpec>>(object.clone()) else {
            return;
        };
        self.0.insert((cluster, object.metadata.name.clone()), Arc::new(object.spec));
    }
}

fn check(object: &Value, library: &Library, options: &Options) -> Result<Vec<Problem>, String> {
    fn fit<T: serde::de::DeserializeOwned>(object: &Value) -> Result<T, String> {
        from_value(object.clone()).map_err(|e| e.to_string())
    }
    Ok(match text(object, "kind") {
        "Workflow" => validate::workflow(&fit(object)?, library, options),
        "WorkflowTemplate" => validate::workflow_template(&fit(object)?, library, options),
        "ClusterWorkflowTemplate" => validate::cluster_workflow_template(&fit(object)?, library, options),
        "CronWorkflow" => validate::cron_workflow(&fit(object)?, library, options),
        _ => Vec::new(),
    })
}

/// As Go's reader: `mode: 0755` is octal.
fn yaml(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|e| e.to_string())
}

fn judge(case: &Value) -> Result<(), String> {
    let mut library = Library::default();
    for extra in case["extraObjects"].as_array().into_iter().flatten() {
        library.add(&yaml(extra.as_str().unwrap_or_default())?);
    }
    let is_set = |name: &str| case["options"][name] == json!(true);
    let defaults = case.get("workflowDefaults").and_then(Value::as_str);
    let workflow_defaults = match defaults {
        Some(defaults) => from_value(yaml(defaults)?["spec"].clone()).map_err(|e| e.to_string())?,
        None => None,
    };
    let options = Options { lint: is_set("lint"), submit: is_set("submit"), workflow_defaults };
    let mut object = yaml(text(case, "yaml"))?;
    object["kind"] = case["kind"].clone();
    let problems = check(&object, &library, &options)?;
    let expected =
        if case.get("observedError").is_some() { text(case, "observedError") } else { text(case, "errorContains") };
    match (problems.first(), case["valid"] == json!(true)) {
        (None, true) => Ok(()),
        (None, false) => Err(format!("accepted, expected {expected:?}")),
        (Some(problem), true) => Err(format!("rejected: {problem}")),
        (Some(problem), false) if problem.to_string() == expected => Ok(()),
        (Some(problem), false) => Err(format!("{problem:?}, expected {expected:?}")),
    }
}

#[test]
#[ignore = "needs Argo's own tables beside the checkout"]
fn validate_table() {
    run("validate.json", |case| Some(judge(case)));
}

/// The documents of a file, split at `---` lines; a part without content is dropped.
fn documents(text: &str) -> Vec<Result<Value, String>> {
    let mut parts = vec![String::new()];
    for line in text.lines() {
        if line == "---" || line.starts_with("--- ") {
            parts.push(String::new());
        } else {
            let last = parts.last_mut().expect("there is always one");
            last.push_str(line);
            last.push('\n');
        }
    }
    let has_content = |part: &&String| part.lines().any(|l| !l.trim().is_empty() && !l.trim_start().starts_with('#'));
    parts.iter().filter(has_content).map(|part| yaml(part)).collect()
}

/// Of the upstream files only the examples are here; their templates know each other, as Argo's lint of the folder does.
#[test]
#[ignore = "needs Argo's own tables beside the checkout"]
fn examples_are_accepted() {
    let table: Value = serde_json::from_str(&read("specs_valid.json")).expect("JSON");
    let files: Vec<&str> = table["accept"].as_array().into_iter().flatten().map(|c| text(c, "file")).collect();
    let mut objects: Vec<(&str, Result<Value, String>)> = Vec::new();
    for file in files.into_iter().filter(|f| f.starts_with("examples/")) {
        let text = read(&format!("../argo/{file}"));
        objects.extend(documents(&text).into_iter().map(|document| (file, document)));
    }
    let mut library = Library::default();
    objects.iter().filter_map(|(_, o)| o.as_ref().ok()).for_each(|o| library.add(o));
    let options = Options { lint: true, ..Options::default() };
    let mut answers: BTreeMap<String, Result<(), String>> = BTreeMap::new();
    for (file, object) in &objects {
        let answer = object.clone().and_then(|o| check(&o, &library, &options)).and_then(|p| match p.first() {
            None => Ok(()),
            Some(problem) => Err(problem.to_string()),
        });
        let entry = answers.entry((*file).to_owned()).or_insert(Ok(()));
        if entry.is_ok() {
            *entry = answer;
        }
    }
    report("specs_valid.json", answers.into_iter());
}

/// A recorded run says itself whether Argo's controller found the spec valid.
#[test]
fn recorded_runs_are_judged_alike() {
    let judge = |golden: &Value| -> Result<(), String> {
        let input = golden["input"].as_array().cloned().unwrap_or_default();
        let mut library = Library::default();
        input.iter().for_each(|object| library.add(object));
        let message = text(&golden["workflow"]["status"], "message");
        let expected = message.strip_prefix("invalid spec: ");
        for object in input.iter().filter(|o| text(o, "kind") == "Workflow") {
            let problems = check(object, &library, &Options::default())?;
            let first = problems.first().map(ToString::to_string);
            // What is not there is told without the prefix.
            let is_told = expected.is_none() && first.as_deref() == Some(message);
            if first.as_deref() != expected && !is_told {
                return Err(format!("got {first:?}, expected {expected:?}"));
            }
        }
        Ok(())
    };
    report("goldens", runs().iter().map(|(name, golden)| (format!("goldens/{name}"), judge(golden))));
}
