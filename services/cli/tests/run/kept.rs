//! Runs that end before their workflows, and what goes on later.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
};

use crate::support::{Here, send};

/// Waits for somebody, then takes a step.
const WAITS: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: waits}
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - - {name: approve, template: wait}
    - - {name: after, template: say}
  - {name: wait, suspend: {}}
  - {name: say, container: {image: busybox, command: [echo, hi]}}
";

/// A run that has come to where somebody is waited for, and the lines that follow.
fn waiting(here: &Here, arguments: &str) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut run = here.command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
    let lines = BufReader::new(run.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let mut lines = lines.skip_while(|line| !line.starts_with("approve waits for somebody"));
    assert!(lines.next().is_some(), "it never waits");
    (run, lines)
}

#[test]
fn a_signal_is_told_by_the_exit_code_and_what_is_kept_goes_on() {
    let here = Here::with(&[("waits.yaml", WAITS), ("other.yaml", &WAITS.replace("hi]", "ho]"))]);
    for (signal, name, code) in [("-TERM", "SIGTERM", 143), ("-HUP", "SIGHUP", 129)] {
        let (mut run, mut lines) = waiting(&here, "run waits.yaml --data-dir data");
        send(signal, &run);
        let words = format!("ended by {name} before the workflow; what had not ended goes on when data is used again");
        assert!(lines.any(|line| line.starts_with(&words)), "{name}");
        assert_eq!(run.wait().expect("ends").code(), Some(code));
    }
    let (mut run, _lines) = waiting(&here, "run waits.yaml --data-dir data");
    run.kill().expect("killed");
    run.wait().expect("ends");
    let said = here.argosy("run other.yaml --data-dir data").ends_with(2);
    assert!(said.err.contains("waits of an earlier run is in data, has not ended, and is another"), "{said:#?}");
    let mut run = here
        .command("run waits.yaml --data-dir data")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(run.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "note: waits goes on where an earlier run has left it in data"));
    assert!(lines.any(|line| line == "  argosy resume waits"));
    here.argosy("resume waits").ends_with(0);
    assert_eq!(run.wait().expect("ends").code(), Some(0));
    let said = here.argosy("run waits.yaml --data-dir data").ends_with(2);
    assert!(
        said.err.contains("waits ran in data before, and is Succeeded; choose another name with --name"),
        "{said:#?}"
    );
    here.argosy("run waits.yaml --data-dir data --name again --timeout 0s").ends_with(1);
}

#[test]
fn a_run_says_what_else_goes_on() {
    let here = Here::with(&[("waits.yaml", WAITS)]);
    let (mut run, _lines) = waiting(&here, "run waits.yaml --data-dir data");
    send("-TERM", &run);
    run.wait().expect("ends");
    let said = here.argosy("run waits.yaml --data-dir data --name other --timeout 0s").ends_with(1);
    assert!(said.err.contains("note: waits of an earlier run goes on as well, until this run ends"), "{said:#?}");
}
