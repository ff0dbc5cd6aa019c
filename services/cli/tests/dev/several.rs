//! Several `argosy dev` at once, and what one leaves behind.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use crate::support::{Dev, has, name};

const WAITS: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: waits-}
spec: {entrypoint: main, templates: [{name: main, suspend: {}}]}
";

#[test]
fn the_end_of_one_hides_no_other() {
    let first = Dev::start();
    first.file("waits.yaml", WAITS);
    let of_first = first.argosy(0, "submit waits.yaml -o name");
    let of_first = name(&of_first).to_owned();
    let mut second = first.beside("other");
    let output = first.command("submit waits.yaml -o name").output().expect("argosy starts");
    let (of_second, said) =
        (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr));
    has(&said, &["note: several `argosy dev` are running; this is for the one on port"]);
    let of_second = name(&of_second).to_owned();
    let listed = first.argosy(0, "list");
    assert!(listed.starts_with("SYSTEM") && listed.matches("\ndev :").count() == 2, "{listed}");
    has(&listed, &[&of_first, &of_second]);
    // Each is found by its name.
    for name in [&of_first, &of_second] {
        first.until(&format!("get {name}"), "ǁ ");
    }
    // Its data directory is its own.
    let said = first.argosy(2, "dev --port 0 --data-dir other");
    has(&said, &["in use by another process: `argosy dev` on port "]);
    // All of one command, too; each that is not there is told, and keeps no other from being done.
    let said = first.argosy(1, &format!("suspend {of_first} nothing {of_second} nowhere"));
    has(&said, &[&format!("workflow {of_first} suspended\n"), &format!("workflow {of_second} suspended\n")]);
    has(&said, &["error: workflows.argoproj.io \"nothing\" not found in namespace argo\n", "\"nowhere\" not found"]);
    let said = first.argosy(1, &format!("get {of_second} nothing {of_first} -o name"));
    has(&said, &[&format!("{of_second}\n{of_first}\n"), "\"nothing\" not found"]);
    let said = second.end();
    has(&said, &["1 workflow goes on at the next start: argosy dev --data-dir other --port 0\n"]);
    let listed = first.argosy(0, "list");
    assert!(listed.starts_with("NAME") && listed.contains(&of_first) && !listed.contains(&of_second), "{listed}");
    let shared = std::fs::read(first.path().join("state/argosy/kubeconfig")).expect("kept");
    assert_eq!(shared, std::fs::read(first.path().join("data/kubeconfig")).expect("kept"));
}

#[test]
fn who_waits_hears_that_the_server_is_gone() {
    let mut dev = Dev::start();
    dev.file("waits.yaml", WAITS);
    let name = name(&dev.argosy(0, "submit waits.yaml -o name")).to_owned();
    dev.until(&format!("get {name}"), "ǁ ");
    let mut waiting = ["wait", "watch"].map(|command| {
        let mut command = dev.command(&format!("{command} {name}"));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("argosy starts");
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
        (child, lines)
    });
    // What each says once it has seen the workflow.
    for (_, lines) in &mut waiting {
        assert!(lines.any(|line| line.contains("waits for somebody")));
    }
    dev.kill();
    for (child, lines) in &mut waiting {
        assert!(lines.any(|line| line == "the API server does not answer; trying again for a minute"), "{child:?}");
        child.kill().expect("killed");
        child.wait().expect("ends");
    }
}
