//! A workflow that is put out of service, and taken back.

use std::time::Duration;

use serde_json::Value;

use crate::support::{Dev, has};

const LOOP: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: sick}
spec:
  entrypoint: main
  parallelism: 2
  templates:
  - name: main
    steps: [[{name: s, template: work, withSequence: {count: '6'}}]]
  - name: work
    container: {image: busybox, command: [sleep, '0.5']}
";

const ONE: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: one-}
spec: {entrypoint: main, templates: [{name: main, container: {image: busybox, command: ['true']}}]}
";

#[test]
fn a_sick_workflow_is_listed_shown_and_taken_back_and_its_neighbours_go_on() {
    let Some(dev) = Dev::with_kubectl() else { return };
    dev.file("loop.yaml", LOOP);
    dev.file("one.yaml", ONE);
    assert_eq!(dev.argosy(0, "quarantine list"), "No workflows are in quarantine\n");
    dev.argosy(0, "submit loop.yaml");
    dev.until("get sick", "✔ s(");
    let patch = |status: &str| dev.kubectl(0, &["patch", "wf", "sick", "--type", "merge", "-p", status], "");
    patch(r#"{"status":{"compressedNodes":"!!not base64"}}"#);
    dev.until("quarantine list", "decode base64");
    has(&dev.argosy(0, "submit one.yaml --name fine --wait"), &[" Succeeded at 20"]);
    has(&dev.argosy(0, "quarantine list -A --no-headers"), &["argo   sick"]);
    assert_eq!(dev.argosy(0, "quarantine list -o name"), "sick\n");
    let listed: Value = serde_json::from_str(&dev.argosy(0, "quarantine list -o json")).expect("JSON");
    assert_eq!((&listed[0]["name"], listed.as_array().map(Vec::len)), (&"sick".into(), Some(1)));
    has(
        &dev.argosy(0, "quarantine show sick"),
        &["Quarantine:  out of service: ", "Phase:       Error", "12 bytes, compressed", "Readable:    no: ", "--nats"],
    );
    has(&dev.argosy(1, "quarantine show nothing"), &["not found"]);
    has(&dev.argosy(2, "quarantine retry fine"), &["not in quarantine"]);
    // Still sick: out of service again, though it was so a moment ago.
    dev.argosy(0, "quarantine retry sick");
    dev.until("quarantine list", "decode base64");
    patch(r#"{"status":{"compressedNodes":null}}"#);
    dev.argosy(0, "quarantine retry sick");
    has(&dev.until("get sick", "Succeeded"), &["Progress:            6/6"]);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(dev.argosy(0, "quarantine list"), "No workflows are in quarantine\n");
}

#[test]
fn a_workflow_that_never_began_is_taken_back_and_begins() {
    let Some(dev) = Dev::with_kubectl() else { return };
    dev.kubectl(
        0,
        &["create", "-f", "-"],
        &ONE.replace("generateName: one-", "name: many").replace("{entry", "{parallelism: many, entry"),
    );
    dev.until("quarantine list", "many");
    dev.kubectl(0, &["patch", "wf", "many", "--type", "merge", "-p", r#"{"spec":{"parallelism":2}}"#], "");
    dev.argosy(0, "quarantine retry many");
    dev.until("get many", "Succeeded");
}
