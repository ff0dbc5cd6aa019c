//! The local node over the in-process API, with real processes.

mod events;
#[path = "../pods/mod.rs"]
mod pods;
mod safety;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use argosy_apiserver as api;
use argosy_node::{Builtin, Images, Isolation, Node, Options, Runtime};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, ContainerStateTerminated, PersistentVolumeClaim, Pod};
use kube::api::{DeleteParams, LogParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::runtime::watcher::Event;
use kube::{Api, Client};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use pods::{ended, phase, ready, running, terminated};

/// A node and its API server, for one test.
struct World {
    server: api::Server,
    client: Client,
    node: Node,
    dir: TempDir,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn node(server: &api::Server, dir: PathBuf, keep: bool, runtime: Runtime) -> Result<Node> {
    node_with(server, dir, keep, runtime, vec![]).await
}

async fn node_with(
    server: &api::Server,
    dir: PathBuf,
    keep: bool,
    runtime: Runtime,
    builtins: Vec<Arc<dyn Builtin>>,
) -> Result<Node> {
    Ok(Node::new(Options {
        client: server.client("default"),
        data_dir: dir,
        name: "test".into(),
        executable: env!("CARGO_BIN_EXE_argosy-node-shim").into(),
        images: Images::default(),
        runtime,
        builtins,
        records_events: true,
        keep_on_exit: keep,
    })
    .await?)
}

impl World {
    async fn start(keep: bool, runtime: Runtime) -> Result<Self> {
        let server = api::Server::new(api::Options::default());
        let dir = TempDir::new()?;
        let node = node(&server, dir.path().to_owned(), keep, runtime).await?;
        let (stop, task) = run(&node);
        Ok(Self { client: server.client("default"), server, node, dir, stop, task })
    }

    fn pods(&self) -> Api<Pod> {
        Api::default_namespaced(self.client.clone())
    }

    async fn create(&self, name: &str, spec: Value) -> Result<()> {
        let pod = json!({"metadata": {"name": name, "labels": {"a": "b"}}, "spec": spec});
        self.pods().create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
        Ok(())
    }

    async fn until(&self, name: &str, check: fn(&Pod) -> bool) -> Result<Pod> {
        let found = await_condition(self.pods(), name, |pod: Option<&Pod>| pod.is_some_and(check));
        let found = tokio::time::timeout(Duration::from_secs(20), found).await;
        let now = self.pods().get_opt(name).await?.and_then(|pod| pod.status);
        found.with_context(|| format!("{name}: {now:?}"))??.context("the pod is gone")
    }

    /// Runs a pod with one container and returns its phase, how it ended, and its log.
    async fn shell(&self, name: &str, container: Value) -> Result<(String, ContainerStateTerminated, String)> {
        let mut main = json!({"name": "main", "image": "busybox"});
        for (key, value) in container.as_object().context("an object")? {
            main[key] = value.clone();
        }
        let volumes = main.as_object_mut().and_then(|m| m.remove("volumes")).unwrap_or(json!([]));
        self.create(name, json!({"containers": [main], "volumes": volumes})).await?;
        let pod = self.until(name, ended).await?;
        let log = self.log(name, "main", LogParams::default()).await?;
        Ok((phase(&pod).to_owned(), terminated(&pod, "main").context("no end")?, log))
    }

    async fn log(&self, pod: &str, container: &str, params: LogParams) -> Result<String> {
        let params = LogParams { container: Some(container.to_owned()), ..params };
        let stream = self.node.logs().open("default", pod, params).await?.context("no log yet")?;
        let bytes: Vec<_> = stream.collect().await;
        Ok(String::from_utf8(bytes.concat())?)
    }

    async fn end(self) -> Result<()> {
        self.stop.cancel();
        Ok(tokio::time::timeout(Duration::from_secs(10), self.task).await??)
    }
}

fn run(node: &Node) -> (CancellationToken, JoinHandle<()>) {
    let (stop, node) = (CancellationToken::new(), node.clone());
    let token = stop.clone();
    (stop, tokio::spawn(async move { node.run(token).await }))
}

fn sh(script: &str) -> Value {
    json!({"command": ["sh", "-c"], "args": [script]})
}

#[tokio::test]
async fn a_container_runs_and_its_end_is_told() -> Result<()> {
    let world = World::start(false, Runtime::Process).await?;
    let (phase, end, log) = world.shell("good", sh("echo out; echo err >&2; echo bye > /dev/termination-log")).await?;
    assert_eq!((phase.as_str(), end.exit_code, end.message.as_deref()), ("Succeeded", 0, Some("bye\n")));
    ensure!(log.contains("out\n") && log.contains("err\n"), "{log}");
    let (phase, end, _) = world.shell("bad", sh("exit 3")).await?;
    assert_eq!((phase.as_str(), end.exit_code, end.reason.as_deref()), ("Failed", 3, Some("Error")));
    let (_, end, _) = world.shell("signal", json!({"command": ["bash", "-c", "kill $BASHPID"]})).await?;
    assert_eq!(end.exit_code, 143);
    let (_, end, _) = world.shell("missing", json!({"command": ["no-such-program"]})).await?;
    assert_eq!((end.exit_code, end.reason.as_deref()), (128, Some("StartError")));
    assert_eq!(end.message.as_deref(), Some("exec: \"no-such-program\": executable file not found in $PATH"));
    let (_, end, _) = world
        .shell(
            "fallback",
            json!({"command": ["sh", "-c", "echo why; exit 1"],
        "terminationMessagePolicy": "FallbackToLogsOnError"}),
        )
        .await?;
    assert_eq!(end.message.as_deref(), Some("why"));
    let (_, end, log) = world
        .shell(
            "say",
            json!({"image": "argoproj/argosay:v2", "args": ["echo", "hi $(NAME) $(NOT)"],
        "env": [{"name": "NAME", "value": "there"}]}),
        )
        .await?;
    assert_eq!((end.exit_code, log.as_str()), (0, "hi there $(NOT)\n"));
    let (_, end, log) = world
        .shell("cow", json!({"image": "argoproj/argosay:v1", "command": ["sh", "-c", "cowsay moo && /argosay exit 4"]}))
        .await?;
    ensure!(end.exit_code == 4 && log.contains("moo"), "{end:?} {log}");
    let (_, end, _) = world.shell("image", json!({"image": "localhost/unknown"})).await?;
    assert_eq!(
        end.message.as_deref(),
        Some("image localhost/unknown has no known entrypoint: give the container a command")
    );
    world.end().await
}

#[tokio::test]
async fn containers_have_files_of_their_own() -> Result<()> {
    let world = World::start(false, Runtime::Process).await?;
    if world.node.sandbox().is_none_or(|sandbox| sandbox.isolation == Isolation::Plain) {
        eprintln!("no sandbox on this machine: {:?}", world.node.sandbox().map(|sandbox| &sandbox.refused));
        return world.end().await;
    }
    let map = json!({"metadata": {"name": "conf"}, "data": {"k": "v"}});
    let maps: Api<ConfigMap> = Api::default_namespaced(world.client.clone());
    maps.create(&PostParams::default(), &serde_json::from_value(map)?).await?;
    let (_, end, log) = world.shell("write", sh("ls -A /tmp; echo x > /tmp/a; mkdir -p /etc/new/b; echo $$; hostname 2>/dev/null || cat /proc/sys/kernel/hostname; rm /etc/hostname; exec 2>&1; ps -e | wc -l")).await?;
    ensure!(end.exit_code == 0 && log.contains("write\n"), "{log}");
    ensure!(!std::path::Path::new("/etc/new").exists(), "the host was written to");
    let (_, end, log) = world.shell("mounts", json!({
        "command": ["sh", "-c", "cat /var/run/conf/k /deep/er/one; (echo x > /deep/er/one) 2>/dev/null || echo refused; pwd; cat /labels/l; echo y > /empty/f"],
        "workingDir": "/made/up",
        "volumeMounts": [
            {"name": "conf", "mountPath": "/var/run/conf"},
            {"name": "conf", "mountPath": "/deep/er/one", "subPath": "k", "readOnly": true},
            {"name": "down", "mountPath": "/labels"},
            {"name": "empty", "mountPath": "/empty"}],
        "volumes": [
            {"name": "conf", "configMap": {"name": "conf"}},
            {"name": "down", "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels['a']"}}]}},
            {"name": "empty", "emptyDir": {}}]
    })).await?;
    ensure!(end.exit_code == 0, "{log}");
    assert!(log.starts_with("vv") && log.contains("refused\n/made/up\nb"), "{log}");
    world.end().await
}

#[tokio::test]
async fn a_pod_waits_for_its_claim() -> Result<()> {
    let world = World::start(false, Runtime::Process).await?;
    let main = json!({"name": "main", "image": "busybox", "command": ["true"]});
    let volumes = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "late"}}]);
    world.create("waits", json!({"containers": [main], "volumes": volumes})).await?;
    let told = |pod: &Pod| {
        let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        let mut waiting = containers.filter_map(|c| c.state.as_ref()?.waiting.as_ref()?.message.as_deref());
        waiting.any(|message| message.contains("persistentvolumeclaim \"late\" not found"))
    };
    world.until("waits", told).await?;
    let claim = json!({"metadata": {"name": "late"}, "spec": {"accessModes": ["ReadWriteOnce"]}});
    let claims: Api<PersistentVolumeClaim> = Api::default_namespaced(world.client.clone());
    claims.create(&PostParams::default(), &serde_json::from_value(claim)?).await?;
    assert_eq!(phase(&world.until("waits", ended).await?), "Succeeded");
    world.end().await
}

#[tokio::test]
async fn process_one_of_a_container_holds_nothing_of_the_host() -> Result<()> {
    let world = World::start(false, Runtime::Process).await?;
    if world.node.sandbox().is_none_or(|sandbox| sandbox.isolation == Isolation::Plain) {
        eprintln!("no sandbox on this machine: {:?}", world.node.sandbox().map(|sandbox| &sandbox.refused));
        return world.end().await;
    }
    let script =
        "for f in /proc/1/fd/*; do readlink $f; done | sed 's/:.*//' | sort -u; tr -d '\\0' < /proc/1/environ | wc -c";
    let (_, end, log) = world.shell("one", sh(script)).await?;
    ensure!(end.exit_code == 0, "{log}");
    // no standard input, two streams to the log, and the way to the half outside; no environment
    assert_eq!(log.split_whitespace().collect::<Vec<_>>(), ["/dev/null", "pipe", "0"]);
    world.end().await
}

#[tokio::test]
async fn init_containers_come_first_and_share_volumes() -> Result<()> {
    let world = World::start(false, Runtime::Process).await?;
    let mount = json!([{"name": "v", "mountPath": "/v"}]);
    let c = |name: &str, script: &str| json!({"name": name, "command": ["sh", "-c", script], "volumeMounts": mount});
    let volumes = json!([{"name": "v", "emptyDir": {}}]);
    world
        .create(
            "good",
            json!({"volumes": volumes, "initContainers": [c("a", "echo a >> /v/f"), c("b", "echo b >> /v/f")],
        "containers": [c("main", "cat /v/f"), c("other", "true")]}),
        )
        .await?;
    let pod = world.until("good", ended).await?;
    assert_eq!((phase(&pod), world.log("good", "main", LogParams::default()).await?.as_str()), ("Succeeded", "a\nb\n"));
    world
        .create(
            "bad",
            json!({"volumes": volumes, "initContainers": [c("a", "exit 2")], "containers": [c("main", "true")]}),
        )
        .await?;
    let pod = world.until("bad", ended).await?;
    assert_eq!(phase(&pod), "Failed");
    assert_eq!(terminated(&pod, "a").map(|t| t.exit_code), Some(2));
    assert!(terminated(&pod, "main").is_none());
    world.end().await
}

#[tokio::test]
async fn pods_are_stopped_by_deadline_and_by_deletion() -> Result<()> {
    let world = World::start(false, Runtime::Process).await?;
    let sleeper = json!([{"name": "main", "command": ["sh", "-c", "trap 'exit 7' TERM; sleep 60 & wait"]}]);
    world.create("late", json!({"containers": sleeper, "activeDeadlineSeconds": 1})).await?;
    world.create("deleted", json!({"containers": sleeper})).await?;
    world.until("deleted", running).await?;
    // let the shell set its trap
    tokio::time::sleep(Duration::from_millis(200)).await;
    world.pods().delete("deleted", &DeleteParams::default()).await?;
    let gone = await_condition(world.pods(), "deleted", |pod: Option<&Pod>| pod.is_none());
    tokio::time::timeout(Duration::from_secs(5), gone).await??;
    let pod = world.until("late", ended).await?;
    let status = pod.status.as_ref().context("status")?;
    assert_eq!((status.phase.as_deref(), status.reason.as_deref()), (Some("Failed"), Some("DeadlineExceeded")));
    assert_eq!(status.message.as_deref(), Some("Pod was active on the node longer than the specified deadline"));
    assert_eq!(terminated(&pod, "main").map(|t| t.exit_code), Some(7));
    // a process that does not listen is killed
    let deaf = json!([{"name": "main", "command": ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]}]);
    world
        .create("deaf", json!({"containers": deaf, "terminationGracePeriodSeconds": 1, "activeDeadlineSeconds": 1}))
        .await?;
    let pod = world.until("deaf", ended).await?;
    assert_eq!(terminated(&pod, "main").map(|t| t.exit_code), Some(137));
    world.end().await
}

#[tokio::test]
async fn readiness_probes_decide_when_a_pod_is_ready() -> Result<()> {
    let world = World::start(false, Runtime::Process).await?;
    let script = "sleep 0.2; touch /tmp/ready; sleep 60";
    world
        .create(
            "exec",
            json!({"terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "command": ["sh", "-c", script],
        "readinessProbe": {"exec": {"command": ["cat", "/tmp/ready"]}, "periodSeconds": 1}}]}),
        )
        .await?;
    let pod = world.until("exec", running).await?;
    assert!(!ready(&pod));
    world.until("exec", ready).await?;
    world.end().await
}

#[tokio::test]
async fn logs_can_be_followed() -> Result<()> {
    let world = World::start(false, Runtime::Process).await?;
    let script = "echo one; sleep 0.3; echo two; printf three";
    world.create("talk", json!({"containers": [{"name": "main", "command": ["sh", "-c", script]}]})).await?;
    world.until("talk", |pod| running(pod) || ended(pod)).await?;
    let follow = LogParams { follow: true, ..LogParams::default() };
    let log = tokio::time::timeout(Duration::from_secs(5), world.log("talk", "main", follow)).await??;
    assert_eq!(log, "one\ntwo\nthree");
    let tail = LogParams { tail_lines: Some(1), timestamps: true, ..LogParams::default() };
    let log = world.log("talk", "main", tail).await?;
    ensure!(log.ends_with("Z three") && log.lines().count() == 1, "a last line without a newline is one: {log}");
    world.end().await
}

#[tokio::test]
async fn a_restarted_node_takes_over_what_runs() -> Result<()> {
    let world = World::start(true, Runtime::Process).await?;
    let count = world.dir.path().join("count");
    let mount = json!([{"name": "host", "mountPath": "/count"}]);
    std::fs::create_dir(&count)?;
    let script = "echo run >> /count/f; sleep 1; exit 5";
    world
        .create(
            "long",
            json!({"volumes": [{"name": "host", "hostPath": {"path": count}}],
        "containers": [{"name": "main", "command": ["sh", "-c", script], "volumeMounts": mount}]}),
        )
        .await?;
    world.until("long", running).await?;
    world.stop.cancel();
    let World { server, client, dir, task, .. } = world;
    task.await?;
    let node = node(&server, dir.path().to_owned(), true, Runtime::Process).await?;
    let (stop, task) = run(&node);
    let world = World { server, client, node, dir, stop, task };
    let pod = world.until("long", ended).await?;
    assert_eq!(terminated(&pod, "main").map(|t| t.exit_code), Some(5));
    assert_eq!(std::fs::read_to_string(count.join("f"))?, "run\n");
    world.end().await
}

#[tokio::test]
async fn a_restarted_node_stops_what_runs_of_a_pod_that_was_deleted_meanwhile() -> Result<()> {
    let world = World::start(true, Runtime::Process).await?;
    let count = world.dir.path().join("count");
    std::fs::create_dir(&count)?;
    let script = "trap 'exit 7' TERM; echo run >> /count/f; sleep 60 & wait";
    world
        .create(
            "long",
            json!({"volumes": [{"name": "host", "hostPath": {"path": count}}],
        "containers": [{"name": "main", "command": ["sh", "-c", script], "volumeMounts": [{"name": "host", "mountPath": "/count"}]}]}),
        )
        .await?;
    world.until("long", running).await?;
    while !count.join("f").exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.stop.cancel();
    let World { server, client, dir, task, .. } = world;
    task.await?;
    // the last look at a deleted pod is how it ended
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let mut events = kube::runtime::watcher(pods.clone(), Default::default()).boxed();
    while !matches!(events.next().await, Some(Ok(Event::InitDone))) {}
    pods.delete("long", &DeleteParams::default()).await?;
    let node = node(&server, dir.path().to_owned(), true, Runtime::Process).await?;
    let (stop, task) = run(&node);
    let world = World { server, client, node, dir, stop, task };
    let last = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            if let Some(Ok(Event::Delete(pod))) = events.next().await {
                return pod;
            }
        }
    });
    let last = last.await?;
    assert_eq!((phase(&last), terminated(&last, "main").map(|t| t.exit_code)), ("Failed", Some(7)));
    assert_eq!(std::fs::read_to_string(count.join("f"))?, "run\n");
    world.end().await
}

#[tokio::test]
async fn plain_processes_find_their_volumes() -> Result<()> {
    let world = World::start(false, Runtime::PlainProcess).await?;
    let (phase, end, log) = world
        .shell(
            "plain",
            json!({
                "command": ["sh", "-c", "echo hi > /v/f; cat /v/f; sleep 60 & exit 0"],
                "volumeMounts": [{"name": "v", "mountPath": "/v"}], "volumes": [{"name": "v", "emptyDir": {}}]
            }),
        )
        .await?;
    assert_eq!((phase.as_str(), end.exit_code, log.as_str()), ("Succeeded", 0, "hi\n"));
    world.end().await
}
