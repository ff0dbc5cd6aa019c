//! Runs that wait for a person, who comes with another terminal.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use crate::support::{Here, send};

const WAITS: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: waits}
spec:
  entrypoint: main
  templates:
  - name: main
    steps: [[{name: approve, template: wait}]]
  - {name: wait, suspend: {}}
";

#[test]
fn a_run_that_waits_says_how_it_goes_on_and_is_reached_from_elsewhere() {
    let here = Here::with(&[("waits.yaml", WAITS), ("other.yaml", &WAITS.replace("name: waits", "name: other"))]);
    let mut first =
        here.command("run waits.yaml").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
    let lines = BufReader::new(first.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let mut lines = lines.skip_while(|line| !line.starts_with("approve waits for somebody"));
    assert!(lines.next().is_some(), "no hint");
    assert_eq!(lines.next().as_deref(), Some("  argosy resume waits"));
    assert!(here.argosy("list").ends_with(0).out.contains("Running (Suspended)"));

    // Of two runs, the name says which one is meant.
    let mut second =
        here.command("run other.yaml").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    let begun = Instant::now();
    while !here.argosy("get other").out.contains("ǁ approve") {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never waits");
        std::thread::sleep(Duration::from_millis(50));
    }
    let said = here.argosy("list").ends_with(0);
    assert!(
        said.out.starts_with("SYSTEM ") && said.out.contains("run waits ") && said.out.contains("run other "),
        "{said:#?}"
    );
    let said = here.argosy("stop -l a=b").ends_with(2);
    assert!(said.err.contains("several `argosy run`") && said.err.contains("/other."), "{said:#?}");
    assert_eq!(here.argosy("resume other").ends_with(0).out, "workflow other resumed\n");
    assert_eq!(second.wait().expect("ends").code(), Some(0));
    here.argosy("resume waits").ends_with(0);
    assert_eq!(first.wait().expect("ends").code(), Some(0));
    let left: Vec<_> = std::fs::read_dir(here.path().join("state/argosy/runs")).expect("a list").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_run_is_reached_by_its_name_beside_a_server_that_stays() {
    let here = Here::with(&[("waits.yaml", WAITS)]);
    let mut dev = here
        .command("dev --port 0 --data-dir dev")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let lines = BufReader::new(dev.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    assert!(lines.take_while(|line| line != "Ctrl-C ends it.").count() < 100);
    let mut run = here.command("run waits.yaml").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
    let lines = BufReader::new(run.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    assert!(lines.take_while(|line| line != "  argosy resume waits").count() < 100, "the hint is short");
    let said = here.argosy("list").ends_with(0);
    assert!(said.out.contains("\nrun waits ") && said.out.lines().count() == 2, "{said:#?}");
    assert_eq!(here.argosy("resume waits").ends_with(0).out, "workflow waits resumed\n");
    assert_eq!(run.wait().expect("ends").code(), Some(0));
    dev.kill().expect("killed");
    dev.wait().expect("ends");
}

#[test]
fn a_run_that_was_killed_is_not_found() {
    let here = Here::with(&[("waits.yaml", WAITS)]);
    let mut run = here.command("run waits.yaml").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
    let lines = BufReader::new(run.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    assert!(lines.take_while(|line| line != "  argosy resume waits").count() < 100);
    run.kill().expect("killed");
    run.wait().expect("ends");
    let said = here.argosy("list").ends_with(1);
    assert!(said.err.contains("argosy dev"), "{said:#?}");
    assert!(std::fs::read_dir(here.path().join("state/argosy/runs")).expect("a list").next().is_none());
    // The next one removes what it has left.
    here.argosy("run waits.yaml --timeout 0s").ends_with(1);
    let names = std::fs::read_dir(here.path()).expect("a folder").flatten().map(|entry| entry.file_name());
    let left: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with("argosy-")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_run_that_nobody_can_reach_says_so() {
    let here = Here::with(&[("waits.yaml", WAITS)]);
    let mut command = here.command("run waits.yaml");
    command.env("HOME", "/dev/null").env_remove("XDG_STATE_HOME").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut run = command.spawn().expect("starts");
    let mut lines = BufReader::new(run.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let hint = lines.find(|line| line.starts_with("approve waits for somebody")).expect("a hint");
    assert!(hint.contains("nobody can reach this run") && !hint.contains("resume"), "{hint}");
    send("-TERM", &run);
    assert!(lines.any(|line| line.contains("ended by SIGTERM before the workflow")));
    assert_eq!(run.wait().expect("ends").code(), Some(143));
}
