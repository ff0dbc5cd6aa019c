//! The executor inside the local node, over the in-process API, with real processes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use argosy_apiserver as api;
use argosy_artifacts::{LocalStore, Source, Store};
use argosy_executor::Limits;
use argosy_node::{Images, Node, Options, Runtime};
use argosy_standalone::Embedded;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DynamicObject, PostParams};
use kube::core::ApiResource;
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// The program that the node starts: this test itself, see `main`.
fn executable() -> PathBuf {
    std::env::current_exe().expect("this test has a path")
}

struct World {
    client: kube::Client,
    store: Arc<LocalStore>,
    /// Uid of the workflow `wf`, to which task results belong.
    workflow_uid: String,
    _dir: TempDir,
}

impl World {
    async fn start() -> Result<Self> {
        let server = api::Server::new(api::Options::default());
        let dir = TempDir::new()?;
        let store = Arc::new(LocalStore::open_at(dir.path().join("artifacts"))?);
        let limits = Limits { filter_cpu_secs_max: 1, artifact_bytes_max: 1 << 30, ..Limits::default() };
        let node = Node::new(Options {
            client: server.client("default"),
            data_dir: dir.path().join("node"),
            name: "test".into(),
            executable: executable(),
            images: Images::default(),
            runtime: Runtime::Process,
            builtins: vec![Arc::new(Embedded::new(store.clone()).with_limits(limits))],
            records_events: false,
            keep_on_exit: false,
        })
        .await?;
        tokio::spawn(async move { node.run(CancellationToken::new()).await });
        let client = server.client("default");
        let workflows: Api<DynamicObject> =
            Api::default_namespaced_with(client.clone(), &kind("Workflow", "workflows"));
        let workflow =
            json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "wf"}, "spec": {}});
        let workflow = workflows.create(&PostParams::default(), &serde_json::from_value(workflow)?).await?;
        Ok(Self { client, workflow_uid: workflow.metadata.uid.context("no uid")?, store, _dir: dir })
    }

    /// Runs a pod as the engine builds it.
    async fn run(&self, name: &str, template: Value, mains: Vec<Value>, mounts: Value) -> Result<Pod> {
        let env = |container: &str| {
            json!([
                {"name": "ARGO_CONTAINER_NAME", "value": container},
                {"name": "ARGO_NODE_ID", "value": format!("{name}-id")},
                {"name": "ARGO_WORKFLOW_NAME", "value": "wf"},
                {"name": "ARGO_WORKFLOW_UID", "value": self.workflow_uid},
                {"name": "ARGO_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "ARGO_INCLUDE_SCRIPT_OUTPUT", "value": "true"},
                {"name": "ARGO_PROGRESS_FILE", "value": "/var/run/argo/progress"},
                {"name": "ARGO_PROGRESS_PATCH_TICK_DURATION", "value": if name == "progress" { "100ms" } else { "1m" }},
                {"name": "ARGO_TEMPLATE", "value": template.to_string()},
            ])
        };
        let shared = json!({"name": "var-run-argo", "mountPath": "/var/run/argo"});
        let staging = json!({"name": "argo-staging", "mountPath": "/argo/staging"});
        let inputs = json!({"name": "input-artifacts", "mountPath": "/argo/inputs/artifacts"});
        let mut containers = vec![json!({"name": "wait", "image": "argosy/executor", "env": env("wait"),
            "command": ["/argosy", "executor", "wait"], "volumeMounts": [shared]})];
        for mut main in mains {
            let wrapper = [json!("/var/run/argo/argoexec"), json!("main"), json!("--")];
            let own = main["command"].as_array().cloned().unwrap_or_default();
            main["command"] = Value::Array(wrapper.into_iter().chain(own).collect());
            main["image"] = main.get("image").cloned().unwrap_or(json!("busybox"));
            main["env"] = env(main["name"].as_str().unwrap_or_default());
            let more = mounts.as_array().cloned().unwrap_or_default();
            main["volumeMounts"] = Value::Array([vec![shared.clone(), staging.clone()], more].concat());
            containers.push(main);
        }
        let sidecars = template["sidecars"].as_array().cloned().unwrap_or_default();
        containers.extend(sidecars);
        let pod = json!({"metadata": {"name": name}, "spec": {
            "restartPolicy": "Never",
            "volumes": [{"name": "var-run-argo", "emptyDir": {}}, {"name": "argo-staging", "emptyDir": {}},
                {"name": "input-artifacts", "emptyDir": {}}],
            "initContainers": [{"name": "init", "image": "argosy/executor", "env": env("init"),
                "command": ["/argosy", "executor", "init"], "volumeMounts": [shared, staging, inputs]}],
            "containers": containers,
        }});
        let pods: Api<Pod> = Api::default_namespaced(self.client.clone());
        pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
        let ended = |pod: Option<&Pod>| pod.is_some_and(|pod| ["Succeeded", "Failed"].contains(&phase(pod)));
        let found = tokio::time::timeout(Duration::from_secs(20), await_condition(pods, name, ended)).await;
        found.context("the pod does not end")??.context("the pod is gone")
    }
}

fn kind(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: "argoproj.io".into(),
        version: "v1alpha1".into(),
        api_version: "argoproj.io/v1alpha1".into(),
        kind: kind.into(),
        plural: plural.into(),
    }
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default()
}

fn end(pod: &Pod, name: &str) -> (i32, String) {
    let status = pod.status.clone().unwrap_or_default();
    let all = [status.container_statuses, status.init_container_statuses].into_iter().flatten().flatten();
    let found = all.into_iter().find(|c| c.name == name).and_then(|c| c.state?.terminated);
    found.map_or((-1, String::new()), |t| (t.exit_code, t.message.unwrap_or_default()))
}

fn outputs(pod: &Pod) -> Result<Value> {
    let (code, message) = end(pod, "wait");
    ensure!(code == 0, "{message}");
    Ok(serde_json::from_str::<Value>(&message)?["outputs"].clone())
}

async fn a_script_gives_outputs(world: &World) -> Result<()> {
    world.store.put("in.txt", Source::Bytes(b"from the store"), tree()).await?;
    let template = json!({"script": {"image": "busybox", "command": ["sh"], "source":
        "cat /tmp/in; cat /raw/in; echo; mkdir -p /out/d; echo x > /out/d/f; printf 'v\\n' > /p; echo 3/4 > $ARGO_PROGRESS_FILE"},
        "inputs": {"artifacts": [{"name": "in", "path": "/tmp/in", "s3": {"key": "in.txt"}},
            {"name": "raw", "path": "/raw/in", "raw": {"data": "!"}}, {"name": "no", "path": "/no", "optional": true, "http": {"url": ""}}]},
        "outputs": {"parameters": [{"name": "p", "valueFrom": {"path": "/p"}}],
            "artifacts": [{"name": "d", "path": "/out/d"}]}});
    let mounts = json!([{"name": "input-artifacts", "mountPath": "/tmp/in", "subPath": "in"},
        {"name": "input-artifacts", "mountPath": "/raw/in", "subPath": "raw"}]);
    let main = json!({"name": "main", "command": ["sh"], "args": ["/argo/staging/script"]});
    let pod = world.run("script", template, vec![main], mounts).await?;
    assert_eq!(phase(&pod), "Succeeded", "{:?}", pod.status);
    let outputs = outputs(&pod)?;
    assert_eq!(outputs["result"], "from the store!");
    assert_eq!(outputs["parameters"][0]["value"], "v");
    assert_eq!(outputs["artifacts"][0]["s3"]["key"], "wf/script/d.tgz");
    assert_eq!(world.store.list("wf", tree()).await?, ["wf/script/d.tgz"]);
    Ok(())
}

async fn failures_are_told_as_argo_does(world: &World) -> Result<()> {
    let main = json!({"name": "main", "command": ["invalid"]});
    let pod = world.run("invalid", json!({"container": {}}), vec![main], json!([])).await?;
    let text = "failed to find name in PATH: exec: \"invalid\": executable file not found in $PATH";
    assert_eq!(end(&pod, "main"), (64, text.to_owned()));
    let template = json!({"container": {}, "outputs": {"artifacts": [{"name": "a", "path": "/tmp/hello_world.txt"}]}});
    let pod = world.run("missing", template, vec![json!({"name": "main", "command": ["true"]})], json!([])).await?;
    let text = "open /var/run/argo/outputs/artifacts/tmp/hello_world.txt.tgz: no such file or directory; ";
    // What is there is reported beside what is missing.
    let (code, report) = end(&pod, "wait");
    let report: Value = serde_json::from_str(&report).context("wait leaves a report")?;
    assert_eq!((end(&pod, "main").0, code, report["error"].as_str()), (0, 64, Some(text)));
    let template = json!({"container": {}, "outputs": {"parameters": [{"name": "there", "valueFrom": {"path": "/p"}},
        {"name": "gone", "valueFrom": {"path": "/q"}}]}});
    let main = json!({"name": "main", "command": ["sh", "-c", "echo v > /p; kill $$$$; sleep 9"]});
    let pod = world.run("signaled", template, vec![main], json!([])).await?;
    assert_eq!((end(&pod, "main").0, phase(&pod)), (143, "Failed"));
    let found = outputs(&pod)?;
    let found = &found["parameters"];
    // As in Argo, the one that is missing is there without a value.
    assert_eq!((found[0]["value"].as_str(), found.as_array().map(Vec::len)), (Some("v"), Some(2)));
    assert!(found[1].get("value").is_none(), "{found}");
    let template =
        json!({"container": {}, "inputs": {"artifacts": [{"name": "a", "path": "/a", "s3": {"key": "nothing"}}]}});
    let pod = world.run("no-input", template, vec![json!({"name": "main", "command": ["true"]})], json!([])).await?;
    assert_eq!(end(&pod, "init"), (64, "artifact a failed to load: The specified key does not exist.".to_owned()));
    assert_eq!(phase(&pod), "Failed");
    Ok(())
}

async fn container_sets_run_in_order(world: &World) -> Result<()> {
    let template = json!({"containerSet": {"retryStrategy": {"retries": 2}, "containers": [
        {"name": "a"}, {"name": "main", "dependencies": ["a"]}, {"name": "c", "dependencies": ["bad"]}, {"name": "bad"}]}});
    let sh = |name: &str, script: &str| json!({"name": name, "command": ["sh", "-c", script]});
    let mains = vec![
        sh("a", "sleep 0.2; echo a > /var/run/argo/order"),
        sh("main", "cat /var/run/argo/order && echo again >> /var/run/argo/n && test $(wc -l < /var/run/argo/n) = 3"),
        sh("c", "true"),
        sh("bad", "exit 3"),
    ];
    let pod = world.run("set", template, mains, json!([])).await?;
    assert_eq!((end(&pod, "a").0, end(&pod, "main").0, end(&pod, "bad").0), (0, 0, 3));
    assert_eq!(end(&pod, "c"), (64, "dependency \"bad\" exited with non-zero code: 3".to_owned()));
    Ok(())
}

async fn sidecars_are_stopped(world: &World) -> Result<()> {
    let template =
        json!({"container": {}, "sidecars": [{"name": "side", "image": "busybox", "command": ["sleep", "1d"]}]});
    let pod = world.run("side", template, vec![json!({"name": "main", "command": ["true"]})], json!([])).await?;
    assert_eq!((end(&pod, "main").0, end(&pod, "side").0), (0, 143));
    // one that still waits for its configuration does not hold up the pod
    let side = json!({"name": "side", "image": "busybox", "command": ["sleep", "1d"],
        "envFrom": [{"configMapRef": {"name": "nothing"}}]});
    let template = json!({"container": {}, "sidecars": [side]});
    let main = json!({"name": "main", "command": ["true"]});
    let pod = world.run("side-waits", template, vec![main], json!([])).await?;
    assert_eq!((end(&pod, "main").0, end(&pod, "side").0, phase(&pod)), (0, 143, "Failed"));
    Ok(())
}

async fn large_outputs_become_a_task_result(world: &World) -> Result<()> {
    let main = json!({"name": "main", "command": ["sh", "-c", "head -c 9000 /dev/zero | tr '\\0' x"]});
    let pod = world.run("large", json!({"container": {}}), vec![main], json!([])).await?;
    assert_eq!(end(&pod, "wait"), (0, "{\"taskResult\":\"large-id\"}".to_owned()));
    let kind = kind("WorkflowTaskResult", "workflowtaskresults");
    let results: Api<DynamicObject> = Api::default_namespaced_with(world.client.clone(), &kind);
    let result = results.get("large-id").await?;
    assert_eq!(result.data["outputs"]["result"].as_str().map(str::len), Some(9000));
    Ok(())
}

async fn progress_is_reported_at_its_tick(world: &World) -> Result<()> {
    let main = json!({"name": "main", "command": ["sh", "-c", "echo 1/2 > $$ARGO_PROGRESS_FILE; sleep 0.5"]});
    let reported = async |name: &str| {
        let pod = world.run(name, json!({"container": {}}), vec![main.clone()], json!([])).await?;
        anyhow::Ok(serde_json::from_str::<Value>(&end(&pod, "wait").1)?["progress"].clone())
    };
    assert_eq!((reported("progress").await?, reported("too-short").await?), (json!("1/2"), Value::Null));
    Ok(())
}

/// Runs a resource template: the end of `main`, and the pod.
async fn act(world: &World, name: &str, resource: Value, outputs: Value) -> Result<((i32, String), Pod)> {
    let command = ["/argosy", "executor", "resource", resource["action"].as_str().unwrap_or_default()];
    let main = json!({"name": "main", "image": "argosy/executor", "command": command});
    let template = json!({"resource": resource, "outputs": {"parameters": outputs}});
    let pod = world.run(name, template, vec![main], json!([])).await?;
    Ok((end(&pod, "main"), pod))
}

async fn resources_are_acted_on(world: &World) -> Result<()> {
    let ok = (0, String::new());
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: made-, labels: {x: z}}\ndata: {a: '1'}";
    let created = json!({"action": "create", "manifest": manifest, "setOwnerReference": true});
    let parameters = json!([{"name": "name", "valueFrom": {"jsonPath": "{.metadata.name}"}},
        {"name": "owner", "valueFrom": {"jqFilter": ".metadata.ownerReferences[0].uid"}},
        {"name": "none", "valueFrom": {"jsonPath": "{.data.none}", "default": "d"}}]);
    let (ended, pod) = act(world, "create", created, parameters).await?;
    assert_eq!(ended, ok);
    let outputs = outputs(&pod)?;
    let output = |at: usize| outputs["parameters"][at]["value"].as_str().unwrap_or_default().to_owned();
    let name = output(0);
    ensure!(name.starts_with("made-") && name.len() > 5, "{outputs}");
    // What is not in the object is an empty text, as in Argo, also where there is a default.
    assert_eq!((output(1), output(2)), (world.workflow_uid.clone(), String::new()));

    let manifest = "{apiVersion: v1, kind: ConfigMap, metadata: {name: applied}, data: {a: '1', b: '2'}}";
    let apply = |manifest: &str| json!({"action": "apply", "manifest": manifest});
    assert_eq!(act(world, "apply", apply(manifest), json!([])).await?.0, ok);
    let manifest = "{apiVersion: v1, kind: ConfigMap, metadata: {name: applied}, data: {a: '3'}}";
    let data = json!([{"name": "data", "valueFrom": {"jsonPath": "{.data}"}}]);
    let (ended, pod) = act(world, "apply-again", apply(manifest), data).await?;
    assert_eq!((ended, self::outputs(&pod)?["parameters"][0]["value"].as_str()), (ok.clone(), Some("{\"a\":\"3\"}")));

    let replaced = manifest.replace("a: '3'", "state: bad");
    let waiting = json!({"action": "replace", "manifest": replaced, "successCondition": "data.state == good",
        "failureCondition": "data.state in (bad, worse)"});
    let (ended, _) = act(world, "replace", waiting.clone(), json!([])).await?;
    assert_eq!(ended, (64, "failure condition '{data.state in [bad worse]}' evaluated true".to_owned()));
    let mut waiting = waiting;
    waiting["manifest"] = json!(replaced.replace("bad", "soon"));
    let good = json!({"action": "patch", "flags": ["cm", "applied"], "mergeStrategy": "merge", "manifest": "data: {state: good}"});
    let later = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        act(world, "patch", good, json!([])).await
    };
    let (waited, patched) = tokio::try_join!(act(world, "waiting", waiting, json!([])), later)?;
    assert_eq!((waited.0, patched.0), (ok.clone(), ok.clone()));

    let selected = json!({"action": "delete", "flags": ["configmaps", "-l", "x=z"]});
    assert_eq!(act(world, "delete", selected, json!([])).await?.0, ok);
    let gone = |flags: &[&str]| json!({"action": "delete", "flags": flags});
    let (ended, _) = act(world, "gone", gone(&["cm", &name]), json!([])).await?;
    assert_eq!(ended, (64, format!("Error from server (NotFound): configmaps \"{name}\" not found")));
    let (ended, _) = act(world, "ignored", gone(&["cm", &name, "--ignore-not-found"]), json!([])).await?;
    assert_eq!(ended, ok);
    let (ended, _) = act(world, "no-type", gone(&["nothing", "x"]), json!([])).await?;
    assert_eq!(ended, (64, "error: the server doesn't have a resource type \"nothing\"".to_owned()));
    Ok(())
}

/// A step whose shell does something, and gives the parameter `x` from `/tmp/x`: how `wait` ended.
async fn gives(world: &World, name: &str, script: &str) -> Result<(i32, String)> {
    let template =
        json!({"container": {}, "outputs": {"parameters": [{"name": "x", "valueFrom": {"path": "/tmp/x"}}]}});
    let main = json!({"name": "main", "command": ["sh", "-c", script]});
    let pod = world.run(name, template, vec![main], json!([])).await?;
    ensure!(end(&pod, "main").0 == 0, "{:?}", end(&pod, "main"));
    Ok(end(&pod, "wait"))
}

async fn outputs_that_are_no_files_are_errors_and_block_nobody(world: &World) -> Result<()> {
    for (name, script, what) in [
        ("fifo", "mkfifo /tmp/x", "not a regular file but a fifo"),
        ("devzero", "ln -s /dev/zero /tmp/x", "not a regular file but a character device"),
        ("dir", "mkdir /tmp/x", "not a regular file but a directory"),
        ("sparse", "truncate -s 40G /tmp/x", "42949672960 bytes, the limit is 786432"),
        ("loop", "ln -s /tmp/x /tmp/x", "no such file"),
    ] {
        let (code, message) = gives(world, name, script).await?;
        ensure!(code == 64 && message.contains(what), "{name}: {code} {message}");
    }
    let template = json!({"container": {}, "outputs": {"artifacts": [{"name": "a", "path": "/tmp/x"}]}});
    let main = json!({"name": "main", "command": ["sh", "-c", "truncate -s 40G /tmp/x"]});
    let pod = world.run("sparse-artifact", template, vec![main], json!([])).await?;
    let (code, message) = end(&pod, "wait");
    ensure!(
        code == 64 && message.contains("output artifact a: /tmp/x: the artifact has more than"),
        "{code} {message}"
    );
    ensure!(message.contains("ARGOSY_ARTIFACT_BYTES_MAX"), "{message}");
    Ok(())
}

async fn links_of_a_step_are_not_followed(world: &World) -> Result<()> {
    let victim = world._dir.path().join("victim");
    std::fs::create_dir(&victim)?;
    std::fs::write(victim.join("secret"), "HOST-ONLY-SECRET")?;
    let victim = victim.display();
    // what the executor reads: Argo has it in the volume that the step can write to
    let plant =
        |name: &str, at: &str| format!("mkdir -p /var/run/argo/{at}; ln -s {victim}/{name} /var/run/argo/{at}/x");
    let (code, message) = gives(world, "symread", &plant("secret", "outputs/parameters/tmp")).await?;
    ensure!(code == 64 && message.contains("no such file") && !message.contains("SECRET"), "{code} {message}");
    // what it writes
    let script = format!("echo OWNED-by-step > /tmp/x; {}", plant("file", "outputs/parameters/tmp"));
    let (code, message) = gives(world, "symwrite", &script).await?;
    ensure!(code == 0 && message.contains("OWNED-by-step"), "{code} {message}");
    let script = format!(
        "echo v > /tmp/x; for f in template exitcode progress; do ln -sf {victim}/$f /var/run/argo/$f; done; \
         mkdir -p /var/run/argo/ctr; ln -s {victim} /var/run/argo/ctr/main; ln -s {victim} /var/run/argo/outputs"
    );
    ensure!(gives(world, "symall", &script).await?.0 == 0);
    let left: Vec<_> = std::fs::read_dir(world._dir.path().join("victim"))?.collect();
    assert_eq!(left.len(), 1, "{left:?}");
    Ok(())
}

async fn outputs_have_limits(world: &World) -> Result<()> {
    let x = |bytes: u64| format!("head -c {bytes} /dev/zero | tr '\\0' x > /tmp/x");
    let (code, message) = gives(world, "much", &x(700_000)).await?;
    assert_eq!((code, message.as_str()), (0, "{\"taskResult\":\"much-id\"}"));
    let (code, message) = gives(world, "too-much", &x(800_000)).await?;
    ensure!(code == 64 && message.contains("800000 bytes, the limit is 786432"), "{code} {message}");
    ensure!(message.contains("ARGOSY_OUTPUT_BYTES_MAX"), "it says how to raise it: {message}");
    // as JSON it is six times as large
    let (code, message) = gives(world, "escapes", "head -c 700000 /dev/zero | tr '\\0' '\\001' > /tmp/x").await?;
    ensure!(code == 64 && message.contains("bytes as JSON, the limit is 786432"), "{code} {message}");
    Ok(())
}

async fn a_flood_of_output_gives_its_end(world: &World) -> Result<()> {
    // more than a log keeps in one file, so that the result is not all in it
    let main = json!({"name": "main", "command": ["sh", "-c", "yes | head -c 2000000; echo end; yes no | head -c 2000000 >&2"]});
    let pod = world.run("flood", json!({"container": {}}), vec![main], json!([])).await?;
    assert_eq!(end(&pod, "wait"), (0, "{\"taskResult\":\"flood-id\"}".to_owned()));
    let kind = kind("WorkflowTaskResult", "workflowtaskresults");
    let results: Api<DynamicObject> = Api::default_namespaced_with(world.client.clone(), &kind);
    let result = results.get("flood-id").await?;
    let result = result.data["outputs"]["result"].as_str().unwrap_or_default();
    ensure!(result.len() == 256 * 1024 - 1 && result.ends_with("y\nend"), "{}", result.len());
    Ok(())
}

async fn filters_have_a_budget(world: &World) -> Result<()> {
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: jq-}\ndata: {a: '1', b: '2'}";
    let create = json!({"action": "create", "manifest": manifest});
    let deep = format!("{{.data[?{}@.a==1{}]}}", "(".repeat(100_000), ")".repeat(100_000));
    for (name, from, what) in [
        ("jqstack", json!({"jqFilter": "def f: 1 + f; f"}), "too deeply"),
        (
            "jqmem",
            json!({"jqFilter": "reduce range(40) as $i (\"x\"; . + .) | length"}),
            "needs more than 268435456 bytes of memory",
        ),
        ("jqcpu", json!({"jqFilter": "last(range(1000000000000))"}), "set ARGOSY_FILTER_CPU_SECONDS_MAX"),
        ("jqbig", json!({"jqFilter": "\"x\" * 1000000"}), "more than 786432 bytes"),
        ("jdeep", json!({"jsonPath": deep}), "error parsing jsonpath"),
    ] {
        let (ended, _) = act(world, name, create.clone(), json!([{"name": "x", "valueFrom": from}])).await?;
        ensure!(ended.0 == 64 && ended.1.contains(what), "{name}: {ended:?}");
    }
    let from = json!({"jqFilter": ".data.a + ([range(1000)] | add | tostring)"});
    let (ended, pod) = act(world, "jqfine", create, json!([{"name": "x", "valueFrom": from}])).await?;
    assert_eq!((ended.0, outputs(&pod)?["parameters"][0]["value"].as_str()), (0, Some("1499500")));
    Ok(())
}

async fn a_manifest_that_is_no_object_is_an_error(world: &World) -> Result<()> {
    for (name, action, metadata) in
        [("oops-a", "create", "oops"), ("oops-b", "create", "[1]"), ("oops-c", "apply", "oops")]
    {
        let manifest = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {metadata}\n");
        let resource = json!({"action": action, "manifest": manifest, "setOwnerReference": true});
        let (ended, _) = act(world, name, resource, json!([])).await?;
        ensure!(ended.0 == 64 && ended.1.contains("metadata must be an object, not "), "{name}: {ended:?}");
    }
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: noted, annotations: oops}\n";
    let (ended, _) = act(world, "oops-d", json!({"action": "apply", "manifest": manifest}), json!([])).await?;
    ensure!(ended.0 == 64 && ended.1.contains("metadata.annotations must be an object"), "{ended:?}");
    Ok(())
}

/// What an artifact may have.
fn tree() -> argosy_beneath::Limits {
    argosy_artifacts::limits(argosy_artifacts::BYTES_MAX, "")
}

/// No test harness: the node starts this program again as the shim of its containers.
fn main() -> Result<std::process::ExitCode> {
    if let Some(code) = argosy_standalone::dispatch() {
        return Ok(code);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let world = World::start().await?;
        a_script_gives_outputs(&world).await.context("a_script_gives_outputs")?;
        failures_are_told_as_argo_does(&world).await.context("failures_are_told_as_argo_does")?;
        container_sets_run_in_order(&world).await.context("container_sets_run_in_order")?;
        sidecars_are_stopped(&world).await.context("sidecars_are_stopped")?;
        large_outputs_become_a_task_result(&world).await.context("large_outputs_become_a_task_result")?;
        progress_is_reported_at_its_tick(&world).await.context("progress_is_reported_at_its_tick")?;
        resources_are_acted_on(&world).await.context("resources_are_acted_on")?;
        outputs_that_are_no_files_are_errors_and_block_nobody(&world).await.context("outputs_that_are_no_files")?;
        links_of_a_step_are_not_followed(&world).await.context("links_of_a_step")?;
        outputs_have_limits(&world).await.context("outputs_have_limits")?;
        a_flood_of_output_gives_its_end(&world).await.context("a_flood_of_output")?;
        filters_have_a_budget(&world).await.context("filters_have_a_budget")?;
        a_manifest_that_is_no_object_is_an_error(&world).await.context("a_manifest_that_is_no_object")?;
        println!("13 passed");
        Ok(std::process::ExitCode::SUCCESS)
    })
}
