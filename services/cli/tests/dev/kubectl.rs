//! kubectl, where it is installed.

use crate::support::{Dev, has};

const OBJECTS: &str = "
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: one}
spec: {entrypoint: main, arguments: {parameters: [{name: m, value: a}]}, templates: [{name: main, suspend: {}}]}
---
apiVersion: argoproj.io/v1alpha1
kind: ClusterWorkflowTemplate
metadata: {name: one}
spec: {entrypoint: main, templates: [{name: main, suspend: {}}]}
---
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: one}
spec: {schedules: ['0 3 * * *'], workflowSpec: {entrypoint: main, templates: [{name: main, suspend: {}}]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: one}
data: {a: '1'}
---
apiVersion: v1
kind: Secret
metadata: {name: one}
stringData: {a: '1'}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: one}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: one}
";

const WORKFLOW: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: wf}
spec: {entrypoint: main, templates: [{name: main, container: {image: busybox, command: [sh, -c, 'echo one; echo two']}}]}
";

/// Of the type that no API without the schema of workflows refuses.
const UNREADABLE: &str = "
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: unreadable}
spec: {entrypoint: main, parallelism: many, templates: [{name: main, suspend: {}}]}
";

fn start() -> Option<Dev> {
    Dev::with_kubectl()
}

#[test]
fn objects_of_all_kinds_are_applied_changed_and_deleted() {
    let Some(dev) = start() else { return };
    let run = |line: &str| dev.kubectl(0, &line.split_whitespace().collect::<Vec<_>>(), "");
    let kinds = ["wftmpl", "cwft", "cwf", "cm", "secret", "pvc", "sa"];
    let applied = dev.kubectl(0, &["apply", "-f", "-"], OBJECTS);
    assert_eq!(applied.matches(" created").count(), kinds.len(), "{applied}");
    let applied = dev.kubectl(0, &["apply", "-f", "-"], OBJECTS);
    // What is in `stringData` is not read back, so that kubectl writes it each time.
    assert_eq!(applied.matches(" unchanged").count(), kinds.len() - 1, "{applied}");
    let applied = dev.kubectl(0, &["apply", "--server-side", "-f", "-"], OBJECTS);
    assert_eq!(applied.matches(" serverside-applied").count(), kinds.len(), "{applied}");
    assert_eq!(dev.kubectl(0, &["diff", "-f", "-"], OBJECTS), "");
    // Each once for all kinds: a kubectl takes its time to start.
    let all = kinds.map(|kind| format!("{kind}/one")).join(" ");
    let types = kinds.join(",");
    let counts = |text: String, word: &str| assert_eq!(text.matches(word).count(), kinds.len(), "{text}");
    counts(run(&format!("label {all} a=b")), " labeled");
    counts(run(&format!("annotate {all} a=b")), " annotated");
    counts(run(&format!("get {types} -o wide")), "/one ");
    counts(run(&format!("get {all} -o yaml")), "\n    resourceVersion: ");
    counts(run(&format!("describe {all}")), "\nLabels: ");
    counts(run(&format!("get {types} -A -l a=b,a!=c -o name")), "/one\n");
    counts(run(&format!("get {types} --field-selector metadata.name=one -o name")), "/one\n");

    let value = || run("get wftmpl one -o jsonpath={.spec.arguments.parameters[0].value}");
    let patch = |kind: &str, patch: &str| dev.kubectl(0, &["patch", "wftmpl", "one", "--type", kind, "-p", patch], "");
    patch("merge", r#"{"spec":{"arguments":{"parameters":[{"name":"m","value":"merged"}]}}}"#);
    assert_eq!(value(), "merged");
    patch("json", r#"[{"op":"replace","path":"/spec/arguments/parameters/0/value","value":"pointed"}]"#);
    assert_eq!(value(), "pointed");
    dev.kubectl(0, &["patch", "cm", "one", "-p", r#"{"data":{"b":"2"}}"#], "");
    assert_eq!(run("get cm one -o jsonpath={.data}"), r#"{"a":"1","b":"2"}"#);
    let old = run("get wftmpl one -o yaml");
    dev.kubectl(0, &["replace", "-f", "-"], &old.replace("pointed", "replaced"));
    assert_eq!(value(), "replaced");
    has(&dev.kubectl(1, &["replace", "-f", "-"], &old), &["the object has been modified"]);
    has(&dev.kubectl(0, &["edit", "wftmpl", "one"], ""), &["edited"]);
    assert_eq!(value(), "edited");
    counts(run(&format!("delete {all}")), " deleted");
    assert_eq!(run(&format!("get {types} -A -o name")), "");
}

#[test]
fn a_workflow_is_created_watched_read_and_deleted() {
    let Some(dev) = start() else { return };
    let run = |line: &str| dev.kubectl(0, &line.split_whitespace().collect::<Vec<_>>(), "");
    assert_eq!(dev.kubectl(0, &["create", "-f", "-"], WORKFLOW), "workflow.argoproj.io/wf created\n");
    has(&dev.kubectl(1, &["create", "-f", "-"], WORKFLOW), &["AlreadyExists"]);
    has(&run("wait --for=condition=Completed wf/wf --timeout=60s"), &["condition met"]);
    has(&run("get wf"), &["NAME", "STATUS", "AGE", "MESSAGE", "Succeeded"]);
    has(&run("get wf -l workflows.argoproj.io/phase=Succeeded -o name"), &["/wf"]);
    has(&run("get pods -o wide"), &["0/2", "Completed", "argosy"]);
    has(&run("get pods --field-selector status.phase=Succeeded -o name"), &["pod/wf"]);
    has(&run("describe wf wf"), &["Phase:", "Succeeded"]);
    has(&run("describe pod wf"), &["Controlled By:  Workflow/wf", "Exit Code:    0"]);
    assert_eq!(run("logs wf"), "one\ntwo\n");
    assert_eq!(run("logs wf -c main --tail=1"), "two\n");
    has(&dev.kubectl(1, &["logs", "wf", "-c", "nothing"], ""), &["container nothing is not valid for pod wf"]);
    // What is told of it comes a moment later.
    let is_told = |line: &str, text: &str| {
        let is_there = || run(line).contains(text);
        let told = (0..100).any(|_| {
            is_there() || {
                std::thread::sleep(std::time::Duration::from_millis(100));
                false
            }
        });
        assert!(told, "{line}: {}", run(line));
    };
    is_told("describe wf wf", "WorkflowSucceeded");
    is_told("describe pod wf", "Started container main");
    has(&run("get events"), &["WorkflowNodeRunning", "workflow/wf", "Scheduled", "pod/wf"]);
    has(&run("get wf -w --request-timeout=1s"), &["wf"]);
    has(&run("api-resources --api-group=argoproj.io -o name"), &["workflows.argoproj.io", "cronworkflows.argoproj.io"]);
    has(&run("explain workflow"), &["KIND:       Workflow", "WorkflowSpec is the specification of a Workflow"]);
    has(&run("explain workflow.spec.templates"), &["templates <[]Object>", "DESCRIPTION", "containerSet"]);
    has(&run("explain cwf.spec.workflowSpec.templates.container.image"), &["image <string>", "Container image name"]);
    has(&run("auth can-i create workflows"), &["yes"]);
    let unknown = WORKFLOW.replace("kind: Workflow", "kind: Workfow");
    has(&dev.kubectl(1, &["create", "-f", "-"], &unknown), &["no matches for kind \"Workfow\""]);
    let misspelt = WORKFLOW.replace("container:", "contaner: {}, container:").replace("name: wf", "name: misspelt");
    let told = "unknown field \"spec.templates[0].contaner\"";
    has(&dev.kubectl(1, &["create", "-f", "-"], &misspelt), &["strict decoding error", told]);
    has(&dev.kubectl(1, &["apply", "--server-side", "-f", "-"], &misspelt), &[told]);
    let warns = ["create", "--dry-run=server", "--validate=warn", "--warnings-as-errors", "-f", "-"];
    has(&dev.kubectl(1, &warns, &misspelt), &["Warning:", told, "misspelt created"]);
    let badly_named = WORKFLOW.replace("name: wf", "name: W_f");
    has(&dev.kubectl(1, &["create", "-f", "-"], &badly_named), &["RFC 1123"]);
    has(&dev.kubectl(0, &["apply", "--dry-run=server", "-f", "-"], WORKFLOW), &["server dry run"]);

    // One object that nobody can read does not hide the others.
    dev.kubectl(0, &["create", "-f", "-"], UNREADABLE);
    has(&dev.until("list", "many"), &["unreadable", "Error", "wf", "Succeeded"]);
    has(&dev.argosy(0, "get unreadable"), &["expected"]);
    has(&run("delete wf --all"), &["\"wf\" deleted", "\"unreadable\" deleted"]);
    assert_eq!(run("get pods -o name"), "");
}

#[test]
fn a_field_that_a_pod_does_not_have_is_refused_or_warned_of() {
    let Some(dev) = start() else { return };
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {hostnam: x, containers: [{name: a, image: busybox, comand: [a]}]}\n";
    let said = dev.kubectl(1, &["create", "-f", "-"], pod);
    has(&said, &["unknown field \"spec.containers[0].comand\", unknown field \"spec.hostnam\""]);
    dev.kubectl(0, &["create", "-f", "-", "--validate=ignore"], pod);
}
