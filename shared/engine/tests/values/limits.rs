//! Past a limit, a node or the workflow is in error, and says which limit it was and how to raise it.

use argosy_engine::Config;
use argosy_template::Limits;

use crate::run::{Run, run_with};

fn limited(steps: &str, limits: Limits) -> Run {
    let config = Config { limits, ..Config::default() };
    let yaml = format!(
        "
spec:
  entrypoint: main
  arguments: {{parameters: [{{name: num, value: '1'}}]}}
  templates:
  - name: main
    dag: {{failFast: false, tasks: [{{name: other, template: fine}}, {{name: bad, template: bad}}]}}
  - name: bad
    steps: [[{steps}]]
  - {{name: fine, inputs: {{parameters: [{{name: v, value: x}}]}}, container: {{image: a, command: [echo]}}}}
  - name: costly
    inputs: {{parameters: [{{name: x, value: \"{{{{=count(1..1000000, count(1..1000000, # > 5) > 0 && workflow.parameters.num != '')}}}}\"}}]}}
    container: {{image: a, command: [echo], args: ['{{{{inputs.parameters.x}}}}']}}
"
    );
    run_with(&yaml, &[], &[], config)
}

#[test]
fn an_evaluation_past_its_limit_is_an_error_of_its_step() {
    for (steps, limit) in [
        ("{name: a, template: costly}", "expression_steps"),
        (
            "{name: a, template: fine, when: '{{=count(1..1000000, count(1..1000000, # > 5) > 0) > 1}}'}",
            "expression_steps",
        ),
        (
            "{name: a, template: fine, arguments: {parameters: [{name: v, value: \"{{=reduce(1..36, #acc + #acc, 'x')}}\"}]}}",
            "expression_bytes",
        ),
        ("{name: a, template: fine, withSequence: {count: '1000000'}}", "loop_items"),
        ("{name: a, template: fine, withParam: '{{=toJson(1..200000)}}'}", "loop_items"),
        (
            "{name: a, template: fine, withItems: [1], arguments: {parameters: [{name: v, value: \"{{=item + string(count(1..1000000, all(1..1000000, true)))}}\"}]}}",
            "expression_steps",
        ),
        (
            "{name: a, template: fine, hooks: {h: {template: fine, expression: 'all(1..1000000, all(1..1000000, true))'}}}",
            "expression_steps",
        ),
    ] {
        let ran = limited(steps, Limits::default());
        let message = ran.node("wf.bad");
        // A range of a million numbers takes memory, too: either limit may come first.
        let limit = if limit == "expression_steps" && message.contains("bytes") { "expression_bytes" } else { limit };
        let named = format!("an operator can raise the limit with --{}", limit.replace('_', "-"));
        assert!(message.contains(&named), "{steps}: {message}");
        assert_eq!(ran.node("wf.other"), "Succeeded");
    }
}

#[test]
fn limits_are_those_of_the_configuration() {
    let three = "{name: a, template: fine, withSequence: {count: '3'}}";
    let limits = |loop_items| Limits { loop_items, ..Limits::default() };
    assert_eq!(limited(three, limits(3)).end(), "Succeeded");
    let message = limited(three, limits(2)).node("wf.bad");
    assert!(message.contains("the loop has 3 items, more than 2"), "{message}");
    let text =
        "{name: a, template: fine, arguments: {parameters: [{name: v, value: '{{workflow.name}}{{workflow.uid}}'}]}}";
    let message = limited(text, Limits { text_bytes: 4, ..Limits::default() }).node("wf.bad");
    assert!(
        message.contains("takes more than 4 bytes (an operator can raise the limit with --text-bytes"),
        "{message}"
    );
}
