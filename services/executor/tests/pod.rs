//! The executor's program with the containers of a pod as processes of this machine: they have a `/run` and a `/dev` of their
//! own in namespaces of Linux. Where these are not allowed, the tests say so and do nothing.

use std::process::{Command, Output};

use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_argosy-executor");

/// What a test calls: `container NAME COMMAND…` runs a container to its end and notes its code and message.
const SHELL: &str = r#"
set -u
mount -t tmpfs t /run && mkdir -p /run/argo /run/said /run/dev && chmod 777 /run/argo || exit 99
[ /var/run -ef /run ] || mount --bind /run /var/run || exit 99
mount --rbind /dev /run/dev && mount -t tmpfs t /dev && touch /dev/null /dev/termination-log || exit 99
mount --bind /run/dev/null /dev/null || exit 99
container() {
  name=$1; shift
  : > "/run/said/$name"
  ARGO_CONTAINER_NAME=$name unshare -m sh -c 'mount --bind "$0" /dev/termination-log && exec "$@"' "/run/said/$name" "$@"
  echo $? > "/run/code-$name"
}
told() { for name in "$@"; do echo "$name $(cat /run/code-$name) $(cat /run/said/$name)"; done; }
container init "$PROGRAM" executor init
"#;

/// Runs a pod: the lines `NAME CODE MESSAGE` of its containers. `None` where this machine does not let it.
fn pod(template: Value, script: &str) -> Option<Vec<String>> {
    let output = run(template, script);
    if output.status.code() == Some(99) || output.status.code() == Some(127) {
        eprintln!("not run: no namespaces for {PROGRAM}: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(output.status.code(), Some(0), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    Some(lines)
}

fn run(template: Value, script: &str) -> Output {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--pid", "--fork", "sh", "-c"]);
    command.arg(format!("{SHELL}{script}")).env("PROGRAM", PROGRAM).env("ARGO_TEMPLATE", template.to_string());
    for (name, value) in [
        ("ARGO_NODE_ID", "node"),
        ("ARGO_WORKFLOW_NAME", "wf"),
        ("ARGO_WORKFLOW_UID", "uid"),
        ("ARGO_POD_NAME", "pod"),
        ("ARGO_INCLUDE_SCRIPT_OUTPUT", "true"),
    ] {
        command.env(name, value);
    }
    command.output().unwrap_or_else(|error| panic!("start unshare: {error}"))
}

fn report(line: &str) -> Value {
    let (_, message) = line.split_once(" 0 ").unwrap_or_else(|| panic!("no success: {line}"));
    serde_json::from_str(message).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn outputs_of_a_step_are_reported() {
    let template = json!({"outputs": {"parameters": [
        {"name": "p", "valueFrom": {"path": "/run/p"}}, {"name": "q", "valueFrom": {"path": "/run/q", "default": "d"}}]}});
    let script = r#"
container wait "$PROGRAM" executor wait &
container main /var/run/argo/argoexec main -- sh -c 'echo value > /run/p; echo result; echo noise >&2' > /run/log
wait
told init main wait; cat /run/log
"#;
    let Some(lines) = pod(template, script) else { return };
    assert_eq!(lines[..2], ["init 0 ", "main 0 "]);
    let report = report(&lines[2]);
    assert_eq!(report["outputs"]["result"], "result");
    assert_eq!(report["outputs"]["parameters"][0]["value"], "value");
    assert_eq!(report["outputs"]["parameters"][1]["value"], "d");
    assert_eq!(lines[3], "result", "what is captured is in the log as well");
}

#[test]
fn a_step_that_fails_is_told_by_its_own_container() {
    let template = json!({"outputs": {"parameters": [{"name": "p", "valueFrom": {"path": "/run/none"}}]}});
    let script = r#"
container wait "$PROGRAM" executor wait 2>/dev/null &
container main /var/run/argo/argoexec main -- sh -c 'exit 7'
wait
told main wait
container main /var/run/argo/argoexec main -- no-such-program 2>/dev/null
told main
"#;
    let Some(lines) = pod(template.clone(), script) else { return };
    assert_eq!(lines[0], "main 7 ");
    // As in Argo, an output that is missing is there without a value.
    assert_eq!(report(&lines[1])["outputs"]["parameters"], template["outputs"]["parameters"]);
    let missing = "main 64 failed to find name in PATH: exec: \"no-such-program\": executable file not found in $PATH";
    assert_eq!(lines[2], missing);
}

#[test]
fn sidecars_end_when_the_step_has() {
    let template = json!({"sidecars": [{"name": "side", "image": "i"}]});
    let script = r#"
container wait "$PROGRAM" executor wait &
container side /var/run/argo/argoexec main -- sh -c 'trap "exit 5" TERM; while true; do sleep 0.05; done' &
container main /var/run/argo/argoexec main -- true
wait
told main wait side
"#;
    let Some(lines) = pod(template, script) else { return };
    assert_eq!(lines[0], "main 0 ");
    assert_eq!(lines[2], "side 5 ");
}

#[test]
fn wait_ends_when_the_wrapper_is_killed() {
    let script = r#"
container wait "$PROGRAM" executor wait &
container main /var/run/argo/argoexec main -- sh -c 'sleep 0.3; kill -9 $PPID' 2>/dev/null
wait
told main wait
"#;
    let Some(lines) = pod(json!({}), script) else { return };
    assert_eq!(lines[0], "main 137 ");
    assert!(lines[1].starts_with("wait 0 "), "{lines:?}");
}

#[test]
fn signals_reach_the_users_command() {
    let script = r#"
container wait "$PROGRAM" executor wait &
container main /var/run/argo/argoexec main -- sh -c 'trap "exit 4" TERM; kill -TERM $PPID; while true; do sleep 0.05; done'
wait
told main
"#;
    let Some(lines) = pod(json!({}), script) else { return };
    assert_eq!(lines, ["main 4 "]);
}

#[test]
fn containers_of_a_set_wait_for_each_other() {
    let template = json!({"containerSet": {"containers": [
        {"name": "a", "image": "i"}, {"name": "main", "image": "i", "dependencies": ["a"]},
        {"name": "bad", "image": "i"}, {"name": "after", "image": "i", "dependencies": ["bad"]}]}});
    let script = r#"
container wait "$PROGRAM" executor wait 2>/dev/null &
container main /var/run/argo/argoexec main -- test -f /run/a &
container after /var/run/argo/argoexec main -- true 2>/dev/null &
container a /var/run/argo/argoexec main -- sh -c 'sleep 0.2; touch /run/a'
container bad /var/run/argo/argoexec main -- false
wait
told main after
"#;
    let Some(lines) = pod(template, script) else { return };
    assert_eq!(lines[0], "main 0 ");
    assert_eq!(lines[1], "after 64 dependency \"bad\" exited with non-zero code: 1");
}
