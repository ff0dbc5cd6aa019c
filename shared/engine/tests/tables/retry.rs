//! retry.json: retry, resubmit, resume, stop and set.

use std::collections::{BTreeMap, BTreeSet};

use argosy_api::v1alpha1::{NodePhase, NodeStatus, Shutdown, Workflow, from_value};
use argosy_engine::ops::{
    resubmit::{Resubmit, resubmit},
    retry::{Retry, retry},
    suspend::{self, NodeValues},
    user::User,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::harness::{check_error, run, same, text};

fn before(case: &Value) -> Workflow {
    let value: Value = serde_saphyr::from_str(text(case, "before")).expect("the table's YAML");
    from_value(value).expect("the table's workflow fits")
}

fn user(case: &Value) -> Option<User> {
    let user = case["args"].get("user")?;
    Some(from_value(user.clone()).expect("a user"))
}

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().expect("a time")
}

fn strings(value: &Value) -> Vec<String> {
    from_value(value.clone()).unwrap_or_default()
}

/// A node in the words of the table; only the members it names are compared.
fn node_fact(node: &NodeStatus, member: &str) -> Value {
    match member {
        "name" => json!(node.name),
        "phase" => json!(node.phase.as_str()),
        "type" => json!(node.r#type.as_str()),
        "boundaryID" => json!(node.boundary_id),
        "message" => json!(node.message),
        "children" => json!(node.children.iter().collect::<BTreeSet<_>>()),
        "outputParameters" => {
            let parameters = node.outputs.iter().flat_map(|o| &o.parameters);
            Value::Object(parameters.filter(|p| p.value.is_some()).map(|p| (p.name.clone(), json!(p.value))).collect())
        }
        other => json!(format!("unknown member {other}")),
    }
}

fn check_nodes(after: &Workflow, before: &Workflow, expect: &Value) -> Result<(), String> {
    let expected: BTreeMap<String, Map<String, Value>> = from_value(expect["nodes"].clone()).unwrap_or_default();
    let ids = |w: &Workflow| w.status.nodes.keys().map(ToString::to_string).collect::<BTreeSet<_>>();
    same("nodes", &json!(ids(after)), &json!(expected.keys().collect::<BTreeSet<_>>()))?;
    for (id, facts) in &expected {
        for (member, fact) in facts {
            same(&format!("{id}.{member}"), &node_fact(&after.status.nodes[id], member), fact)?;
        }
        if !facts.contains_key("children") {
            same(&format!("{id}.children"), &node_fact(&after.status.nodes[id], "children"), &json!([]))?;
        }
    }
    let removed: BTreeSet<String> = ids(before).difference(&ids(after)).cloned().collect();
    same("removed", &json!(removed), &json!(strings(&expect["removedNodes"]).into_iter().collect::<BTreeSet<_>>()))
}

fn check_after(after: &Workflow, case: &Value, pods: Option<Vec<String>>) -> Result<(), String> {
    let expect = &case["expect"];
    same("phase", &json!(after.status.phase.as_str()), &expect["phase"])?;
    check_nodes(after, &before(case), expect)?;
    if let Some(labels) = expect.get("labels") {
        same("labels", &json!(after.metadata.labels), labels)?;
    }
    if let (Some(pods), Some(expected)) = (pods, expect.get("podsToDelete")) {
        same("pods", &json!(pods), expected)?;
    }
    check_arguments(after, expect)
}

fn check_arguments(after: &Workflow, expect: &Value) -> Result<(), String> {
    let Some(arguments) = expect.get("arguments") else {
        return Ok(());
    };
    same("arguments", &serde_json::to_value(&after.spec.arguments.parameters).expect("written"), arguments)
}

fn on_workflow(
    case: &Value,
    operation: impl FnOnce(&mut Workflow) -> Result<Option<Vec<String>>, String>,
) -> Result<(), String> {
    let mut workflow = before(case);
    let outcome = operation(&mut workflow);
    match check_error(&case["expect"], outcome)? {
        Some(pods) => check_after(&workflow, case, pods),
        None => Ok(()),
    }
}

fn check_resubmit(case: &Value) -> Result<(), String> {
    let args = &case["args"];
    let memoized = (args["memoized"] == json!(true)).then(|| "abcde".to_owned());
    let options = Resubmit { memoized, parameters: strings(&args["parameters"]) };
    let outcome = resubmit(&before(case), &options, user(case).as_ref(), now()).map_err(|e| e.to_string());
    let Some(new) = check_error(&case["expect"], outcome)? else {
        return Ok(());
    };
    let metadata = serde_json::to_value(&new.metadata).expect("written");
    for (member, expected) in case["expect"]["metadata"].as_object().into_iter().flatten() {
        same(member, &metadata[member], expected)?;
    }
    let names: BTreeSet<&str> = new.status.nodes.values().map(|n| n.name.as_str()).collect();
    let expected = case["expect"]["nodesByName"].as_object();
    same("nodes", &json!(names), &json!(expected.map(|m| m.keys().collect::<BTreeSet<_>>()).unwrap_or_default()))?;
    check_arguments(&new, &case["expect"])
}

#[test]
#[ignore = "needs Argo's own tables beside the checkout"]
fn retry_table() {
    run("retry.json", |case| {
        let args = &case["args"];
        let (selector, user) = (text(args, "nodeFieldSelector"), user(case));
        Some(match text(case, "op") {
            "retry" => on_workflow(case, |workflow| {
                let restart_successful = args["restartSuccessful"] == json!(true);
                let options = Retry {
                    restart_successful,
                    selector: selector.to_owned(),
                    parameters: strings(&args["parameters"]),
                };
                retry(workflow, &options, user.as_ref(), now()).map(Some).map_err(|e| e.to_string())
            }),
            "resubmit" => check_resubmit(case),
            "resume" => on_workflow(case, |workflow| {
                suspend::resume(workflow, selector, user.as_ref(), now()).map(|()| None).map_err(|e| e.to_string())
            }),
            "stop" => on_workflow(case, |workflow| {
                let outcome =
                    suspend::shut_down(workflow, Shutdown::Stop, selector, text(args, "message"), user.as_ref(), now());
                outcome.map(|()| None).map_err(|e| e.to_string())
            }),
            "set" => on_workflow(case, |workflow| {
                let values = &args["values"];
                let values = NodeValues {
                    phase: values["phase"].as_str().map(|p| p.parse::<NodePhase>().expect("a phase")),
                    message: text(values, "message").to_owned(),
                    output_parameters: from_value(values["outputParameters"].clone()).unwrap_or_default(),
                };
                suspend::set(workflow, selector, &values, now()).map(|()| None).map_err(|e| e.to_string())
            }),
            op => Err(format!("unknown operation {op}")),
        })
    });
}
