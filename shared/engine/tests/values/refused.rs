//! Workflows that validation refuses: what is told first, and in which words. Source: Argo `workflow/validate`.

use crate::run::run;

const LEAF: &str = "{name: ok, container: {image: a, command: ['true']}}";

/// What is said of a workflow with the entry point `main`.
fn told(main: &str, others: &str) -> String {
    let end = run(&format!("spec:\n  entrypoint: main\n  templates:\n  - {main}\n  - {LEAF}\n{others}"), &[]).end();
    end.strip_prefix("Failed: invalid spec: ").map_or(end.clone(), str::to_owned)
}

#[test]
fn the_first_mistake_is_told_in_argos_words() {
    let unknown = "  - {name: b, container: {image: a, args: ['{{inputs.parameters.none}}']}}";
    for (main, others, expected) in [
        // What is wrong with a composite comes before what it calls.
        (
            "{name: main, steps: [[{name: a, template: b}], [{name: a, template: ok}]]}",
            unknown,
            "templates.main.steps[0].a templates.b: failed to resolve {{inputs.parameters.none}}",
        ),
        (
            "{name: main, steps: [[{name: a, template: ok}], [{name: a, template: b}]]}",
            unknown,
            "templates.main.steps[1].name 'a' is not unique",
        ),
        (
            "{name: main, dag: {tasks: [{name: b, template: none, depends: a}, {name: a, template: none}]}}",
            "",
            "templates.main.tasks.a template name 'none' undefined",
        ),
        (
            "{name: main, dag: {tasks: [{name: a, template: none, depends: b}, {name: b, template: none, depends: a}]}}",
            "",
            "templates.main sorting failed: graph with cycle",
        ),
        (
            "{name: main, dag: {tasks: [{name: a, template: none}, {name: a, template: none}]}}",
            "",
            "templates.main sorting failed: duplicated nodeName a",
        ),
        (
            "{name: main, dag: {target: 'a x', tasks: [{name: a, template: ok}]}}",
            "",
            "templates.main.targets: target 'x' is not defined",
        ),
        (
            "{name: main, dag: {tasks: [{name: a, template: ok}, {name: b, template: ok, depends: a.Done}]}}",
            "",
            "templates.main.tasks.b task result 'Done' for task 'a' is invalid",
        ),
        (
            "{name: main, dag: {tasks: [{name: a, template: ok, continueOn: {failed: true}}, {name: b, template: ok, depends: a}]}}",
            "",
            "templates.main cannot use 'continueOn' when using 'depends'. Instead use 'dep-task.Failed'/'dep-task.Errored'",
        ),
        // Names and values that arguments make.
        (
            "{name: main, steps: [[{name: a, template: ok, templateRef: {name: x, template: z}}]]}",
            "",
            "templates.main.steps[0].a template name cannot be specified with templateRef",
        ),
        ("{name: main, steps: [[{name: a}]]}", "", "templates.main.steps[0].a failed to get a template"),
        (
            "{name: main, steps: [[{name: a, template: ok, withItems: [1], withParam: '[]'}]]}",
            "",
            "templates.main.steps[0].a only one of withItems, withParam, withSequence can be specified",
        ),
        (
            "{name: main, steps: [[{name: a, template: b, arguments: {parameters: [{name: t, value: '30'}]}}]]}",
            "  - {name: b, inputs: {parameters: [{name: t}]}, timeout: '{{inputs.parameters.t}}', container: {image: a}}",
            "templates.main.steps[0].a b has invalid duration format in timeout",
        ),
        ("{name: main, timeout: 5s, suspend: {}}", "", "Suspend template doesn't support timeout field"),
        // Leaves.
        (
            "{name: main, parallelism: 1, suspend: {}}",
            "",
            "templates.main.parallelism is only valid for steps and dag templates",
        ),
        (
            "{name: main, container: {image: a, volumeMounts: [{name: v, mountPath: /a}, {name: w, mountPath: /a}]}}",
            "",
            "templates.main.container.volumeMounts[1].mountPath '/a' already mounted in container.volumeMounts.v",
        ),
        (
            "{name: main, inputs: {parameters: [{name: i, default: ''}]}, container: {image: '{{inputs.parameters.i}}'}}",
            "",
            "templates.main.container.image may not be empty",
        ),
        (
            "{name: main, inputs: {artifacts: [{name: a, raw: {data: x}}]}, container: {image: a}}",
            "",
            "error in templates.main.inputs.artifacts.a: Artifact 'a' did not specify a path",
        ),
        (
            "{name: main, inputs: {artifacts: [{name: a, path: /tmp/x/../../etc, raw: {data: x}}]}, container: {image: a}}",
            "",
            "error in templates.main.inputs.artifacts.a: Artifact 'a' attempted to use a path containing '..'. Directory traversal is not permitted",
        ),
        (
            "{name: main, resource: {action: create}}",
            "",
            "either templates.main.resource.manifest or templates.main.resource.manifestFrom must be specified",
        ),
        (
            "{name: main, resource: {action: apply, manifest: 'a: [1'}}",
            "",
            "templates.main.resource.manifest must be a valid yaml",
        ),
        (
            "{name: main, containerSet: {containers: [{name: a, image: a, dependencies: [b]}, {name: b, image: a, dependencies: [a]}]}}",
            "",
            "templates.main.containerSet.containers dependency cycle detected: b->a->b",
        ),
        // Outputs.
        (
            "{name: main, outputs: {parameters: [{name: p, value: a, valueFrom: {path: /x}}]}, container: {image: a}}",
            "",
            "templates.main.outputs.parameters.p has both valueFrom and value specified, choose one",
        ),
        (
            "{name: main, outputs: {parameters: [{name: p, valueFrom: {default: a}}]}, container: {image: a}}",
            "",
            "valueFrom type unspecified. choose one of: path, jqFilter, jsonPath, parameter, raw, expression",
        ),
        (
            "{name: main, outputs: {parameters: [{name: p, valueFrom: {path: /x}}]}, resource: {action: get}}",
            "",
            "templates.main.outputs.parameters.p .jqFilter or jsonPath must be specified for Resource templates",
        ),
        (
            "{name: main, outputs: {artifacts: [{name: a, path: /x}]}, suspend: {}}",
            "",
            "templates.main.outputs.artifacts.a.path only valid in container/script templates",
        ),
        (
            "{name: main, outputs: {parameters: [{name: p, globalName: a b, valueFrom: {path: /x}}]}, container: {image: a}}",
            "",
            "templates.main.outputs.parameters.p.globalName: Parameter/Artifact name must consist of alpha-numeric characters, '_' or '-' e.g. my_param_1, MY-PARAM-1",
        ),
        // What is known of steps.
        (
            "{name: main, steps: [[{name: a, template: ok}], [{name: b, template: ok, when: '{{steps.a.ip}} == x'}]]}",
            "",
            "templates.main.steps failed to resolve {{steps.a.ip}}",
        ),
        (
            "{name: main, dag: {tasks: [{name: a, template: ok, withSequence: {count: 2}}, {name: b, template: ok, depends: a, when: '{{tasks.a.outputs.parameters}} == x'}]}}",
            "",
            "templates.main.tasks.b failed to resolve {{tasks.a.outputs.parameters}}",
        ),
        (
            "{name: main, steps: [[{name: a, template: ok, hooks: {exit: {template: ok, arguments: {parameters: [{name: p, value: '{{steps.b.status}}'}]}}}}], [{name: b, template: ok}]]}",
            "",
            "templates.main.steps failed to resolve {{steps.b.status}}",
        ),
    ] {
        assert_eq!(told(main, others), expected, "{main}");
    }
}

#[test]
fn what_only_the_run_can_know_is_no_mistake() {
    for main in [
        "{name: main, container: {image: a, args: ['{{item}} {{user.name}} {{outputs.parameters.x}} {{node.name}}']}}",
        "{name: main, steps: [[{name: a, template: ok, hooks: {exit: {template: none}}}]]}",
        "{name: main, activeDeadlineSeconds: '{{workflow.parameters.none}}', container: {image: a}}",
        "{name: main, dag: {tasks: [{name: a, template: ok}, {name: b, template: ok, depends: a, when: '{{tasks.a.status}} != x'}]}}",
    ] {
        let end = told(main, "");
        let is_lost = end == "templates.main: failed to resolve {{workflow.parameters.none}}";
        assert!(end == "Succeeded" || is_lost && main.contains("none"), "{main}: {end}");
    }
}
