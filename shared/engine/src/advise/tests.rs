use serde_json::{Value, json};

use super::*;

/// The advice on a workflow of these templates, as `rule path`.
fn told(templates: Value) -> Vec<String> {
    of(Subject::Workflow, json!({"entrypoint": "main", "templates": templates}))
}

fn of(subject: Subject, spec: Value) -> Vec<String> {
    let spec: WorkflowSpec = serde_json::from_value(spec).expect("a spec");
    super::spec(subject, &spec).iter().map(|advice| format!("{} {}", advice.rule.name(), advice.path)).collect()
}

fn pod(name: &str) -> Value {
    json!({"name": name, "container": {"image": "i:1", "command": ["c"]}})
}

#[test]
fn what_is_in_order_is_not_spoken_of() {
    let main = json!({"name": "main", "inputs": {"parameters": [{"name": "p"}]},
        "steps": [[{"name": "a", "template": "pod", "when": "{{inputs.parameters.p}} == 1", "hooks": {"exit": {"template": "end"}}}],
            [{"name": "b", "template": "pod", "when": "{{=steps.a.outputs.result == 'x'}}"}]]});
    let retried = json!({"name": "pod", "retryStrategy": {"limit": 2}, "container": {"image": "{{workflow.parameters.i}}",
        "env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}});
    let arguments = json!({"parameters": [{"name": "p", "value": "1"}, {"name": "i", "value": "i:1"}]});
    let spec = json!({"entrypoint": "main", "arguments": arguments, "templates": [main, retried, pod("end")]});
    assert_eq!(of(Subject::Workflow, spec), [""; 0]);
}

#[test]
fn parameters_that_nothing_refers_to() {
    let takes = json!({"name": "main", "inputs": {"parameters": [{"name": "used"}, {"name": "use"}]},
        "script": {"image": "i:1", "source": "echo {{=inputs.parameters.used}}"}});
    assert_eq!(told(json!([takes])), ["unused-parameter templates[0].inputs.parameters[1]"]);
    let arguments = json!({"parameters": [{"name": "a", "value": "1"}, {"name": "b", "value": "1"}]});
    let uses = json!({"name": "main", "container": {"image": "i:1", "args": ["{{workflow.parameters.b}}"]}});
    let spec = json!({"entrypoint": "main", "arguments": arguments, "templates": [uses]});
    assert_eq!(of(Subject::Workflow, spec.clone()), ["unused-parameter arguments.parameters[0]"]);
    // A template elsewhere may refer to it.
    let mut calls = spec;
    calls["templates"][0] =
        json!({"name": "main", "steps": [[{"name": "a", "templateRef": {"name": "t", "template": "x"}}]]});
    assert_eq!(of(Subject::Workflow, calls), [""; 0]);
    let approval = json!({"name": "main", "suspend": {}, "inputs": {"parameters": [{"name": "approve", "value": "NO"}]},
        "outputs": {"parameters": [{"name": "approve", "valueFrom": {"supplied": {}}}]}});
    assert_eq!(told(json!([approval])), [""; 0]);
}

#[test]
fn templates_that_no_call_leads_to() {
    let main = |called: &str| {
        json!({"name": "main", "dag": {"tasks": [{"name": "a", "template": called},
        {"name": "b", "inline": {"steps": [[{"name": "c", "template": "inner"}]]}}]}})
    };
    let island = json!({"name": "island", "steps": [[{"name": "a", "template": "main"}]]});
    let all = |called: &str| json!([main(called), pod("pod"), pod("inner"), island, pod("never")]);
    assert_eq!(told(all("pod")), ["unreachable-template templates[3].name", "unreachable-template templates[4].name"]);
    assert_eq!(told(all("{{workflow.name}}")), [""; 0], "it may be any");
    let library = json!({"entrypoint": "main", "templates": all("pod")});
    assert_eq!(of(Subject::Template, library), [""; 0], "others may call it");
}

#[test]
fn tasks_that_no_target_needs() {
    let task = |name: &str, depends: &str| json!({"name": name, "template": "pod", "depends": depends});
    let tasks = json!([task("a", ""), task("b", "a.Failed || c"), task("c", ""), task("d", "b")]);
    let main = |target: &str| json!([{"name": "main", "dag": {"target": target, "tasks": tasks}}, pod("pod")]);
    assert_eq!(told(main("b")), ["unreachable-task templates[0].dag.tasks[3].name"]);
    assert_eq!(told(main("")), [""; 0]);
    assert_eq!(told(main("{{workflow.parameters.t}}")), [""; 0]);
}

#[test]
fn expressions_about_what_has_not_ended() {
    let step = |name: &str, of: &str| json!({"name": name, "template": "pod", "when": format!("{{{{=steps['{of}'].status == 'x'}}}}")});
    let main =
        json!({"name": "main", "steps": [[step("a", "c"), step("b", "a")], [step("c", "a"), step("d", "elsewhere")]]});
    assert_eq!(
        told(json!([main, pod("pod")])),
        ["later-reference templates[0].steps[0][0]", "later-reference templates[0].steps[0][1]"]
    );
    let task = |name: &str, of: &str, depends: &str| {
        let arguments = json!({"parameters": [{"name": "p", "value": format!("{{{{=tasks.{of}.outputs.result}}}}")}]});
        json!({"name": name, "template": "pod", "depends": depends, "arguments": arguments})
    };
    let main =
        json!({"name": "main", "dag": {"tasks": [task("a", "b", ""), task("b", "a", "a"), task("c", "a", "b")]}});
    assert_eq!(told(json!([main, pod("pod")])), ["later-reference templates[0].dag.tasks[0]"]);
}

#[test]
fn conditions_attempts_images_and_secrets() {
    let main = json!({"name": "main", "retryStrategy": {"retryPolicy": "Always"}, "steps": [
        [{"name": "a", "template": "pod", "when": "1 == 2"}, {"name": "b", "template": "pod", "when": "1 == 1"}]]});
    let worker = json!({"name": "pod", "container": {"image": "busybox", "env": [{"name": "TOKEN", "value": "hunter2"}]},
        "sidecars": [{"name": "s", "image": "r:5000/s"}], "retryStrategy": {"backoff": {"maxDuration": "1m"}}});
    assert_eq!(
        told(json!([main, worker])),
        [
            "when-false templates[0].steps[0][0].when",
            "endless-retry templates[0].retryStrategy",
            "image-tag templates[1].container.image",
            "image-tag templates[1].sidecars[0].image",
            "plain-secret templates[1].container.env[0]",
        ]
    );
}

#[test]
fn messages_repeat_no_secret() {
    let worker = json!({"name": "main", "script": {"image": "i:1", "source": "export K=AKIAIOSFODNN7EXAMPLE",
        "env": [{"name": "TOKEN", "value": "hunter2"}]}});
    let spec: WorkflowSpec =
        serde_json::from_value(json!({"entrypoint": "main", "templates": [worker]})).expect("a spec");
    let said: Vec<String> = super::spec(Subject::Workflow, &spec).into_iter().map(|advice| advice.message).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().all(|text| !text.contains("hunter2") && !text.contains("AKIA")), "{said:?}");
}

#[test]
fn names_of_rules_are_what_people_write() {
    for rule in Rule::ALL {
        assert_eq!(Rule::named(rule.name()), Some(rule));
    }
    assert_eq!(Rule::named("image"), None);
}
