//! The commands, in the order in which a user comes to them.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use crate::support::{Dev, has, name};

const FAILS: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: fails-, labels: {team: a}}
spec:
  entrypoint: main
  arguments: {parameters: [{name: code, value: '1'}]}
  templates:
  - name: main
    steps:
    - - {name: first, template: say}
    - - {name: bad, template: bad}
      - {name: other, template: say}
  - name: say
    container: {image: busybox, command: [echo, hi]}
  - name: bad
    container: {image: busybox, command: [sh, -c, 'echo failing; exit {{workflow.parameters.code}}']}
";

const WAITS: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: waits-}
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - - {name: approve, template: wait}
    - - {name: after, template: say, arguments: {parameters: [{name: m, value: '{{steps.approve.outputs.parameters.m}}'}]}}
  - name: wait
    suspend: {}
    outputs: {parameters: [{name: m, valueFrom: {supplied: {}}}]}
  - name: say
    inputs: {parameters: [{name: m}]}
    container: {image: busybox, command: [echo, '{{inputs.parameters.m}}']}
";

const TEMPLATE: &str = "
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: greet}
spec:
  entrypoint: main
  arguments: {parameters: [{name: m, value: hello}]}
  templates:
  - name: main
    container: {image: busybox, command: [echo, '{{workflow.parameters.m}}']}
";

#[test]
fn a_workflow_is_submitted_shown_retried_and_deleted() {
    let dev = Dev::start();
    dev.file("fails.yaml", FAILS);
    has(&dev.argosy(1, "submit fails.yaml --wait"), &["Status:              Pending\n", " Failed at 20"]);
    let output = dev.command("wait @latest").output().expect("argosy starts");
    let said = String::from_utf8_lossy(&output.stderr);
    has(&said, &[": child 'bad' failed\n  bad: main: Error (exit code 1)\n  more: argosy logs fails-"]);
    let text = dev.argosy(0, "get @latest");
    has(
        &text,
        &[
            "\nStatus:              Failed\n",
            "\n   └─✔ other",
            "─✖ bad",
            "main: Error (exit code 1)",
            "  code:              1\n",
        ],
    );
    has(&dev.argosy(0, "get @latest -o short"), &["STEP", "NODENAME"]);
    has(&dev.argosy(0, "get @latest --no-utf8"), &["`-+-Failed bad"]);
    has(&dev.argosy(0, "get @latest -o wide --status Failed"), &["RESOURCESDURATION", "bad"]);
    let logs = dev.argosy(0, "logs @latest");
    assert_eq!(logs.lines().count(), 3, "{logs}");
    has(&dev.argosy(0, "logs @latest --grep fail --no-prefix"), &["failing\n"]);
    has(&dev.argosy(0, "logs @latest bad --timestamps"), &["bad: ", "Z failing\n"]);
    has(&dev.argosy(2, "logs @latest bda"), &["has no step `bda`; did you mean `bad`?"]);
    has(&dev.argosy(2, "logs -f @latest nowhere"), &["has no step `nowhere`; `argosy get fails-"]);
    // It fails again within the second in which it failed: the end is written all the same.
    has(&dev.argosy(1, "retry @latest --wait"), &[" Failed at 20"]);
    has(&dev.argosy(0, "retry @latest -p code=0 --wait"), &[" Succeeded at 20"]);
    has(&dev.argosy(0, "get @latest"), &[" Completed           True\n", "Finished:"]);
    has(&dev.argosy(1, "retry @latest"), &[": it has succeeded; ", "--restart-successful --node-field-selector"]);
    let again = dev.argosy(0, "resubmit @latest -o name");
    has(&dev.argosy(0, &format!("wait {}", name(&again))), &[" Succeeded at 20"]);
    has(&dev.argosy(0, "resubmit @latest --watch"), &["Succeeded", "STEP"]);
    let followed = dev.argosy(0, "resubmit @latest --log");
    has(&followed, &[": failing\n"]);
    assert!(!followed.contains("Running"), "only logs are asked for:\n{followed}");
    has(&dev.argosy(0, "watch @latest --status Failed"), &["Status:              Succeeded\n"]);

    has(&dev.argosy(0, "list"), &["NAME", "STATUS", "AGE", "DURATION", "PRIORITY", "MESSAGE"]);
    has(&dev.argosy(0, "list -A -o wide --chunk-size 1"), &["NAMESPACE", "P/R/C", "code=0"]);
    assert_eq!(dev.argosy(0, "list -l team=a --resubmitted --no-headers").lines().count(), 3);
    assert_eq!(dev.argosy(0, "list --running --prefix fails"), "No workflows found\n");
    has(&dev.argosy(0, "list --status Succeeded --completed -o name"), &["fails-"]);
    let json: serde_json::Value = serde_json::from_str(&dev.argosy(0, "list -o json")).expect("JSON");
    assert_eq!(json.as_array().map(Vec::len), Some(4));

    has(&dev.argosy(1, "get nothing"), &["workflows.argoproj.io \"nothing\" not found"]);
    has(&dev.argosy(1, "get fails"), &["\"fails\" not found; did you mean `fails-"]);
    has(&dev.argosy(1, "get latest"), &["did you mean `@latest`?"]);
    let taken = dev.argosy(0, "submit fails.yaml --name taken -o name");
    assert_eq!(taken, "taken\n");
    has(&dev.argosy(1, "submit fails.yaml --name taken"), &["already exists; choose another name with --name"]);
    dev.argosy(0, "delete taken");
    has(&dev.argosy(1, "get A_b"), &["workflows.argoproj.io \"A_b\" not found"]);
    has(&dev.argosy(2, "template get A_b/c?"), &["no name of an object"]);
    has(&dev.argosy(2, "template create fails.yaml"), &["found a Workflow (`argosy submit` takes it)"]);
    let output = dev.command("delete").arg("").output().expect("argosy starts");
    has(&String::from_utf8_lossy(&output.stdout), &["Workflow '' not found"]);
    has(&dev.argosy(1, "wait nothing"), &["not found"]);
    dev.argosy(0, "wait nothing --ignore-not-found");
    has(&dev.argosy(0, "delete nothing"), &["Workflow 'nothing' not found"]);
    let output = dev.command("delete nothing").output().expect("argosy starts");
    has(&String::from_utf8_lossy(&output.stderr), &["nothing was deleted"]);
    has(&dev.argosy(2, "delete"), &["--all"]);
    has(&dev.argosy(0, "delete --prefix zz"), &["No resources found"]);
    has(&dev.argosy(0, "delete --all --dry-run"), &["deleted (dry-run)"]);
    dev.argosy(0, "delete --all --force");
    assert_eq!(dev.argosy(0, "list"), "No workflows found\n");
    assert!(dev.path().join("state/argosy/kubeconfig").exists());
}

#[test]
fn waiting_workflows_are_let_go_on_stopped_and_terminated() {
    let dev = Dev::start();
    dev.file("waits.yaml", WAITS);
    let submit = || {
        let name = name(&dev.argosy(0, "submit waits.yaml -o name")).to_owned();
        dev.until(&format!("get {name}"), "ǁ approve");
        name
    };
    let first = submit();
    has(&dev.argosy(0, "list"), &["Running (Suspended)"]);
    has(&dev.argosy(1, &format!("resume {first}")), &["parameter 'm' has not been set"]);
    let set = format!("node set {first} --node-field-selector displayName=approve -p m=go -m fine");
    assert_eq!(dev.argosy(0, &set), "workflow values set\n");
    assert_eq!(dev.argosy(0, &format!("resume {first}")), format!("workflow {first} resumed\n"));
    dev.argosy(0, &format!("wait {first}"));
    has(&dev.argosy(0, &format!("logs {first}")), &[": go\n"]);

    let left = submit();
    let mut watch = dev.command(&format!("watch {left}"));
    let mut watch = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("argosy starts");
    let mut said = BufReader::new(watch.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    assert!(said.any(|line| line.contains("ǁ Running")), "it watches");
    let status = Command::new("kill").args(["-INT", &watch.id().to_string()]).status().expect("kill starts");
    assert!(status.success());
    let ended = watch.wait_with_output().expect("argosy ends");
    assert_eq!(ended.status.code(), Some(130));
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    has(&said, &[&format!("left; {left} goes on\nto come back: argosy watch {left}\n")]);
    assert!(!said.contains("error"), "{said}");
    dev.argosy(0, &format!("terminate {left}"));
    dev.argosy(1, &format!("wait {left}"));

    let second = submit();
    let stop = format!("stop {second} --node-field-selector displayName=approve --message no");
    assert_eq!(dev.argosy(0, &stop), format!("workflow {second} stopped\n"));
    dev.argosy(1, &format!("wait {second}"));
    has(&dev.argosy(0, &format!("get {second} --node-field-selector displayName=approve")), &["✖ approve", "no\n"]);

    let stopped = submit();
    dev.argosy(0, &format!("stop {stopped} --message enough"));
    has(&dev.argosy(1, &format!("wait {stopped}")), &["  stopped because: enough\n"]);
    let said = dev.argosy(0, &format!("get {stopped}"));
    has(&said, &["✖ approve", "enough\n", "Failed (Terminated)", "\nStopped because:     enough\n"]);
    assert_eq!(dev.argosy(0, &format!("resume {first}")), format!("workflow {first} resumed\n"));

    let third = submit();
    let other = format!("resume {third} --node-field-selector displayName=other");
    has(&dev.argosy(1, &other), &["no step that waits for somebody matches --node-field-selector displayName=other"]);
    assert_eq!(dev.argosy(0, &format!("suspend {third}")), format!("workflow {third} suspended\n"));
    has(&dev.argosy(0, &format!("terminate {third} --dry-run")), &["terminated (dry-run)"]);
    let running = "terminate -l workflows.argoproj.io/completed=false";
    assert_eq!(dev.argosy(0, running), format!("workflow {third} terminated\n"));
    dev.argosy(1, &format!("wait {third}"));
    has(&dev.argosy(0, &format!("get {third}")), &["Failed (Terminated)", "Stopped with strategy 'Terminate'"]);
    has(&dev.argosy(1, &format!("stop {third}")), &["cannot shutdown a completed workflow"]);
}

#[test]
fn templates_are_kept_and_run() {
    let dev = Dev::start();
    dev.file("greet.yaml", TEMPLATE);
    dev.file("cluster.yaml", &TEMPLATE.replace("WorkflowTemplate", "ClusterWorkflowTemplate"));
    dev.file("bad.yaml", &TEMPLATE.replace("entrypoint: main", "entrypoint: mian"));
    // What Hera 7 makes of a workflow in Python.
    dev.file("hera.yaml", include_str!("hera.yaml"));
    for (command, file) in [("template", "greet.yaml"), ("cluster-template", "cluster.yaml")] {
        has(&dev.argosy(0, &format!("{command} create {file}")), &["Name:                greet\n", "Created:"]);
        has(&dev.argosy(1, &format!("{command} create {file}")), &["already exists"]);
        dev.argosy(0, &format!("{command} update {file}"));
        assert_eq!(dev.argosy(0, &format!("{command} list -o name")), "greet\n");
        assert_eq!(dev.argosy(0, &format!("{command} list")), "NAME\ngreet\n");
        has(&dev.argosy(0, &format!("{command} get greet -o yaml")), &["kind: ", "entrypoint: main"]);
        has(&dev.argosy(0, &format!("{command} lint {file}")), &["no linting errors found!"]);
    }
    dev.argosy(0, "submit --from workflowtemplate/greet -p m=there --wait");
    has(&dev.argosy(0, "logs @latest"), &[": there\n"]);
    dev.argosy(0, "submit --from clusterworkflowtemplate/greet --wait");
    has(&dev.argosy(1, "submit --from workflowtemplate/nothing"), &["\"nothing\" not found"]);
    has(&dev.argosy(2, "submit --from pod/nothing"), &["none of workflowtemplate"]);
    has(&dev.argosy(2, "submit greet.yaml"), &["a WorkflowTemplate cannot be submitted"]);
    has(&dev.argosy(2, "lint bad.yaml -o simple"), &["bad.yaml:6:15: spec.entrypoint: "]);
    has(&dev.argosy(2, "template create bad.yaml"), &["'mian' undefined"]);
    has(&dev.argosy(2, "lint --kinds workflows greet.yaml"), &["nothing to check"]);
    dev.argosy(0, "submit hera.yaml --wait");
    let dry =
        dev.argosy(0, "submit hera.yaml --dry-run -o yaml --entrypoint d -l x=yes-no --priority 3 --serviceaccount s");
    has(&dry, &["x: yes-no", "priority: 3", "serviceAccountName: s"]);
    has(&dev.argosy(0, "submit hera.yaml --server-dry-run -o name"), &["hera-dag-"]);
    assert_eq!(dev.argosy(0, "template delete greet"), "WorkflowTemplate 'greet' deleted\n");
    assert_eq!(dev.argosy(0, "cluster-template delete --all"), "ClusterWorkflowTemplate 'greet' deleted\n");
    has(&dev.argosy(1, "template get greet"), &["not found"]);
    has(&dev.argosy(0, "version"), &["argosy: v", "Argo Workflows v4.1"]);
}

#[test]
fn why_tells_what_a_workflow_waits_for_and_why_it_failed() {
    let dev = Dev::start();
    dev.file("w.yaml", WAITS);
    dev.file("f.yaml", FAILS);
    let waits = dev.argosy(0, "submit w.yaml -o name");
    let waits = name(&waits);
    let said = dev.until(&format!("why {waits}"), "until a person resumes it");
    has(&said, &[&format!("{waits} is Running"), &format!("{waits}[1].after "), "it comes after the steps of [0]"]);
    let told: serde_json::Value =
        serde_json::from_str(&dev.argosy(0, &format!("why {waits} after -o json"))).expect("JSON");
    assert_eq!((&told["waits"][0]["kind"], told["waits"].as_array().map(Vec::len)), (&"before".into(), Some(1)));
    has(&dev.argosy(2, &format!("why {waits} aproove")), &["has no node `aproove`", "did you mean `approve`?"]);

    let fails = dev.argosy(0, "submit f.yaml -o name");
    let fails = name(&fails);
    let said = dev.until(&format!("why {fails}"), &format!("{fails} is Failed"));
    has(&said, &[&format!("{fails}[1].bad  it is Failed: main: Error (exit code 1)")]);
}
