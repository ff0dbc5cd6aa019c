//! The local node with a real Docker or Podman, when `ARGOSY_TEST_RUNTIME` names one (`docker` or `podman`), its program
//! answers, and a static busybox is on `PATH` to make an image of. Skipped otherwise, and says so.

mod pods;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use argosy_apiserver as api;
use argosy_node::{Images, Node, Options, Runtime};
use futures::StreamExt;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use kube::api::{DeleteParams, LogParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use pods::{ended, phase, ready, running, terminated};

/// The image of these tests, with an entrypoint.
const IMAGE: &str = "localhost/argosy-test:entry";
/// A pod that has not come so far by then never will.
const PATIENCE: Duration = Duration::from_secs(60);

/// The engine to test with.
#[derive(Clone, Copy)]
struct Engine {
    program: &'static str,
    runtime: Runtime,
}

/// The engine that the environment asks for, with the image made; else the reason why nothing is tested.
fn engine() -> Result<Result<Engine, String>> {
    let (program, runtime) = match std::env::var("ARGOSY_TEST_RUNTIME").as_deref() {
        Ok("docker") => ("docker", Runtime::Docker),
        Ok("podman") => ("podman", Runtime::Podman),
        _ => return Ok(Err("ARGOSY_TEST_RUNTIME is neither docker nor podman".into())),
    };
    let answers = Command::new(program).arg("info").output().is_ok_and(|output| output.status.success());
    if !answers {
        return Ok(Err(format!("{program} does not answer")));
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).map(|dir| dir.join("busybox")).find(|file| file.exists());
    let Some(busybox) = found else {
        return Ok(Err("no busybox on PATH".into()));
    };
    make_image(program, &busybox)?;
    Ok(Ok(Engine { program, runtime }))
}

fn make_image(program: &str, busybox: &Path) -> Result<()> {
    let dir = TempDir::new()?;
    let root = dir.path().join("root");
    for name in ["bin", "tmp", "etc"] {
        std::fs::create_dir_all(root.join(name))?;
    }
    std::fs::copy(busybox, root.join("bin/busybox"))?;
    let applets =
        ["sh", "cat", "echo", "sleep", "true", "id", "test", "mkdir", "ln", "tail", "hostname", "wc", "touch"];
    for name in applets {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(name))?;
    }
    std::fs::write(root.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n")?;
    let tar = dir.path().join("root.tar");
    run(Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&tar).arg("."))?;
    run(Command::new(program)
        .args(["import", "--change", "ENTRYPOINT [\"echo\", \"entry\"]", "--change", "CMD [\"default\"]"])
        .args([tar.as_os_str(), IMAGE.as_ref()]))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// A node and its API server.
struct World {
    engine: Engine,
    server: api::Server,
    client: Client,
    node: Node,
    dir: TempDir,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn node(engine: Engine, server: &api::Server, dir: PathBuf, keep: bool) -> Result<Node> {
    Ok(Node::new(Options {
        client: server.client("default"),
        data_dir: dir,
        name: "test".into(),
        executable: env!("CARGO_BIN_EXE_argosy-node-shim").into(),
        images: Images::default(),
        runtime: engine.runtime,
        builtins: vec![],
        records_events: false,
        keep_on_exit: keep,
    })
    .await?)
}

impl World {
    async fn start(engine: Engine, keep: bool) -> Result<Self> {
        let server = api::Server::new(api::Options::default());
        let dir = TempDir::new()?;
        let node = node(engine, &server, dir.path().join("node"), keep).await?;
        let (stop, task) = started(&node);
        Ok(Self { engine, client: server.client("default"), server, node, dir, stop, task })
    }

    fn pods(&self) -> Api<Pod> {
        Api::default_namespaced(self.client.clone())
    }

    async fn create(&self, name: &str, spec: Value) -> Result<()> {
        let pod = json!({"metadata": {"name": name}, "spec": spec});
        self.pods().create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
        Ok(())
    }

    async fn until(&self, name: &str, check: fn(&Pod) -> bool) -> Result<Pod> {
        let found = await_condition(self.pods(), name, |pod: Option<&Pod>| pod.is_some_and(check));
        let found = tokio::time::timeout(PATIENCE, found).await;
        let now = self.pods().get_opt(name).await?.and_then(|pod| pod.status);
        found.with_context(|| format!("{name}: {now:?}"))??.context("the pod is gone")
    }

    /// Runs a pod with one container: how it ended, and its log.
    async fn main(&self, name: &str, container: Value, spec: Value) -> Result<(ContainerStateTerminated, String)> {
        let mut main = json!({"name": "main", "image": IMAGE});
        for (key, value) in container.as_object().context("an object")? {
            main[key] = value.clone();
        }
        let mut spec = spec;
        spec["containers"] = json!([main]);
        self.create(name, spec).await?;
        let pod = self.until(name, ended).await?;
        Ok((terminated(&pod, "main").context("no end")?, self.log(name, "main").await?))
    }

    async fn log(&self, pod: &str, container: &str) -> Result<String> {
        let params = LogParams { container: Some(container.to_owned()), ..LogParams::default() };
        let stream = self.node.logs().open("default", pod, params).await?.context("no log yet")?;
        let bytes: Vec<_> = stream.collect().await;
        Ok(String::from_utf8(bytes.concat())?)
    }

    /// The node's containers, as the engine has them.
    fn containers(&self) -> Result<Vec<String>> {
        let dir = self.dir.path().join("node").canonicalize()?;
        let filter = format!("label=io.argosy.node={}", dir.display());
        let output = Command::new(self.engine.program).args(["ps", "-a", "-q", "--filter", &filter]).output()?;
        Ok(String::from_utf8(output.stdout)?.split_whitespace().map(str::to_owned).collect())
    }

    async fn no_containers(&self) -> Result<()> {
        let gone = async {
            while !self.containers()?.is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, gone).await.context("containers stay")?
    }

    /// Another life of the node, after this one ended without a word to its containers.
    async fn restart(self) -> Result<Self> {
        let Self { engine, server, client, dir, stop, task, .. } = self;
        stop.cancel();
        task.await?;
        let node = node(engine, &server, dir.path().join("node"), true).await?;
        let (stop, task) = started(&node);
        Ok(Self { engine, server, client, node, dir, stop, task })
    }

    async fn end(self) -> Result<()> {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await??;
        Ok(())
    }
}

fn started(node: &Node) -> (CancellationToken, JoinHandle<()>) {
    let (stop, node) = (CancellationToken::new(), node.clone());
    let token = stop.clone();
    (stop, tokio::spawn(async move { node.run(token).await }))
}

fn sh(script: &str) -> Value {
    json!({"command": ["sh", "-c", script]})
}

async fn ends_are_told(world: &World) -> Result<()> {
    let (end, log) =
        world.main("good", sh("echo out; echo err >&2; echo bye > /dev/termination-log"), json!({})).await?;
    ensure!(end.exit_code == 0 && log.contains("out\n") && log.contains("err\n"), "{end:?} {log}");
    assert_eq!(end.message.as_deref(), Some("bye\n"));
    let (end, _) = world.main("bad", sh("exit 3"), json!({})).await?;
    assert_eq!((end.exit_code, end.reason.as_deref()), (3, Some("Error")));
    let (end, _) = world.main("missing", json!({"command": ["no-such-program"]}), json!({})).await?;
    assert_eq!((end.exit_code, end.reason.as_deref()), (128, Some("StartError")));
    assert_eq!(end.message.as_deref(), Some("exec: \"no-such-program\": executable file not found in $PATH"));
    for (name, container, said) in [
        ("entry", json!({}), "entry default\n"),
        ("args", json!({"args": ["$(A)", "$(B)"], "env": [{"name": "A", "value": "a\nb"}]}), "entry a\nb $(B)\n"),
    ] {
        assert_eq!(world.main(name, container, json!({})).await?.1, said);
    }
    world.no_containers().await
}

async fn manifests_are_followed(world: &World) -> Result<()> {
    let script = "id -u; pwd; hostname; cat /v/f /one; test -t 1 && echo tty; touch /ro/x 2>/dev/null || echo read-only; \
        echo \"$SECRET\"; echo x > /v/left";
    let container = json!({
        "command": ["sh", "-c", script], "workingDir": "/made/up", "tty": true,
        "env": [{"name": "SECRET", "value": "two\nlines"}],
        "securityContext": {"runAsUser": 1000},
        "volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/one", "subPath": "f"},
            {"name": "v", "mountPath": "/ro", "readOnly": true}],
    });
    let init = json!({"name": "init", "image": IMAGE, "command": ["sh", "-c", "echo from-init > /v/f"],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}]});
    let spec = json!({"initContainers": [init], "volumes": [{"name": "v", "emptyDir": {}}]});
    let (end, log) = world.main("manifest", container, spec).await?;
    let lines = "1000\n/made/up\nmanifest\nfrom-init\nfrom-init\ntty\nread-only\ntwo\nlines\n";
    assert_eq!((end.exit_code, log.replace('\r', "").as_str()), (0, lines));
    Ok(())
}

/// What one container lays in a volume leads no mount of another out of it.
async fn links_in_volumes_lead_nowhere(world: &World) -> Result<()> {
    let host = TempDir::new()?;
    std::fs::write(host.path().join("secret"), "HOST-ONLY-SECRET")?;
    let script = "ln -s \"$HOST\" /v/dir; ln -s \"$HOST/secret\" /v/file; ln -s ../../../../../../../../../.. /v/up";
    let init = json!({"name": "init", "image": IMAGE, "command": ["sh", "-c", script],
        "env": [{"name": "HOST", "value": host.path()}], "volumeMounts": [{"name": "v", "mountPath": "/v"}]});
    let up = format!("up{}", host.path().display());
    for (name, sub_path) in [("dir", "dir"), ("below-dir", "dir/secret"), ("file", "file"), ("up", &up)] {
        let main = json!({"name": "main", "image": IMAGE, "command": ["sh", "-c", "cat /m /m/secret; touch /m/new; true"],
            "volumeMounts": [{"name": "v", "mountPath": "/m", "subPath": sub_path}]});
        let spec = json!({"initContainers": [init], "volumes": [{"name": "v", "emptyDir": {}}], "containers": [main]});
        world.create(name, spec).await?;
        world.until(name, |pod| ended(pod) || waits(pod)).await?;
        let log = world.log(name, "main").await.unwrap_or_default();
        ensure!(!log.contains("HOST-ONLY-SECRET"), "{name}: {log}");
        world.pods().delete(name, &DeleteParams::default().grace_period(0)).await?;
    }
    ensure!(std::fs::read_dir(host.path())?.count() == 1, "something came out");
    world.no_containers().await
}

/// Whether the main container cannot be made.
fn waits(pod: &Pod) -> bool {
    let statuses = pod.status.iter().flat_map(|s| s.container_statuses.iter().flatten());
    let mut waiting = statuses.filter_map(|c| c.state.as_ref()?.waiting.as_ref());
    waiting.any(|waiting| waiting.message.is_some())
}

async fn containers_are_stopped(world: &World) -> Result<()> {
    let sleeper = |script: &str| json!([{"name": "main", "image": IMAGE, "command": ["sh", "-c", script]}]);
    let listens = sleeper("trap 'exit 7' TERM; touch /tmp/ready; sleep 600 & wait");
    world.create("late", json!({"containers": listens, "activeDeadlineSeconds": 5})).await?;
    // without a handler, too: the command is not process 1
    world.create("deleted", json!({"containers": sleeper("sleep 600")})).await?;
    world.until("deleted", running).await?;
    world.pods().delete("deleted", &DeleteParams::default()).await?;
    let gone = await_condition(world.pods(), "deleted", |pod: Option<&Pod>| pod.is_none());
    // well before the grace period of 30 s is over
    tokio::time::timeout(Duration::from_secs(20), gone).await.context("SIGTERM does not arrive")??;
    let pod = world.until("late", ended).await?;
    assert_eq!(terminated(&pod, "main").map(|t| t.exit_code), Some(7));
    let deaf = sleeper("trap '' TERM; while :; do sleep 1; done");
    let spec = json!({"containers": deaf, "terminationGracePeriodSeconds": 1, "activeDeadlineSeconds": 2});
    world.create("deaf", spec).await?;
    let pod = world.until("deaf", ended).await?;
    assert_eq!(terminated(&pod, "main").map(|t| t.exit_code), Some(137));
    world.no_containers().await
}

async fn readiness_is_probed_inside(world: &World) -> Result<()> {
    let main = json!({"name": "main", "image": IMAGE, "command": ["sh", "-c", "touch /ready; sleep 600"],
        "readinessProbe": {"exec": {"command": ["cat", "/ready"]}, "periodSeconds": 1}});
    world.create("probed", json!({"containers": [main]})).await?;
    world.until("probed", ready).await?;
    world.pods().delete("probed", &DeleteParams::default().grace_period(0)).await?;
    world.no_containers().await
}

async fn images_that_cannot_be_had_are_told(world: &World) -> Result<()> {
    let main = |policy: &str| json!([{"name": "main", "image": "localhost:1/none", "imagePullPolicy": policy}]);
    let waits = |reason: &'static str| {
        move |pod: &Pod| {
            let statuses = pod.status.iter().flat_map(|s| s.container_statuses.iter().flatten());
            let mut waiting = statuses.filter_map(|c| c.state.as_ref()?.waiting.as_ref());
            phase(pod) == "Pending" && waiting.any(|w| w.reason.as_deref() == Some(reason) && w.message.is_some())
        }
    };
    for (name, policy, reasons) in [
        ("pulled", "IfNotPresent", &["ErrImagePull", "ImagePullBackOff"][..]),
        ("never", "Never", &["ErrImageNeverPull"]),
    ] {
        world.create(name, json!({"containers": main(policy)})).await?;
        for reason in reasons {
            let check = waits(reason);
            let seen = await_condition(world.pods(), name, move |pod: Option<&Pod>| pod.is_some_and(&check));
            tokio::time::timeout(PATIENCE, seen).await.with_context(|| format!("{name}: no {reason}"))??;
        }
        world.pods().delete(name, &DeleteParams::default()).await?;
    }
    Ok(())
}

/// A container goes on while the node is away, and the next life of the node has its log and its end. One whose pod was
/// deleted meanwhile is removed.
async fn a_restarted_node_finds_its_containers(engine: Engine) -> Result<()> {
    let world = World::start(engine, true).await?;
    let main = |script: &str| json!([{"name": "main", "image": IMAGE, "command": ["sh", "-c", script]}]);
    let script = "echo one; while ! test -e /tmp/go; do sleep 0.1; done; printf two; exit 5";
    world.create("long", json!({"containers": main(script)})).await?;
    world.create("orphan", json!({"containers": main("sleep 600")})).await?;
    world.until("long", running).await?;
    world.until("orphan", running).await?;
    let both_run = async {
        while world.containers()?.len() < 2 || world.log("long", "main").await.unwrap_or_default().is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, both_run).await.context("they do not start")??;
    world.stop.cancel();
    let uid = world.pods().get("long").await?.metadata.uid.context("no uid")?;
    world.pods().delete("orphan", &DeleteParams::default().grace_period(0)).await?;
    let world = world.restart().await?;
    let name = format!("argosy_main_long_{uid}");
    run(Command::new(engine.program).args(["exec", &name, "touch", "/tmp/go"]))?;
    let pod = world.until("long", ended).await?;
    assert_eq!(terminated(&pod, "main").map(|t| t.exit_code), Some(5));
    assert_eq!(world.log("long", "main").await?, "one\ntwo");
    world.no_containers().await?;
    world.end().await
}

/// What stands by a node without a data directory, as if that had been killed.
async fn containers_of_a_dead_node_are_removed(engine: Engine) -> Result<()> {
    let world = World::start(engine, true).await?;
    let main = json!([{"name": "main", "image": IMAGE, "command": ["sleep", "600"]}]);
    world.create("left", json!({"containers": main})).await?;
    let runs = async {
        while world.containers()?.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, runs).await.context("it is not made")??;
    let dir = world.dir.path().join("node").canonicalize()?;
    run(Command::new(env!("CARGO_BIN_EXE_argosy-node-shim"))
        .args(["__reap".as_ref(), engine.program.as_ref(), dir.as_os_str()])
        .stdin(std::process::Stdio::null()))?;
    assert_eq!(world.containers()?, Vec::<String>::new());
    let pod = world.until("left", ended).await?;
    assert_eq!(terminated(&pod, "main").map(|t| t.exit_code), Some(137));
    world.end().await
}

/// One test, as the parts share an engine that is slow to start many containers at once.
#[tokio::test]
async fn pods_run_in_a_container_engine() -> Result<()> {
    let engine = match engine()? {
        Ok(engine) => engine,
        Err(why) => {
            eprintln!("skipped: {why}");
            return Ok(());
        }
    };
    let world = World::start(engine, false).await?;
    ends_are_told(&world).await.context("ends_are_told")?;
    manifests_are_followed(&world).await.context("manifests_are_followed")?;
    links_in_volumes_lead_nowhere(&world).await.context("links_in_volumes_lead_nowhere")?;
    containers_are_stopped(&world).await.context("containers_are_stopped")?;
    readiness_is_probed_inside(&world).await.context("readiness_is_probed_inside")?;
    images_that_cannot_be_had_are_told(&world).await.context("images_that_cannot_be_had_are_told")?;
    world.end().await?;
    a_restarted_node_finds_its_containers(engine).await.context("a_restarted_node_finds_its_containers")?;
    containers_of_a_dead_node_are_removed(engine).await.context("containers_of_a_dead_node_are_removed")?;
    run(Command::new(engine.program).args(["rmi", IMAGE]))
}
