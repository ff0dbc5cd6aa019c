//! submit.json: merging, restrictions, submit options, artifact overrides.

use argosy_api::v1alpha1::{Workflow, WorkflowMetadata, WorkflowSpec, from_value};
use argosy_engine::ops::{
    merge,
    submit::{self, SubmitOptions},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::harness::{check_error, run, same, text};

fn read<T: DeserializeOwned>(value: &Value) -> T {
    let value = if value.is_null() { json!({}) } else { value.clone() };
    from_value(value).expect("the table's value fits")
}

fn spec(value: &Value) -> Option<WorkflowSpec> {
    (!value.is_null()).then(|| read(value))
}

/// Both sides as they are written: what is absent and what is empty is the same.
fn written<T: Serialize + DeserializeOwned>(what: &str, got: &T, expected: &Value) -> Result<(), String> {
    let expected: T = read(expected);
    let json = |value: &T| serde_json::to_value(value).expect("values are written");
    same(what, &json(got), &json(&expected))
}

fn join_meta(case: &Value) -> Result<(), String> {
    let defaults: WorkflowMetadata = read(&case["defaults"]);
    let mut workflow = Workflow { metadata: read(&case["meta"]), ..Workflow::default() };
    merge::join_metadata(&mut workflow.metadata, [&defaults]);
    written("metadata", &workflow.metadata, &case["result"])
}

fn submit_options(case: &Value) -> Result<(), String> {
    let mut workflow: Workflow = read(&case["before"]);
    let options: SubmitOptions = read(&case["opts"]);
    let outcome = submit::apply(&mut workflow, &options).map_err(|e| e.to_string());
    check_error(case, outcome)?.map_or(Ok(()), |()| written("workflow", &workflow, &case["result"]))
}

fn override_artifacts(case: &Value) -> Result<(), String> {
    let mut workflow: Workflow = read(&case["before"]);
    let texts: Vec<String> = from_value(case["artifacts"].clone()).expect("texts");
    let outcome = submit::override_artifacts(&mut workflow, &texts).map_err(|e| e.to_string());
    check_error(case, outcome)?.map_or(Ok(()), |()| written("workflow", &workflow, &case["result"]))
}

fn parse_overrides(case: &Value) -> Result<(), String> {
    let texts: Option<Vec<String>> = serde_json::from_value(case["input"].clone()).expect("texts");
    let outcome = submit::parse_artifact_overrides(&texts.unwrap_or_default()).map_err(|e| e.to_string());
    check_error(case, outcome)?.map_or(Ok(()), |map| same("overrides", &json!(map), &case["result"]))
}

fn apply_overrides(case: &Value) -> Result<(), String> {
    let artifacts: Vec<_> = from_value(case["input"].clone()).expect("artifacts");
    let overrides = from_value(case["overrides"].clone()).expect("a map of texts");
    let outcome = submit::overridden_artifacts(&artifacts, &overrides).map_err(|e| e.to_string());
    check_error(case, outcome)?.map_or(Ok(()), |artifacts| written("artifacts", &artifacts, &case["result"]))
}

#[test]
#[ignore = "needs Argo's own tables beside the checkout"]
fn submit_table() {
    run("submit.json", |case| {
        Some(match text(case, "op") {
            "mergeTo" => {
                let merged = merge::under_workflow(&read(&case["patch"]), &read(&case["target"]));
                merged.map_err(|e| e.to_string()).and_then(|w| written("workflow", &w, &case["result"]))
            }
            "joinSpec" => {
                let (defaults, template) = (spec(&case["defaults"]), spec(&case["tmpl"]));
                let merged = merge::effective_spec(defaults.as_ref(), template.as_ref(), &read(&case["wf"]));
                merged.map_err(|e| e.to_string()).and_then(|s| written("spec", &s, &case["result"]["spec"]))
            }
            "joinMeta" => join_meta(case),
            "validateUserOverrides" => {
                let outcome = submit::check_restrictions(&read(&case["spec"])).map_err(|e| e.to_string());
                check_error(case, outcome).map(drop)
            }
            "sanitizeUserSpec" => written("spec", &submit::sanitized(&read(&case["spec"])), &case["result"]),
            "submitOptions" => submit_options(case),
            "overrideArtifacts" => override_artifacts(case),
            "parseArtifactOverrides" => parse_overrides(case),
            "applyArtifactOverrides" => apply_overrides(case),
            op => Err(format!("unknown operation {op}")),
        })
    });
}
