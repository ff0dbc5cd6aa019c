//! Loops: expressions that mix an item with whatever else there is, and how items are spelled.

use crate::run::run;

#[test]
fn expressions_mix_an_item_with_inputs_variables_and_outputs() {
    for kind in ["steps", "tasks"] {
        let body = "
      - name: a
        template: say
        AFTER
        withItems: [{k: x, n: 3}]
        arguments: {parameters: [{name: v, value: \"{{=item.k + '-' + inputs.parameters.p + '-' + workflow.parameters.q + '-' + KIND.g.outputs.parameters.o}}\"}, {name: w, value: '{{=asInt(item.n) * 2}} {{item.k}} {{inputs.parameters.p}}'}]}
      - name: b
        template: say
        AFTER
        withSequence: {count: '2'}
        arguments: {parameters: [{name: v, value: \"{{=item == '1' ? workflow.name : KIND.g.outputs.result}}\"}, {name: w, value: '{{=asInt(item) + len(KIND.g.outputs.result)}}'}]}
      - name: c
        template: say
        AFTER
        withParam: '[{\"go\": true, \"n\": 1}, {\"go\": false, \"n\": 2}]'
        when: \"{{=item.go == 'true' && workflow.parameters.q == 'wf' && inputs.parameters.p == 'in'}}\"
        arguments: {parameters: [{name: v, value: '{{item.n}}'}, {name: w, value: \"{{=item.none ?? 'none'}}\"}]}
      - name: d
        template: say
        AFTER
        withParam: '{{KIND.g.outputs.parameters.o}}'
        arguments: {parameters: [{name: v, value: \"{{=inputs.parameters['p'] + item}}\"}, {name: w, value: '{{workflow.parameters.{{item}}}}'}]}
";
        let after = if kind == "steps" { "" } else { "depends: g" };
        let body = body.replace("KIND", kind).replace("AFTER", after);
        let template = if kind == "steps" {
            format!(
                "steps:\n    - - {{name: g, template: g}}\n    -{}",
                body.trim_start_matches('\n').replacen("      -", " -", 1)
            )
        } else {
            format!("dag:\n      tasks:\n      - {{name: g, template: g}}{body}")
        };
        let ran = run(
            &format!(
                "
spec:
  entrypoint: main
  arguments: {{parameters: [{{name: q, value: wf}}]}}
  templates:
  - name: main
    inputs: {{parameters: [{{name: p, value: in}}]}}
    {template}
  - {{name: g, script: {{image: a, command: [sh], source: x}}, outputs: {{parameters: [{{name: o, valueFrom: {{path: /o}}}}]}}}}
  - {{name: say, inputs: {{parameters: [{{name: v}}, {{name: w}}]}}, container: {{image: a, command: [echo], args: ['{{{{inputs.parameters.v}}}}']}}}}
"
            ),
            &[("g", "[\"q\"]")],
        );
        assert_eq!(ran.end(), "Succeeded", "{kind}");
        let at = |name: &str| if kind == "steps" { format!("wf[1].{name}") } else { format!("wf.{name}") };
        assert_eq!(ran.input(&at("a(0:k:x,n:3)"), "v"), "x-in-wf-[\"q\"]");
        assert_eq!(ran.input(&at("a(0:k:x,n:3)"), "w"), "6 x in");
        assert_eq!(ran.input(&at("b(0:0)"), "v"), "[\"q\"]");
        assert_eq!(ran.input(&at("b(1:1)"), "v"), "wf");
        assert_eq!(ran.input(&at("b(1:1)"), "w"), "6");
        assert_eq!(ran.input(&at("c(0:go:true,n:1)"), "v"), "1");
        assert_eq!(ran.input(&at("c(0:go:true,n:1)"), "w"), "none");
        assert_eq!(ran.node(&at("c(1:go:false,n:2)")), "Skipped: when 'false' evaluated false");
        assert_eq!(ran.input(&at("d(0:q)"), "v"), "inq");
        assert_eq!(ran.input(&at("d(0:q)"), "w"), "wf");
    }
}

#[test]
fn what_an_item_lacks_is_an_error_unless_the_step_is_skipped() {
    let ran = run(
        "
spec:
  entrypoint: main
  templates:
  - name: main
    dag:
      failFast: false
      tasks:
      - {name: plain, template: say, withItems: [{z: w}, {n: 2}], arguments: {parameters: [{name: v, value: '{{item.z}}'}]}}
      - {name: never, template: say, when: 1 == 2, withItems: [{z: w}, {n: 2}], arguments: {parameters: [{name: v, value: '{{item.z}}'}]}}
      - {name: stays, template: say, arguments: {parameters: [{name: v, value: \"{{='os ' + 'x'}}\"}]}}
  - {name: say, inputs: {parameters: [{name: v}]}, container: {image: a, command: [echo]}}
",
        &[],
    );
    assert_eq!(ran.node("wf.plain"), "Error: failed to resolve {{item.z}}");
    assert_eq!(ran.node("wf.never(1:n:2)"), "Skipped: when '1 == 2' evaluated false");
}

#[test]
fn numbers_of_a_list_keep_their_spelling_in_values_names_and_later_loops() {
    let ran = run(
        "
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - - name: lst
        template: say
        withParam: '[1.0, 3.10, 1e-05, {\"v\": 2.50}, [ 1.0, 2 ]]'
        arguments: {parameters: [{name: v, value: '{{item}}'}]}
    - - name: m
        template: say
        withParam: '{{steps.lst.outputs.result}}'
        arguments: {parameters: [{name: v, value: '{{item}}'}]}
  - {name: say, inputs: {parameters: [{name: v}]}, script: {image: a, command: [sh], source: '{{inputs.parameters.v}}'}}
",
        &[("lst(0:1.0)", "1.0"), ("lst(1:3.10)", "3.10"), ("lst(2:1e-05)", "{\"b\": 1e3, \"a\": 7.0}")],
    );
    assert_eq!(ran.input("wf[0].lst(0:1.0)", "v"), "1.0");
    assert_eq!(ran.input("wf[0].lst(1:3.10)", "v"), "3.10");
    assert_eq!(ran.input("wf[0].lst(2:1e-05)", "v"), "1e-05");
    assert_eq!(ran.input("wf[0].lst(3:v:2.50)", "v"), "{\"v\":2.50}");
    assert_eq!(ran.input("wf[0].lst(4:[1.0 2])", "v"), "[1.0,2]");
    assert_eq!(ran.input("wf[1].m(1:3.10)", "v"), "3.10");
    assert_eq!(ran.input("wf[1].m(2:a:7.0,b:1e3)", "v"), "{\"a\":7.0,\"b\":1e3}");
}
