//! `workflowMetadata`, and workflows that run by a template.

use argosy_engine::{Config, ops};
use serde_json::Value;

use crate::run::{Run, drive, run, run_with};

fn labelled(metadata: &str, args: &str) -> Run {
    run(
        &format!(
            "
metadata: {{labels: {{own: kept, both: mine}}}}
spec:
  entrypoint: main
  arguments: {{parameters: [{{name: env, value: dev}}, {{name: bad, value: 'not a label'}}]}}
  workflowMetadata: {metadata}
  templates:
  - name: main
    container: {{image: a, command: [echo], args: ['{args}']}}
"
        ),
        &[],
    )
}

#[test]
fn labels_and_annotations_are_put_on_the_workflow_and_can_be_named() {
    let ran = labelled(
        "{labels: {foo: bar, both: theirs}, annotations: {note: hi}, labelsFrom: {made: {expression: \"workflow.parameters.env + '-' + workflow.labels.foo\"}}}",
        "{{workflow.labels.foo}} {{workflow.annotations.note}} {{workflow.labels.made}}",
    );
    assert_eq!(ran.end(), "Succeeded");
    let labels = &ran.object.metadata.labels;
    let label = |name: &str| labels.get(name).map(String::as_str);
    assert_eq!((label("foo"), label("made")), (Some("bar"), Some("dev-bar")));
    assert_eq!((label("own"), label("both")), (Some("kept"), Some("theirs")));
    assert_eq!(ran.object.metadata.annotations["note"], "hi");
    assert_eq!(ran.args("wf"), "bar hi dev-bar");
}

#[test]
fn metadata_that_cannot_be_told_ends_the_workflow_before_its_first_node() {
    for (metadata, message) in [
        (
            "{labelsFrom: {made: {expression: workflow.parameters.env +}}}",
            "failed to compile function for expression \"workflow.parameters.env +\": unexpected token EOF",
        ),
        (
            "{labelsFrom: {made: {expression: workflow.parameters.nothing.x}}}",
            "failed to evaluate label \"made\" expression",
        ),
        ("{labelsFrom: {made: {expression: '1 + 1'}}}", "evaluted to int but must be a string"),
        (
            "{labelsFrom: {made: {expression: workflow.parameters.bad}}}",
            "invalid label value \"not a label\" for label \"made\" and expression",
        ),
        ("{labels: {foo: -bar}}", "invalid label value \"-bar\" for label \"foo\""),
    ] {
        let ran = labelled(metadata, "none");
        assert!(ran.end().starts_with("Error: ") && ran.end().contains(message), "{metadata}: {}", ran.end());
        assert!(ran.names().is_empty());
    }
}

const TEMPLATE: &str = "
kind: WorkflowTemplate
metadata: {name: t}
spec:
  entrypoint: main
  arguments: {parameters: [{name: num, value: one}]}
  templates:
  - name: main
    steps: [[{name: first, template: work}], [{name: second, template: work}]]
  - {name: work, container: {image: a, command: [echo], args: ['{{workflow.parameters.num}}']}}
---
spec: {workflowTemplateRef: {name: t}}
";

/// A workflow that is retried runs by the spec that it began with, whether its template is still there or not.
#[test]
fn a_workflow_of_a_template_can_be_retried() {
    for parameters in [vec![], vec!["num=two".to_owned()]] {
        let failed = run_with(TEMPLATE, &[], &["second"], Config::default());
        assert_eq!(failed.object.status.phase.as_str(), "Failed");
        let mut object = failed.object;
        let retry = ops::retry::Retry { parameters: parameters.clone(), ..Default::default() };
        ops::retry::retry(&mut object, &retry, None, "2026-01-02T04:00:00Z".parse().expect("a moment"))
            .expect("a retry");
        let documents: [Value; 0] = [];
        let retried = drive(object, &documents, &[], &[], Config::default());
        assert_eq!(retried.end(), "Succeeded");
        let expected = if parameters.is_empty() { "one" } else { "two" };
        assert_eq!(retried.args("wf[1].second"), expected);
    }
}
