//! Flags that most often are a slip of the pen.

use crate::support::Here;

const GREETS: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: greets}
spec:
  entrypoint: main
  arguments: {parameters: [{name: message, value: hello}]}
  templates:
  - {name: main, container: {image: busybox, command: [echo, '{{workflow.parameters.message}}']}}
";

#[test]
fn a_parameter_that_no_workflow_has_is_told_and_the_run_goes_on() {
    let here = Here::with(&[("greets.yaml", GREETS)]);
    let said = here.argosy("run greets.yaml -p mesage=bye").ends_with(0);
    assert!(
        said.err.contains("warning: parameter mesage: no workflow has") && said.err.contains("did you mean `message`?"),
        "{said:#?}"
    );
    let said = here.argosy("run greets.yaml -p message=bye").ends_with(0);
    assert!(!said.err.contains("parameter message") && said.out.contains("  bye\n"), "{said:#?}");
    let said = here.argosy("submit greets.yaml -p nothing=bye --dry-run").ends_with(0);
    assert!(said.err.contains("parameter nothing") && said.err.contains("(known here: message)"), "{said:#?}");
}
