//! What is shown comes in the order in which it happened, and steps have their names.

use crate::support::Here;

/// Two tasks whose names are in the other order, around steps.
const NESTED: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: nested}
spec:
  entrypoint: main
  templates:
  - name: main
    dag:
      tasks:
      - {name: z, template: say}
      - {name: m, template: inner, depends: z}
      - {name: a, template: bad, depends: m}
  - name: inner
    steps: [[{name: s, template: say}]]
  - name: say
    container: {image: busybox, command: [sh, -c, 'echo one; sleep 0.02; echo two']}
  - name: bad
    container: {image: busybox, command: ['false']}
";

#[test]
fn lines_of_a_run_are_in_the_order_of_time_and_speak_of_steps() {
    let here = Here::with(&[("nested.yaml", NESTED)]);
    let said = here.argosy("run nested.yaml --log").ends_with(1);
    let (lines, report) = said.out.split_once("Name:").expect("a report");
    let at = |words: &str| lines.find(words).unwrap_or_else(|| panic!("{words:?} is not in\n{lines}"));
    let events = [
        "workflow nested Running",
        "Succeeded z (",
        "Succeeded m.s (",
        "Succeeded m (",
        "Failed    a (",
        "workflow nested Failed",
    ];
    assert!(events.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{lines}");
    let logs = ["z: one", "z: two", "m.s: one", "m.s: two"];
    assert!(logs.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{lines}");
    assert!(!lines.contains("[0]") && !lines.contains("nested-"), "{lines}");
    let tree = |name: &str| report.find(&format!("─{name} ")).unwrap_or_else(|| panic!("{name} is not in\n{report}"));
    assert!(tree("✔ z") < tree("✔ m") && tree("✔ m") < tree("✖ a"), "{report}");
}

#[test]
fn messages_name_steps() {
    let here = Here::with(&[("bad.yaml", crate::support::FAILS)]);
    let said = here.argosy("run bad.yaml").ends_with(1);
    assert!(said.out.contains("child 'second' failed"), "{said:#?}");
    assert!(!said.out.contains("child 'fails-"), "{said:#?}");
}
