//! The whole system over a real NATS server: the shipped examples, each to its end; a server that loses everything; a
//! workflow larger than a message; and a replica that freezes.
//!
//! Skipped where no `nats-server` is found, unless `ARGOSY_REQUIRE_NATS=1`.

mod contested;
mod large;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use argosy_actor::Host;
use argosy_engine::Config;
use argosy_standalone::{Handle, Options, ServiceOptions, Standalone, run_all};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DynamicObject, ListParams, PostParams};
use kube::core::ApiResource;
use kube::runtime::wait::await_condition;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Examples of one document each, and how many pods they make at least.
const EXAMPLES: [(&str, usize); 6] =
    [("hello", 1), ("steps", 2), ("dag-diamond", 4), ("loops", 3), ("artifacts", 2), ("exit-handler", 2)];

/// A server on the loopback interface; it ends with this value.
struct Server {
    binary: PathBuf,
    port: String,
    child: Child,
    store: TempDir,
}

impl Server {
    fn start(binary: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
        let store = TempDir::new()?;
        let child = spawn(binary, &port, &store)?;
        Ok(Self { binary: binary.to_owned(), port, child, store })
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    fn kill(&mut self) {
        // A child that ended by itself is no reason to fail.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again, without anything that it had stored.
    fn start_empty(&mut self) -> Result<()> {
        self.store = TempDir::new()?;
        self.child = spawn(&self.binary, &self.port, &self.store)?;
        Ok(())
    }
}

fn spawn(binary: &Path, port: &str, store: &TempDir) -> Result<Child> {
    let mut command = Command::new(binary);
    command.args(["-js", "-a", "127.0.0.1", "-p", port, "-sd"]).arg(store.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().with_context(|| format!("start {}", binary.display()))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Path of the server's binary; `None` when there is none and none is required.
fn find() -> Result<Option<PathBuf>> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::var_os("ARGOSY_NATS_SERVER").map(PathBuf::from);
    let in_home = ["go/bin", ".cache/argosy/bin", ".cache/argosy-cluster/bin"].map(|dir| home.join(dir));
    let dirs = std::env::split_paths(&path).chain(in_home);
    let found = named.into_iter().chain(dirs.map(|dir| dir.join("nats-server"))).find(|file| file.is_file());
    let required = std::env::var_os("ARGOSY_REQUIRE_NATS").is_some_and(|value| value == "1");
    ensure!(found.is_some() || !required, "no nats-server found, but one is required");
    Ok(found)
}

async fn start(url: &str) -> Result<Handle> {
    let mut options = Options::new(std::env::current_exe()?);
    options.nats = Some(url.to_owned());
    let s3 = serde_json::json!({"s3": {"bucket": "argosy", "endpoint": "local", "insecure": true}});
    options.config.artifact_repository = Some(serde_json::from_value(s3)?);
    answers(url).await;
    Ok(Standalone::start(options).await?)
}

/// The server may need a moment.
async fn answers(url: &str) {
    for _ in 0..50 {
        if tokio::net::TcpStream::connect(url.trim_start_matches("nats://")).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn runs(api: &Api<DynamicObject>, name: &str, pods_min: usize) -> Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name).with_extension("yaml");
    let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    let mut value: Value = serde_saphyr::from_str(&text)?;
    value["metadata"]["name"] = name.into();
    api.create(&PostParams::default(), &serde_json::from_value(value)?).await?;
    let phase = |object: &DynamicObject| {
        object.data.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let ended = |object: Option<&DynamicObject>| {
        object.is_some_and(|object| ["Succeeded", "Failed", "Error"].contains(&phase(object).as_str()))
    };
    let waited = tokio::time::timeout(Duration::from_secs(180), await_condition(api.clone(), name, ended)).await;
    waited.with_context(|| format!("{name} did not end"))??;
    let object = api.get(name).await?;
    ensure!(phase(&object) == "Succeeded", "{name}: {}", object.data["status"]);
    let nodes = object.data.pointer("/status/nodes").and_then(Value::as_object).context("no nodes")?;
    let pods = nodes.values().filter(|node| node["type"] == "Pod" && node["phase"] == "Succeeded").count();
    ensure!(pods >= pods_min, "{name}: {pods} pods succeeded");
    Ok(())
}

fn workflows(client: kube::Client) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: "argoproj.io".into(),
        version: "v1alpha1".into(),
        api_version: "argoproj.io/v1alpha1".into(),
        kind: "Workflow".into(),
        plural: "workflows".into(),
    };
    Api::namespaced_with(client, "argo", &resource)
}

/// One replica of each service, under a prefix.
struct Services {
    stop: CancellationToken,
    task: JoinHandle<Result<(), argosy_actor::Failure>>,
}

impl Services {
    async fn start(url: &str, client: kube::Client, name: &str) -> Result<Self> {
        let options = argosy_bus::nats::Options { prefix: "team-b".parse()?, ..Default::default() };
        let bus = argosy_bus::open(url, options).await?;
        let host = Host::new(bus, name, 4);
        let stop = CancellationToken::new();
        let ending = stop.clone();
        let task =
            tokio::spawn(
                async move { run_all(&host, &client, Config::default(), ServiceOptions::default(), ending).await },
            );
        Ok(Self { stop, task })
    }

    async fn end(self) -> Result<()> {
        self.stop.cancel();
        self.task.await?.map_err(|error| anyhow::anyhow!(error))
    }
}

/// Three pods after each other, of two seconds each.
fn slow(name: &str) -> Result<DynamicObject> {
    let step = |name: &str| serde_json::json!([{"name": name, "template": "work"}]);
    Ok(serde_json::from_value(serde_json::json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": name, "namespace": "argo"},
        "spec": {"entrypoint": "main", "templates": [
            {"name": "main", "steps": [step("a"), step("b"), step("c")]},
            {"name": "work", "container": {"image": "busybox", "command": ["sh", "-c", "sleep 2"]}},
        ]},
    }))?)
}

/// The server loses its store while workflows run: under two replicas that live on, and while all services are away. Nothing
/// runs twice, and everything ends.
async fn a_lost_server(binary: &Path) -> Result<()> {
    let mut server = Server::start(binary)?;
    answers(&server.url()).await;
    let mut options = Options::new(std::env::current_exe()?);
    options.without_services = true;
    let system = Standalone::start(options).await?;
    let api = workflows(system.client("argo"));
    let start = async |name| Services::start(&server.url(), system.client("argo"), name).await;
    let (one, two) = (start("one").await?, start("two").await?);
    let begun = |object: Option<&DynamicObject>| {
        let nodes = object.and_then(|object| object.data.pointer("/status/nodes")).and_then(Value::as_object);
        nodes.is_some_and(|nodes| nodes.values().any(|node| node["displayName"] == "b" && node["phase"] == "Running"))
    };
    let ended = |object: Option<&DynamicObject>| {
        object.and_then(|object| object.data.pointer("/status/phase")).is_some_and(|phase| phase != "Running")
    };
    let wait = |name, condition| {
        let waiting = await_condition(api.clone(), name, condition);
        tokio::time::timeout(Duration::from_secs(240), waiting)
    };
    api.create(&PostParams::default(), &slow("under-services")?).await?;
    tokio::time::timeout(Duration::from_secs(180), await_condition(api.clone(), "under-services", begun)).await??;
    server.kill();
    server.start_empty()?;
    // Made while there are no streams.
    api.create(&PostParams::default(), &slow("just-after")?).await?;
    for name in ["under-services", "just-after"] {
        wait(name, ended).await.with_context(|| format!("{name} did not end"))??;
    }
    api.create(&PostParams::default(), &slow("without-services")?).await?;
    tokio::time::timeout(Duration::from_secs(180), await_condition(api.clone(), "without-services", begun)).await??;
    one.end().await?;
    two.end().await?;
    server.kill();
    server.start_empty()?;
    answers(&server.url()).await;
    let three = Services::start(&server.url(), system.client("argo"), "three").await?;
    wait("without-services", ended).await.context("without-services did not end")??;
    let pods: Api<Pod> = Api::namespaced(system.client("argo"), "argo");
    for name in ["under-services", "just-after", "without-services"] {
        let object = api.get(name).await?;
        ensure!(object.data["status"]["phase"] == "Succeeded", "{name}: {}", object.data["status"]);
        let selector = format!("workflows.argoproj.io/workflow={name}");
        let count = pods.list(&ListParams::default().labels(&selector)).await?.items.len();
        ensure!(count == 3, "{name}: {count} pods");
    }
    three.end().await?;
    system.shutdown().await?;
    println!("3 workflows went on after the server had lost everything");
    Ok(())
}

async fn examples_run(binary: &Path) -> Result<()> {
    let server = Server::start(binary)?;
    // The second system finds the streams, leases and left-overs of the first.
    for _ in 0..2 {
        let system = start(&server.url()).await?;
        let api = workflows(system.client("argo"));
        let all: Result<Vec<()>> = tokio::time::timeout(Duration::from_secs(300), async {
            let mut ended = Vec::new();
            for (name, pods_min) in EXAMPLES {
                ended.push(runs(&api, name, pods_min).await?);
            }
            Ok(ended)
        })
        .await?;
        system.shutdown().await?;
        all?;
    }
    println!("{} examples passed, twice", EXAMPLES.len());
    Ok(())
}

async fn all() -> Result<ExitCode> {
    let Some(binary) = find()? else {
        println!("skipped (no nats-server)");
        return Ok(ExitCode::SUCCESS);
    };
    examples_run(&binary).await?;
    a_lost_server(&binary).await?;
    large::a_large_workflow_is_resumed(&binary).await?;
    contested::what_a_frozen_replica_had_in_hand_is_not_done_twice(&binary).await?;
    Ok(ExitCode::SUCCESS)
}

fn main() -> Result<ExitCode> {
    if let Some(code) = argosy_standalone::dispatch() {
        return Ok(code);
    }
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(all())
}
