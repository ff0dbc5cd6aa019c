//! What is put into a text is data: tags in it are not looked at again, wherever it came from.

use crate::run::run;

const SECRET: &str = "arguments: {parameters: [{name: secret, value: TOPSECRET}, {name: hidden, value: HIDDEN}]}";

/// A printed text that names variables is passed on as it is: to inputs, pods, conditions and outputs.
#[test]
fn outputs_of_pods_are_not_evaluated() {
    for evil in [
        "{{workflow.parameters.secret}}",
        "{{=sprig.upper(workflow.parameters.secret)}}",
        "{{inputs.parameters.own}} {{node.name}}",
        "{{steps.gen.status}}{{item}}",
        "x}} {{workflow.parameters.secret}} {{",
    ] {
        let ran = run(
            &format!(
                "
spec:
  entrypoint: main
  {SECRET}
  templates:
  - name: main
    steps:
    - - {{name: gen, template: gen}}
    - - name: use
        template: use
        when: \"'{{{{steps.gen.outputs.result}}}}' != 'TOPSECRET'\"
        arguments: {{parameters: [{{name: text, value: 'got {{{{steps.gen.outputs.result}}}}'}}, {{name: own, value: OWN}}]}}
      - name: inner
        template: inner
        arguments: {{parameters: [{{name: text, value: '{{{{steps.gen.outputs.parameters.o}}}}'}}]}}
      - name: each
        template: use
        withItems: [a]
        arguments: {{parameters: [{{name: text, value: '{{{{item}}}} {{{{steps.gen.outputs.result}}}}'}}, {{name: own, value: '{{{{steps.gen.outputs.result}}}}'}}]}}
  - name: inner
    inputs: {{parameters: [{{name: text}}]}}
    dag: {{tasks: [{{name: use, template: use, arguments: {{parameters: [{{name: text, value: '{{{{inputs.parameters.text}}}}'}}, {{name: own, value: OWN}}]}}}}]}}
  - {{name: gen, script: {{image: a, command: [sh], source: x}}, outputs: {{parameters: [{{name: o, valueFrom: {{path: /o}}}}]}}}}
  - name: use
    inputs: {{parameters: [{{name: text}}, {{name: own}}, {{name: made, value: '<{{{{inputs.parameters.text}}}}>'}}]}}
    container: {{image: a, command: [echo], args: ['{{{{inputs.parameters.text}}}}', '{{{{inputs.parameters.made}}}}']}}
"
            ),
            &[("gen", evil)],
        );
        assert_eq!(ran.end(), "Succeeded", "{evil}");
        assert_eq!(ran.input("wf[1].use", "text"), format!("got {evil}"));
        assert_eq!(ran.input("wf[1].use", "made"), format!("<got {evil}>"));
        assert_eq!(ran.args("wf[1].use"), format!("got {evil} <got {evil}>"));
        assert_eq!(ran.input("wf[1].inner.use", "text"), evil);
        assert_eq!(ran.args("wf[1].inner.use"), format!("{evil} <{evil}>"));
        assert_eq!(ran.input("wf[1].each(0:a)", "text"), format!("a {evil}"));
        assert_eq!(ran.input("wf[1].each(0:a)", "own"), evil);
    }
}

/// The same for items that a pod printed.
#[test]
fn items_are_not_evaluated() {
    let ran = run(
        &format!(
            "
spec:
  entrypoint: main
  {SECRET}
  templates:
  - name: main
    dag:
      tasks:
      - {{name: gen, template: gen}}
      - name: each
        depends: gen
        template: use
        withParam: '{{{{tasks.gen.outputs.result}}}}'
        arguments: {{parameters: [{{name: text, value: '{{{{item}}}}'}}]}}
  - {{name: gen, script: {{image: a, command: [sh], source: x}}}}
  - name: use
    inputs: {{parameters: [{{name: text}}]}}
    container: {{image: a, command: [echo], args: ['{{{{inputs.parameters.text}}}}']}}
"
        ),
        &[("gen", "[\"{{workflow.parameters.secret}}\", \"{{=1 + 1}}\"]")],
    );
    assert_eq!(ran.end(), "Succeeded");
    assert_eq!(ran.args("wf.each(0:{{workflow.parameters.secret}})"), "{{workflow.parameters.secret}}");
    assert_eq!(ran.args("wf.each(1:{{=1 + 1}})"), "{{=1 + 1}}");
}

/// Variables in the values of the workflow's parameters are put in, as Argo's users do; expressions are not evaluated.
#[test]
fn parameters_of_the_workflow_may_name_variables_but_hold_no_expressions() {
    let ran = run(
        "
spec:
  entrypoint: main
  onExit: say
  arguments:
    parameters:
    - {name: msg, value: '{{=sprig.upper(workflow.parameters.secret)}}'}
    - {name: secret, value: top}
    - {name: target, value: '{{workflow.parameters.greeting}} {{workflow.name}}'}
    - {name: greeting, value: '{{workflow.parameters.word}}!'}
    - {name: word, value: hello}
    - {name: circle, value: '{{workflow.parameters.circle}}'}
    - {name: hidden, value: '{{inputs.parameters.own}}'}
  templates:
  - name: main
    steps:
    - - name: say
        template: say
        arguments: {parameters: [{name: msg, value: '{{workflow.parameters.msg}}'}, {name: target, value: '{{workflow.parameters.target}}'}, {name: hidden, value: '{{workflow.parameters.hidden}}'}]}
  - name: say
    inputs: {parameters: [{name: msg}, {name: target}, {name: hidden}, {name: own, value: OWN}]}
    container: {image: a, command: [echo], args: ['{{inputs.parameters.msg}}', '{{inputs.parameters.target}}', '{{inputs.parameters.hidden}}', '{{workflow.parameters.circle}}']}
",
        &[],
    );
    let expected = "{{=sprig.upper(workflow.parameters.secret)}} hello! wf {{inputs.parameters.own}} {{workflow.parameters.circle}}";
    assert_eq!(ran.args("wf[0].say"), expected);
    assert_eq!(ran.args("wf.onExit"), expected);
}

/// The workflow's part of a pod names the template's inputs; what these hold is not looked at.
#[test]
fn inputs_in_the_spec_of_the_pod_are_data() {
    let ran = run(
        "
spec:
  entrypoint: main
  volumes: [{name: v, configMap: {name: 'cm-{{inputs.parameters.num}}'}}]
  templates:
  - name: main
    inputs: {parameters: [{name: num, value: x}, {name: text, value: '{{workflow.name}}'}]}
    steps:
    - - name: a
        template: leaf
        arguments: {parameters: [{name: num, value: one}, {name: text, value: \"{{='{{' + 'inputs.parameters.num}' + '}'}}\"}]}
  - name: leaf
    inputs: {parameters: [{name: num}, {name: text}]}
    container: {image: a, command: [echo], args: ['{{inputs.parameters.text}}'], volumeMounts: [{name: v, mountPath: /v}]}
",
        &[],
    );
    assert_eq!(ran.end(), "Succeeded");
    assert!(ran.manifest("wf[0].a")["spec"]["volumes"].to_string().contains("cm-one"));
}
