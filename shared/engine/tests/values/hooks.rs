//! Hooks whose expression cannot be evaluated.

use crate::run::run;

fn with_hook(expression: &str, spec: &str) -> crate::run::Run {
    run(
        &format!(
            "
spec:
  entrypoint: main
  {spec}
  templates:
  - name: main
    dag:
      failFast: false
      tasks:
      - {{name: in-steps, template: group}}
      - name: task
        template: work
        hooks: {{bad: {{template: note, expression: {expression}}}}}
      - {{name: next, template: work, depends: task}}
      - {{name: instead, template: work, depends: task.Errored}}
  - name: group
    steps: [[{{name: step, template: work, hooks: {{bad: {{template: note, expression: {expression}}}}}}}], [{{name: later, template: work}}]]
  - {{name: work, container: {{image: a, command: ['true']}}}}
  - {{name: note, container: {{image: a, command: ['true']}}}}
"
        ),
        &[],
    )
}

#[test]
fn an_expression_that_fails_is_an_error_of_the_step_or_task() {
    for (expression, message) in [
        ("\"steps.gone.x == 'a'\"", "unknown name steps"),
        ("\"inputs.nothing.at.all\"", "cannot fetch at from <nil>"),
        ("\"'a' + 'b'\"", "unable to cast expression result 'ab' to bool"),
        ("\"asInt('x') == 1\"", "unable to evaluate expression 'asInt('x') == 1': strconv.Atoi: parsing \\\"x\\\""),
        ("\"1 +\"", "unexpected token EOF"),
    ] {
        let ran = with_hook(expression, "");
        let message = message.replace('\\', "");
        assert!(ran.node("wf.task").starts_with("Error: "), "{expression}: {}", ran.node("wf.task"));
        assert_eq!(ran.node("wf.next"), "Omitted: omitted: depends condition not met");
        assert_eq!(ran.node("wf.instead"), "Succeeded");
        if message.starts_with("unknown name steps") {
            continue;
        }
        assert!(ran.node("wf.task").contains(&message), "{expression}: {}", ran.node("wf.task"));
        assert!(ran.node("wf.in-steps").starts_with("Failed: "), "{expression}: {}", ran.node("wf.in-steps"));
        assert!(ran.node("wf.in-steps[0]").starts_with("Error: "), "{expression}: {}", ran.node("wf.in-steps[0]"));
        assert!(ran.node("wf.in-steps[0]").contains(&message), "{expression}: {}", ran.node("wf.in-steps[0]"));
        assert!(
            !ran.names().iter().any(|name| name.contains(".hooks.") || name.contains("later")),
            "{:?}",
            ran.names()
        );
    }
}

/// An expression that fails only once the task has ended: what comes after it takes the task for one in error.
#[test]
fn an_expression_may_fail_at_the_end() {
    let ran = with_hook("\"tasks.task.status == 'Succeeded' && asInt('x') == 1\"", "");
    assert!(ran.node("wf.task").starts_with("Error: unable to evaluate expression"), "{}", ran.node("wf.task"));
    assert_eq!(ran.node("wf.next"), "Omitted: omitted: depends condition not met");
    assert_eq!(ran.node("wf.instead"), "Succeeded");
}

#[test]
fn hooks_that_can_be_judged_are_as_before() {
    let ran = with_hook("\"false\"", "");
    assert_eq!(ran.end(), "Succeeded");
    let ran = run(
        "
spec:
  entrypoint: main
  templates:
  - name: main
    steps: [[{name: step, template: work, hooks: {ran: {template: work, expression: \"steps.step.status == 'Succeeded'\"}, not: {template: work, expression: \"steps.step.status == 'Failed'\"}}}]]
  - {name: work, container: {image: a, command: ['true']}}
",
        &[],
    );
    assert_eq!(ran.end(), "Succeeded");
    assert_eq!(ran.names(), ["wf", "wf[0]", "wf[0].step", "wf[0].step.hooks.ran"]);
}

#[test]
fn a_hook_of_the_workflow_that_fails_is_an_error_of_the_workflow() {
    let ran = with_hook("\"false\"", "hooks: {bad: {template: note, expression: \"asInt('x') == 1\"}}");
    assert!(ran.end().starts_with("Error: unable to evaluate expression 'asInt('x') == 1'"), "{}", ran.end());
    let ran = with_hook("\"false\"", "hooks: {exit: {template: note, expression: \"workflow.status + 1 == ''\"}}");
    assert!(ran.end().starts_with("Error: error in exit template execution : "), "{}", ran.end());
}
