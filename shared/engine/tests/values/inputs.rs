//! Inputs: defaults that name other inputs, artifacts of the template and of the caller.

use serde_json::json;

use crate::run::run;

#[test]
fn defaults_may_name_other_inputs_in_any_order() {
    let ran = run(
        "
spec:
  entrypoint: main
  arguments: {parameters: [{name: g, value: G}, {name: host-dev, value: d.example}]}
  templates:
  - name: main
    steps:
    - - {name: a, template: leaf, arguments: {parameters: [{name: name, value: api}]}}
      - {name: b, template: group, arguments: {parameters: [{name: name, value: web}]}}
  - name: leaf
    inputs:
      parameters:
      - {name: last, value: '{{inputs.parameters.full}}@{{workflow.parameters.g}}'}
      - {name: full, value: \"{{=inputs.parameters.image + ':' + inputs.parameters.tag}}\"}
      - {name: image, default: 'repo/{{inputs.parameters.name}}'}
      - {name: tag, value: '1.2'}
      - {name: name}
      - {name: around, value: '{{inputs.parameters.about}}'}
      - {name: about, value: '{{inputs.parameters.around}}'}
      - {name: me, value: '{{node.name}}'}
      - {name: env, value: dev}
      - {name: host, value: '{{workflow.parameters.host-{{inputs.parameters.env}}}}'}
    container: {image: '{{inputs.parameters.image}}', command: [echo], args: ['{{inputs.parameters.last}}', '{{inputs.parameters.me}}']}
  - name: group
    inputs: {parameters: [{name: name}, {name: full, value: 'repo/{{inputs.parameters.name}}:9'}]}
    dag: {tasks: [{name: c, template: say, arguments: {parameters: [{name: v, value: '{{inputs.parameters.full}}'}]}}]}
  - {name: say, inputs: {parameters: [{name: v}]}, container: {image: a, command: [echo], args: ['{{inputs.parameters.v}}']}}
",
        &[],
    );
    assert_eq!(ran.end(), "Succeeded");
    assert_eq!(ran.input("wf[0].a", "full"), "repo/api:1.2");
    assert_eq!(ran.input("wf[0].a", "last"), "repo/api:1.2@G");
    assert_eq!(ran.input("wf[0].a", "around"), "{{inputs.parameters.about}}");
    assert_eq!(ran.input("wf[0].a", "host"), "d.example");
    assert_eq!(ran.args("wf[0].a"), "repo/api:1.2@G wf[0].a");
    assert_eq!(ran.input("wf[0].b", "full"), "repo/web:9");
    assert_eq!(ran.args("wf[0].b.c"), "repo/web:9");
}

#[test]
fn artifacts_of_a_template_may_name_its_inputs() {
    let ran = run(
        "
spec:
  entrypoint: main
  arguments: {parameters: [{name: g, value: G}]}
  templates:
  - name: main
    steps: [[{name: s, template: leaf, arguments: {parameters: [{name: p, value: P1}]}}]]
  - name: leaf
    inputs:
      parameters: [{name: p}, {name: d, value: 'D{{inputs.parameters.p}}'}]
      artifacts:
      - {name: a, path: /tmp/a, raw: {data: 'x {{inputs.parameters.p}} {{workflow.parameters.g}} {{=inputs.parameters.d}} {{node.name}}'}}
      - {name: b, path: '/tmp/{{inputs.parameters.p}}.txt', raw: {data: b}}
    outputs: {artifacts: [{name: o, path: '/out/{{inputs.parameters.d}}'}]}
    container: {image: a, command: [cat], args: ['{{inputs.artifacts.b.path}}', '{{outputs.artifacts.o.path}}']}
",
        &[],
    );
    assert_eq!(ran.end(), "Succeeded");
    assert_eq!(ran.artifact("wf[0].s", "a")["raw"]["data"], json!("x P1 G DP1 wf[0].s"));
    assert_eq!(ran.artifact("wf[0].s", "b")["path"], json!("/tmp/P1.txt"));
    assert_eq!(ran.args("wf[0].s"), "/tmp/P1.txt /out/DP1");
}

#[test]
fn an_argument_takes_the_place_of_an_artifact_of_the_template() {
    let ran = run(
        "
spec:
  entrypoint: main
  arguments: {artifacts: [{name: e, raw: {data: wfarg}}]}
  templates:
  - name: main
    inputs: {artifacts: [{name: e, raw: {data: tmpl}}]}
    steps:
    - - {name: d, template: show}
      - {name: r, template: show, arguments: {artifacts: [{name: f, raw: {data: given}}]}}
      - {name: h, template: show, arguments: {artifacts: [{name: f, http: {url: 'http://x/{{workflow.name}}'}}]}}
      - {name: e, template: show, arguments: {artifacts: [{name: f, from: '{{inputs.artifacts.e}}'}]}}
      - {name: l, template: show, withItems: [one], arguments: {artifacts: [{name: f, raw: {data: 'item {{item}}'}}]}}
  - name: show
    inputs: {artifacts: [{name: f, path: /tmp/in, raw: {data: default}}]}
    container: {image: a, command: [cat], args: ['{{inputs.artifacts.f.path}}']}
",
        &[],
    );
    assert_eq!(ran.end(), "Succeeded");
    let data = |node: &str| ran.artifact(node, "f")["raw"]["data"].clone();
    assert_eq!(ran.artifact("wf", "e")["raw"]["data"], json!("wfarg"));
    assert_eq!(data("wf[0].d"), json!("default"));
    assert_eq!(data("wf[0].r"), json!("given"));
    assert_eq!(ran.artifact("wf[0].h", "f")["http"]["url"], json!("http://x/wf"));
    assert_eq!(ran.artifact("wf[0].h", "f")["raw"], json!(null));
    assert_eq!(ran.artifact("wf[0].h", "f")["path"], json!("/tmp/in"));
    assert_eq!(data("wf[0].e"), json!("wfarg"));
    assert_eq!(data("wf[0].l(0:one)"), json!("item one"));
}
