//! What comes of a node that cannot go on: its kind, its message, and who learns of it.

use crate::run::{run, run_with};

#[test]
fn a_node_that_cannot_begin_is_of_its_kind_and_has_its_inputs() {
    let ran = run(
        "
spec:
  entrypoint: main
  templates:
  - name: main
    dag:
      failFast: false
      tasks:
      - {name: pod, template: pod, arguments: {parameters: [{name: t, value: soon}]}}
      - {name: nap, template: nap, arguments: {parameters: [{name: t, value: soon}]}}
      - {name: lost, template: pod}
      - {name: after, template: nap, depends: pod.Errored && nap.Errored, arguments: {parameters: [{name: t, value: '0'}]}}
  - {name: pod, inputs: {parameters: [{name: t, default: 1x}]}, timeout: '{{inputs.parameters.t}}', container: {image: a}}
  - {name: nap, inputs: {parameters: [{name: t}]}, suspend: {duration: '{{inputs.parameters.t}}'}}
",
        &[],
    );
    let unreadable = "unable to parse soon as a duration: time: invalid duration \"soon\"";
    assert_eq!(ran.node("wf.pod"), format!("Error: task 'wf.pod' errored: invalid timeout format {unreadable}"));
    assert_eq!(ran.node("wf.nap"), format!("Error: task 'wf.nap' errored: {unreadable}"));
    assert_eq!(ran.node("wf.after"), "Succeeded");
    assert_eq!(ran.find("wf.pod").r#type.to_string(), "Pod");
    assert_eq!(ran.find("wf.nap").r#type.to_string(), "Suspend");
}

#[test]
fn a_suspend_that_is_over_needs_all_its_outputs() {
    let suspend = |outputs: &str| {
        let yaml = format!(
            "
spec:
  entrypoint: main
  templates:
  - name: main
    steps: [[{{name: a, template: ask, arguments: {{parameters: [{{name: x, value: given}}]}}}}]]
  - name: ask
    inputs: {{parameters: [{{name: x, default: own}}]}}
    suspend: {{duration: '1'}}
    outputs: {{parameters: [{outputs}]}}
"
        );
        let ran = run(&yaml, &[]);
        let outputs = ran.find("wf[0].a").outputs.iter().flat_map(|o| &o.parameters);
        let values: Vec<String> = outputs.map(|p| p.value.as_deref().unwrap_or("-").to_owned()).collect();
        (ran.end(), values.join(" "))
    };
    let lacks = "raw output parameter 'other' has not been set and does not have a default value";
    assert_eq!(suspend("{name: x, valueFrom: {supplied: {}}}"), ("Succeeded".to_owned(), "own".to_owned()));
    assert_eq!(suspend("{name: x, valueFrom: {supplied: {}, default: d}}").1, "d");
    let (end, values) = suspend("{name: other, valueFrom: {supplied: {}}}");
    assert_eq!(end, format!("Failed: step group deemed errored due to child wf[0].a error: {lacks}"));
    assert_eq!(values, "-");
}

/// Whatever the item is, a condition that is false already leaves the rest of the step alone.
#[test]
fn a_loop_that_is_skipped_is_not_resolved() {
    let skipped = |list: &str, kind: &str| {
        let (open, close, prefix) =
            if kind == "steps" { ("steps: [[", "]]", "steps") } else { ("dag: {tasks: [", "]}", "tasks") };
        let sep = if kind == "steps" { "], [" } else { ", " };
        let depends = if kind == "steps" { "" } else { "depends: gen, " };
        let list = list.replace("PREFIX", prefix);
        let yaml = format!(
            "
spec:
  entrypoint: main
  arguments: {{parameters: [{{name: list, value: '[1, 2]'}}]}}
  templates:
  - name: main
    {open}{{name: gen, template: gen, when: 'false'}}{sep}{{name: each, {depends}template: use, when: a == b, {list}, arguments: {{parameters: [{{name: p, value: '{{{{item}}}} {{{{{prefix}.gen.outputs.result}}}}'}}]}}}}{close}
  - {{name: gen, container: {{image: a, command: ['true']}}}}
  - {{name: use, inputs: {{parameters: [{{name: p}}]}}, container: {{image: a, command: ['true']}}}}
"
        );
        let ran = run(&yaml, &[]);
        assert_eq!(ran.end(), "Succeeded", "{kind} {list}");
        let at = if kind == "steps" { "wf[1].each" } else { "wf.each" };
        ran.names()
            .iter()
            .filter(|name| name.starts_with(at))
            .map(|name| format!("{name} {}", ran.node(name)))
            .collect::<Vec<_>>()
    };
    let when = "Skipped: when 'a == b' evaluated false";
    for kind in ["steps", "dag"] {
        let at = if kind == "steps" { "wf[1].each" } else { "wf.each" };
        let empty = vec![format!("{at} Skipped: Skipped, empty params")];
        assert_eq!(skipped("withParam: '{{PREFIX.gen.outputs.result}}'", kind), empty);
        let mut items = vec![format!("{at}(0:1) {when}"), format!("{at}(1:2) {when}")];
        if kind == "dag" {
            items.insert(0, format!("{at} Succeeded"));
        }
        assert_eq!(skipped("withItems: [1, 2]", kind), items);
        assert_eq!(skipped("withParam: '{{workflow.parameters.list}}'", kind), items);
        assert_eq!(skipped("withSequence: {start: 1, end: 2}", kind), items);
    }
}

/// Results that are no JSON are no list, whether or not anything asks for it.
#[test]
fn results_of_a_loop_that_are_no_list_are_an_error_of_what_holds_the_loop() {
    let ran = run(
        "
spec:
  entrypoint: main
  templates:
  - name: main
    dag:
      tasks:
      - {name: inner, template: inner}
      - {name: handle, template: work, depends: inner.Errored}
  - name: inner
    steps: [[{name: each, template: work, withItems: [1, 2]}], [{name: use, template: sink, arguments: {parameters: [{name: p, value: '{{steps.each.outputs.result}}'}]}}]]
  - {name: sink, inputs: {parameters: [{name: p}]}, container: {image: a, command: ['true']}}
  - {name: work, script: {image: a, command: [sh], source: a}}
",
        &[("each(0:1)", "1"), ("each(1:2)", "{\"a\": x}")],
    );
    assert_eq!(
        ran.node("wf.inner"),
        "Error: task 'wf.inner' errored: invalid character 'x' looking for beginning of value"
    );
    assert_eq!(ran.node("wf.inner[0]"), "Succeeded");
    assert_eq!(ran.node("wf.handle"), "Succeeded");
    assert!(!ran.names().iter().any(|name| name.starts_with("wf.inner[1]")), "{:?}", ran.names());
}

/// The first item that cannot begin ends the loop of a task.
#[test]
fn items_behind_one_that_cannot_begin_do_not_begin() {
    let ran = run(
        "
spec:
  entrypoint: main
  templates:
  - name: main
    dag:
      tasks:
      - {name: each, template: nap, withItems: ['1', x, '2'], arguments: {parameters: [{name: d, value: '{{item}}'}]}}
      - {name: after, template: nap, depends: each.Errored, arguments: {parameters: [{name: d, value: '0'}]}}
  - {name: nap, inputs: {parameters: [{name: d}]}, suspend: {duration: '{{inputs.parameters.d}}'}}
",
        &[],
    );
    assert_eq!(ran.node("wf.each"), "Error");
    assert_eq!(ran.node("wf.each(0:1)"), "Succeeded");
    assert!(ran.node("wf.each(1:x)").starts_with("Error: task 'wf.each(1:x)' errored: "));
    assert!(!ran.names().iter().any(|name| name.contains("(2:")), "{:?}", ran.names());
    assert_eq!(ran.node("wf.after"), "Succeeded");
}

/// What is wrong with a strategy, or with an attempt that is no failure, is an error of the node and of its caller.
#[test]
fn mistakes_of_retries_are_their_callers() {
    let retry = |strategy: &str| {
        let yaml = format!(
            "
spec:
  entrypoint: main
  templates:
  - {{name: main, steps: [[{{name: a, template: work}}]]}}
  - {{name: work, retryStrategy: {{{strategy}}}, container: {{image: a, command: ['false']}}}}
"
        );
        run_with(&yaml, &[], &["a(0)", "a(1)"], Default::default())
    };
    for (strategy, message) in [
        ("limit: 1, backoff: {factor: 2}", "no base duration specified for retryStrategy"),
        ("limit: two", "value 'two' cannot be resolved to an int"),
        ("limit: 1, expression: lastRetry.status", "unable to cast expression result 'Failed' to bool"),
    ] {
        let ran = retry(strategy);
        assert_eq!(ran.node("wf[0].a"), format!("Error: {message}"), "{strategy}");
        assert_eq!(
            ran.end(),
            format!("Failed: step group deemed errored due to child wf[0].a error: {message}"),
            "{strategy}"
        );
    }
    let ran = retry("limit: 1, expression: workflow.name == 'wf'");
    assert!(ran.node("wf[0].a").starts_with("Error: unknown name workflow (1:1)"), "{}", ran.node("wf[0].a"));
}

/// Hooks see the status and output parameters of their own step; an exit hook also where there are none.
#[test]
fn hooks_get_what_they_may_name() {
    let ran = run(
        "
spec:
  entrypoint: main
  arguments: {parameters: [{name: p, value: whole}]}
  templates:
  - name: main
    steps:
    - - {name: first, template: work}
    - - name: step
        template: nap
        hooks:
          exit: {template: note, arguments: {parameters: [{name: p, value: '{{steps.step.status}} {{steps.first.status}}'}]}}
          done: {template: note, expression: steps.step.status == 'Succeeded', arguments: {parameters: [{name: p, value: '{{steps.step.status}} {{workflow.name}}'}]}}
    - - {name: last, template: nap, onExit: note}
  - {name: nap, suspend: {duration: '1'}}
  - {name: work, container: {image: a, command: ['true']}}
  - {name: note, inputs: {parameters: [{name: p}]}, container: {image: a, command: ['true']}}
",
        &[],
    );
    let given = |name: &str| {
        let node = ran.find(name);
        node.inputs.iter().flat_map(|i| &i.parameters).filter_map(|p| p.value.as_deref()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(given("wf[1].step.onExit"), "Succeeded Succeeded");
    assert_eq!(given("wf[1].step.hooks.done"), "{{steps.step.status}} wf");
    assert_eq!(given("wf[2].last.onExit"), "whole");
}
