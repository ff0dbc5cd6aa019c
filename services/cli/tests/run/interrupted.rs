//! Runs that are ended before their steps.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use crate::support::{Here, send};

const CLEANS: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: cleans}
spec:
  entrypoint: main
  templates:
  - name: main
    container:
      image: busybox
      command: [sh, -c]
      args: [\"trap 'sleep 1; echo cleaned; exit 3' TERM; echo ready; while true; do sleep 0.1; done\"]
";

#[test]
fn steps_clean_up_when_a_run_is_interrupted_once() {
    let here = Here::with(&[("cleans.yaml", CLEANS)]);
    let mut run = here.command("run cleans.yaml --log");
    let mut run = run.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
    let mut lines = BufReader::new(run.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "cleans: ready"), "it never begins");
    send("-INT", &run);
    assert!(lines.any(|line| line == "cleans: cleaned"), "it is killed before");
    assert_eq!(run.wait().expect("ends").code(), Some(1));
}

#[test]
fn a_workflow_tells_that_its_time_was_up() {
    let here = Here::with(&[("cleans.yaml", CLEANS)]);
    let said = here.argosy("run cleans.yaml --timeout 0s").ends_with(1);
    let reason = said.out.lines().find(|line| line.starts_with("Stopped because:"));
    assert!(reason.is_some_and(|line| line.ends_with("the run took longer than 0s (--timeout)")), "{said:#?}");
}
