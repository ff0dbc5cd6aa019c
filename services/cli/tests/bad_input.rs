//! Bad files: each with its place in the message, exit code 2, and nothing left behind.

use std::process::Command;

/// Files of one mistake, where it is, and a word of what is said.
const TABLE: &[(&str, &str, &str, &str)] = &[
    ("unknown field", "{entrypoint: a, templates: [{name: a, suspend: {}, contaner: {}}]}", ":4:", "contaner"),
    ("wrong type", "{entrypoint: a, parallelism: many, templates: [{name: a, suspend: {}}]}", ":4:", "parallelism"),
    (
        "bad reference",
        "{entrypoint: a, templates: [{name: a, steps: [[{name: s, template: b}]]}]}",
        ":4:",
        "'b' undefined",
    ),
    (
        "cycle",
        "{entrypoint: a, templates: [{name: a, dag: {tasks: [{name: x, template: e, dependencies: [y]}, {name: y, template: e, dependencies: [x]}]}}, {name: e, suspend: {}}]}",
        ":4:",
        "cycle",
    ),
    ("bad YAML", "{entrypoint: a, templates: [", ":4:", "mistake"),
    (
        "bad expression",
        "{entrypoint: a, templates: [{name: a, dag: {tasks: [{name: x, template: e, depends: 'y &&'}]}}, {name: e, suspend: {}}]}",
        ":4:",
        "depends",
    ),
    (
        "bad expression in a tag",
        "{entrypoint: a, templates: [{name: a, container: {image: busybox, command: [echo, '{{=1 +}}']}}]}",
        ":4:",
        "bad expression",
    ),
    (
        "missing parameter",
        "{entrypoint: a, arguments: {parameters: [{name: p}]}, templates: [{name: a, suspend: {}}]}",
        ":4:",
        "value",
    ),
    ("missing template", "{entrypoint: nowhere, templates: [{name: a, suspend: {}}]}", ":4:", "nowhere"),
];

#[test]
fn bad_files_are_refused_with_their_place() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut failures = Vec::new();
    for (name, spec, place, word) in TABLE {
        let file = dir.path().join("wf.yaml");
        let text = format!("apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {{name: x}}\nspec: {spec}\n");
        std::fs::write(&file, text).expect("written");
        let (code, said) = run(dir.path());
        // Bad YAML may be noticed at the end of the file only.
        let placed = said.contains(&format!("wf.yaml{place}")) || *name == "bad YAML" && said.contains("wf.yaml:");
        if code != Some(2) || !placed || !said.contains(word) {
            failures.push(format!("{name}: {code:?}: {said}"));
        }
    }
    let huge = vec![b'#'; 50 * 1024 * 1024];
    std::fs::write(dir.path().join("wf.yaml"), huge).expect("written");
    let (code, said) = run(dir.path());
    if code != Some(2) || !said.contains("wf.yaml") || !said.contains("larger") {
        failures.push(format!("50 MB: {code:?}: {said}"));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let left: Vec<_> = std::fs::read_dir(dir.path()).expect("readable").flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["wf.yaml"], "something was left behind");
}

/// Exit code and standard error of `argosy run wf.yaml` in `dir`, where it also keeps what it keeps.
fn run(dir: &std::path::Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_argosy"));
    command.args(["run", "wf.yaml", "-o", "name"]).current_dir(dir);
    let output = command.env("TMPDIR", dir).env("XDG_STATE_HOME", dir).output().expect("argosy starts");
    assert!(output.stdout.is_empty(), "standard output is for finished workflows");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}
