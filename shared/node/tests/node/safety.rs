//! What one pod cannot do to the machine, to other pods and to the node.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use argosy_apiserver as api;
use argosy_node::{self as node, Builtin, Claim, Outcome, Runtime};
use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Container, Pod, Secret};
use kube::Api;
use kube::api::{LogParams, PostParams};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::pods::{ended, phase, running};
use super::{World, node, node_with, run, sh};

/// What a container that has not started waits for: reason and message.
fn waits(pod: &Pod, container: &str) -> (String, String) {
    let status = pod.status.clone().unwrap_or_default();
    let found = status.container_statuses.into_iter().flatten().find(|status| status.name == container);
    let waiting = found.and_then(|status| status.state?.waiting).unwrap_or_default();
    (waiting.reason.unwrap_or_default(), waiting.message.unwrap_or_default())
}

/// The API may refuse such names itself; then there is nothing to run.
async fn fails_or_is_refused(world: &World, name: &str, spec: Value) -> Result<()> {
    if let Err(refused) = world.create(name, spec).await {
        ensure!(refused.to_string().contains("Invalid"), "{refused:#}");
        return Ok(());
    }
    let pod = world.until(name, ended).await?;
    let (reason, message) = waits(&pod, "main");
    ensure!(phase(&pod) == "Failed" && reason == "InvalidName" && message.contains("RFC 1123"), "{:?}", pod.status);
    Ok(())
}

#[tokio::test]
async fn names_of_containers_and_volumes_do_not_lead_out_of_the_data_directory() -> Result<()> {
    let world = World::start(true, Runtime::Process).await?;
    let victim = TempDir::new()?;
    let up = format!("../../../../../../../../../..{}/escape", victim.path().display());
    let absolute = format!("{}/escape", victim.path().display());
    let main = json!({"name": "main", "image": "busybox", "command": ["true"]});
    for (n, bad) in [up.as_str(), absolute.as_str(), "..", "a/b", "UPPER"].into_iter().enumerate() {
        let other = json!({"name": bad, "image": "busybox", "command": ["true"]});
        fails_or_is_refused(&world, &format!("c{n}"), json!({"containers": [main, other]})).await?;
        let init = json!({"containers": [main], "initContainers": [other]});
        fails_or_is_refused(&world, &format!("i{n}"), init).await?;
        let mut mounts = main.clone();
        mounts["volumeMounts"] = json!([{"name": bad, "mountPath": "/v"}]);
        let volume = json!({"containers": [mounts], "volumes": [{"name": bad, "emptyDir": {}}]});
        fails_or_is_refused(&world, &format!("v{n}"), volume).await?;
    }
    assert_eq!(std::fs::read_dir(victim.path())?.count(), 0);
    let params = LogParams { container: Some(up), ..LogParams::default() };
    let log = world.node.logs().open("default", "c0", params).await;
    drop(log);
    assert_eq!(std::fs::read_dir(victim.path())?.count(), 0);
    world.end().await
}

#[tokio::test]
async fn a_host_name_that_is_no_label_is_refused_and_breaks_nothing() -> Result<()> {
    let world = World::start(false, Runtime::Process).await?;
    for (name, hostname) in
        [("two", "é".repeat(40)), ("three", format!("a{}", "€".repeat(40))), ("four", "𝄞".repeat(20))]
    {
        let main = json!({"name": "main", "image": "busybox", "command": ["true"]});
        let refused = world.create(name, json!({"containers": [main], "hostname": hostname})).await;
        assert!(refused.is_err_and(|error| format!("{error:#}").contains("spec.hostname: Invalid value")), "{name}");
    }
    assert_eq!(world.node.panics(), 0);
    world.end().await
}

/// Fails in its own code over each container whose image says so.
struct Broken;

#[async_trait]
impl Builtin for Broken {
    fn claims(&self, _: &Pod, container: &Container) -> Option<Claim> {
        (container.image.as_deref() == Some("broken")).then_some(Claim::Inside)
    }

    async fn run(&self, context: node::Context) -> Outcome {
        let names: Vec<String> = Vec::new();
        panic!("no name for {} in {names:?}", context.container().name)
    }
}

#[tokio::test]
async fn a_panic_over_one_pod_is_that_pods_end_only() -> Result<()> {
    let server = api::Server::new(api::Options::default());
    let dir = TempDir::new()?;
    let node = node_with(&server, dir.path().to_owned(), false, Runtime::Process, vec![Arc::new(Broken)]).await?;
    let (stop, task) = run(&node);
    let world = World { client: server.client("default"), server, node, dir, stop, task };
    let fine = json!({"name": "fine", "image": "busybox", "command": ["sleep", "1d"]});
    let broken = json!({"name": "main", "image": "broken"});
    world
        .create("neighbour", json!({"containers": [{"name": "main", "image": "busybox", "command": ["sleep", "1"]}]}))
        .await?;
    let pods = [
        ("beside", json!({"containers": [broken, fine], "terminationGracePeriodSeconds": 1})),
        ("before", json!({"containers": [fine], "initContainers": [{"name": "first", "image": "broken"}]})),
    ];
    for (name, spec) in pods {
        world.create(name, spec).await?;
        let pod = world.until(name, ended).await?;
        let status = pod.status.clone().unwrap_or_default();
        assert_eq!((phase(&pod), status.reason.as_deref()), ("Failed", Some("NodePanicked")));
    }
    let pod = world.until("beside", ended).await?;
    let (reason, message) = waits(&pod, "main");
    assert_eq!(reason, "NodePanicked");
    ensure!(message.contains("no name for main in []"), "{message}");
    assert_eq!(world.node.panics(), 2);
    let neighbour = world.until("neighbour", ended).await?;
    assert_eq!(phase(&neighbour), "Succeeded");
    world.end().await
}

fn mode(path: &Path) -> Result<u32> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o777)
}

#[tokio::test]
async fn what_a_pod_has_is_private_and_its_secrets_go_with_it() -> Result<()> {
    let world = World::start(true, Runtime::Process).await?;
    let secrets: Api<Secret> = Api::default_namespaced(world.client.clone());
    let secret = json!({"metadata": {"name": "s"}, "stringData": {"password": "TOPSECRET"}});
    secrets.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
    let main = json!({"name": "main", "image": "busybox", "command": ["sh", "-c", "cat /s/password; cat /p/password; touch /e/x; until test -e /e/go; do sleep 0.05; done"],
        "volumeMounts": [{"name": "s", "mountPath": "/s"}, {"name": "p", "mountPath": "/p"}, {"name": "e", "mountPath": "/e"}]});
    let volumes = json!([{"name": "s", "secret": {"secretName": "s", "defaultMode": 0o400}}, {"name": "e", "emptyDir": {}},
        {"name": "p", "projected": {"sources": [{"secret": {"name": "s"}}]}}]);
    world.create("private", json!({"containers": [main], "volumes": volumes})).await?;
    let pod = world.until("private", running).await?;
    let dir = world.dir.path().join("pods").join(pod.metadata.uid.context("no uid")?);
    assert_eq!((mode(&world.dir.path().join("pods"))?, mode(&world.dir.path().join("claims"))?), (0o700, 0o700));
    assert_eq!((mode(&dir.join("volumes"))?, mode(&dir.join("volumes/e"))?), (0o700, 0o777));
    assert_eq!(mode(&dir.join("volumes/s/password"))?, 0o400);
    std::fs::write(dir.join("volumes/e/go"), "")?;
    let pod = world.until("private", ended).await?;
    assert_eq!(phase(&pod), "Succeeded", "{:?}", pod.status);
    assert_eq!(world.log("private", "main", LogParams::default()).await?, "TOPSECRETTOPSECRET");
    // removed once the end is written
    let gone = || !dir.join("volumes/s").exists() && !dir.join("volumes/p").exists();
    tokio::time::timeout(Duration::from_secs(20), async {
        while !gone() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .context("the secrets stay")?;
    // also when the node died before
    std::fs::create_dir_all(dir.join("volumes/s"))?;
    std::fs::write(dir.join("volumes/s/password"), "TOPSECRET")?;
    world.stop.cancel();
    world.task.await?;
    let node = node(&world.server, world.dir.path().to_owned(), true, Runtime::Process).await?;
    let (stop, task) = run(&node);
    tokio::time::timeout(Duration::from_secs(20), async {
        while !gone() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .context("the secrets of an ended pod stay")?;
    stop.cancel();
    Ok(task.await?)
}

#[tokio::test]
async fn a_flooded_log_has_a_limit_and_an_end() -> Result<()> {
    let world = World::start(false, Runtime::Process).await?;
    let (phase, _, log) = world
        .shell("flood", sh("yes $(head -c 100 /dev/zero | tr '\\0' y) | head -c 90000000; echo; echo end"))
        .await?;
    assert_eq!(phase, "Succeeded");
    ensure!(log.len() < 50 * 1024 * 1024 && log.ends_with("end\n"), "{}", log.len());
    let options = LogParams { tail_lines: Some(1), ..LogParams::default() };
    assert_eq!(world.log("flood", "main", options).await?, "end\n");
    world.end().await
}

#[test]
fn a_copy_out_of_a_container_ends_at_its_limit() -> Result<()> {
    let dir = TempDir::new()?;
    let copy = |bytes: &str, name: &str| {
        let script = format!("head -c {bytes} /dev/zero > {name}");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_argosy-node-shim"));
        command.args(["__limited", "1000", "sh", "-c", &script]).current_dir(dir.path()).output()
    };
    ensure!(copy("1000", "fits")?.status.success());
    let refused = copy("100000000", "large")?;
    ensure!(!refused.status.success(), "{refused:?}");
    assert_eq!(std::fs::metadata(dir.path().join("large"))?.len(), 1_000);
    Ok(())
}
