//! Outputs by expression: nil is no value, and what is not text is written as Go writes it.

use crate::run::run;

fn outputs(parameters: &str) -> crate::run::Run {
    run(
        &format!(
            "
spec:
  entrypoint: main
  arguments: {{parameters: [{{name: mode, value: fast}}]}}
  templates:
  - name: main
    dag: {{failFast: false, tasks: [{{name: t, template: t}}, {{name: s, template: s}}]}}
  - name: t
    outputs: {{parameters: [{parameters}]}}
    dag: {{tasks: [{{name: a, template: p, when: 'false'}}, {{name: b, template: p}}]}}
  - name: s
    steps: [[{{name: t, template: t}}]]
  - {{name: p, container: {{image: a, command: ['true']}}, outputs: {{parameters: [{{name: o, valueFrom: {{path: /o}}}}]}}}}
"
        ),
        &[("b", "B")],
    )
}

#[test]
fn nil_is_an_error_unless_there_is_a_default() {
    let text = "failed to evaluate expression \"tasks.a.outputs.parameters.o\"";
    let ran = outputs("{name: nil, valueFrom: {expression: tasks.a.outputs.parameters.o}}");
    assert_eq!(ran.node("wf.t"), format!("Error: task 'wf.t' errored: {text}"));
    assert_eq!(ran.node("wf.s[0].t"), format!("Error: {text}"));
    let of_group = format!("step group deemed errored due to child wf.s[0].t error: {text}");
    assert_eq!(ran.node("wf.s[0]"), format!("Error: {of_group}"));
    assert_eq!(ran.node("wf.s"), format!("Failed: {of_group}"));
    let ran = outputs(
        "{name: nil, valueFrom: {expression: tasks.a.outputs.parameters.o, default: none}},
         {name: m, valueFrom: {expression: tasks.a.outputs.parameters.o ?? tasks.b.outputs.parameters.o}},
         {name: t, valueFrom: {expression: \"tasks.a.status == 'Succeeded' ? nil : 'other'\"}},
         {name: e, valueFrom: {expression: \"tasks.a.outputs.result ?? ''\"}}",
    );
    assert_eq!(ran.end(), "Succeeded");
    let values = ["nil", "m", "t", "e"].map(|name| ran.output("wf.t", name));
    assert_eq!(values, ["none", "B", "other", ""]);
    let ran = outputs("{name: nil, valueFrom: {expression: 'nil'}}");
    assert_eq!(ran.node("wf.t"), "Error: task 'wf.t' errored: failed to evaluate expression \"nil\"");
    let ran = outputs("{name: nil, valueFrom: {expression: \"{'k': nil}.k\"}}");
    assert!(ran.node("wf.t").starts_with("Error: "));
}

#[test]
fn values_are_written_as_go_writes_them() {
    let ran = outputs(
        "{name: bool, valueFrom: {expression: \"tasks.b.status == 'Succeeded'\"}},
         {name: int, valueFrom: {expression: 7 * 1000000}},
         {name: float, valueFrom: {expression: 7.0 * 1000000}},
         {name: list, valueFrom: {expression: \"[1, 'a b', nil, true]\"}},
         {name: map, valueFrom: {expression: \"{'k': 7, 'a': [1]}\"}},
         {name: json, valueFrom: {expression: \"toJson({'k': [nil]})\"}}",
    );
    let values = ["bool", "int", "float", "list", "map", "json"].map(|name| ran.output("wf.t", name));
    assert_eq!(values, ["true", "7000000", "7e+06", "[1 a b <nil> true]", "map[a:[1] k:7]", "{\"k\":[null]}"]);
}

#[test]
fn variables_of_the_workflow_are_named_by_tags_only() {
    let ran = outputs("{name: nil, valueFrom: {expression: workflow.name}}");
    assert!(ran.node("wf.t").contains("unknown name workflow (1:1)"), "{}", ran.node("wf.t"));
    let ran = outputs("{name: nil, valueFrom: {expression: \"'{{workflow.name}}' + '!'\"}}");
    assert_eq!(ran.output("wf.t", "nil"), "wf!");
}
