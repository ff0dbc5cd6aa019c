//! What steps wrote, when the run has ended.

use crate::support::{FAILS, Here};

const ALONE: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: alone}
spec:
  entrypoint: main
  templates:
  - {name: main, container: {image: busybox, command: [echo, 'hello, newcomer']}}
";

#[test]
fn a_failed_step_shows_the_end_of_its_log() {
    let here = Here::with(&[("bad.yaml", FAILS)]);
    let said = here.argosy("run bad.yaml").ends_with(1);
    assert!(
        said.out.contains("second, which failed, wrote, in its last 20 lines (--log shows all):\n  line 11\n"),
        "{said:#?}"
    );
    assert!(said.out.ends_with("  line 30\n") && !said.out.contains("  hi\n"), "{said:#?}");
    let json = here.argosy("run bad.yaml -o json").ends_with(1);
    serde_json::from_str::<serde_json::Value>(&json.out).expect("nothing but the object");
    assert!(json.err.ends_with("  line 30\n"), "{json:#?}");
    let logged = here.argosy("run bad.yaml --log").ends_with(1);
    assert_eq!(logged.out.matches("line 30").count(), 1, "{logged:#?}");
}

#[test]
fn a_single_step_shows_what_it_wrote() {
    let here = Here::with(&[("alone.yaml", ALONE)]);
    let said = here.argosy("run alone.yaml").ends_with(0);
    assert!(said.out.ends_with("alone wrote:\n  hello, newcomer\n"), "{said:#?}");
    let silent = ALONE.replace("[echo, 'hello, newcomer']", "['false']");
    here.file("silent.yaml", &silent);
    let said = here.argosy("run silent.yaml").ends_with(1);
    assert!(said.out.ends_with("alone, which failed, wrote nothing\n"), "{said:#?}");
}

const INIT: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: w}
spec:
  entrypoint: main
  templates:
  - name: main
    initContainers: [{name: prepare, image: busybox, command: [sh, -c, 'echo cannot prepare; exit 7']}]
    container: {image: busybox, command: [echo, never]}
";

const SET: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: w}
spec:
  entrypoint: main
  templates:
  - name: main
    containerSet:
      containers:
      - {name: main, image: busybox, command: [echo, fine]}
      - {name: other, dependencies: [main], image: busybox, command: [sh, -c, 'echo bad; exit 3']}
";

#[test]
fn of_several_containers_the_one_that_failed_is_named() {
    let here = Here::with(&[("init.yaml", INIT), ("set.yaml", SET)]);
    let said = here.argosy("run init.yaml").ends_with(1);
    assert!(said.out.ends_with("\nw/prepare, which failed, wrote:\n  cannot prepare\n"), "{said:#?}");
    let said = here.argosy("run set.yaml").ends_with(1);
    let logs = "\nw/main wrote:\n  fine\n\nw/other, which failed, wrote:\n  bad\n";
    assert!(said.out.ends_with(logs), "{said:#?}");
}

#[test]
fn the_end_of_a_large_log_comes() {
    let large = ALONE.replace("[echo, 'hello, newcomer']", "[sh, -c, 'seq 1 100000; echo the end; exit 1']");
    let here = Here::with(&[("large.yaml", &large)]);
    let said = here.argosy("run large.yaml --log").ends_with(1);
    assert_eq!(said.out.lines().filter(|line| line.starts_with("alone: ")).count(), 100_001, "{}", said.err);
    assert!(said.out.contains("\nalone: the end\n"), "{}", said.err);
}
