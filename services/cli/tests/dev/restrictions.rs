//! An installation that only runs workflows from templates.

use crate::support::{Dev, has};

const TEMPLATE: &str = "
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: greet}
spec: {entrypoint: main, templates: [{name: main, container: {image: busybox, command: ['true']}}]}
";

#[test]
fn a_strict_installation_refuses_plain_workflows_and_runs_those_from_templates() {
    let dev = Dev::start_with(&["--workflow-restrictions", "strict", "--depth-max", "3"]);
    dev.file("greet.yaml", TEMPLATE);
    dev.file("plain.yaml", &TEMPLATE.replace("WorkflowTemplate", "Workflow"));
    dev.argosy(1, "submit plain.yaml --wait");
    has(
        &dev.argosy(0, "get greet"),
        &[
            "Status:              Error",
            "workflows must use workflowTemplateRef to be executed when the controller is in reference mode",
        ],
    );
    dev.argosy(0, "template create greet.yaml");
    has(&dev.argosy(0, "submit --from workflowtemplate/greet --wait"), &[" Succeeded at 20"]);
}
