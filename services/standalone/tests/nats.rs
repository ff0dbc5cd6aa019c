//! The whole system over a real NATS server: the shipped examples, each to its end.
//!
//! Skipped where no `nats-server` is found, unless `ARGOSY_REQUIRE_NATS=1`.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use argosy_standalone::{Handle, Options, Standalone};
use kube::Api;
use kube::api::{DynamicObject, PostParams};
use kube::core::ApiResource;
use kube::runtime::wait::await_condition;
use serde_json::Value;
use tempfile::TempDir;

/// Examples of one document each, and how many pods they make at least.
const EXAMPLES: [(&str, usize); 6] =
    [("hello", 1), ("steps", 2), ("dag-diamond", 4), ("loops", 3), ("artifacts", 2), ("exit-handler", 2)];

/// A server on the loopback interface; it ends with this value.
struct Server {
    child: Child,
    url: String,
    _store: TempDir,
}

impl Server {
    fn start(binary: &Path) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
        let store = TempDir::new()?;
        let mut command = Command::new(binary);
        command.args(["-js", "-a", "127.0.0.1", "-p", &port, "-sd"]).arg(store.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().with_context(|| format!("start {}", binary.display()))?;
        Ok(Self { child, url: format!("nats://127.0.0.1:{port}"), _store: store })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A child that ended by itself is no reason to fail.
        let _ = self.child.kill();
        let _ = self.child.wait();
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
    // The server may need a moment.
    for _ in 0..50 {
        if tokio::net::TcpStream::connect(url.trim_start_matches("nats://")).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(Standalone::start(options).await?)
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
    let waited = tokio::time::timeout(Duration::from_secs(60), await_condition(api.clone(), name, ended)).await;
    waited.with_context(|| format!("{name} did not end"))??;
    let object = api.get(name).await?;
    ensure!(phase(&object) == "Succeeded", "{name}: {}", object.data["status"]);
    let nodes = object.data.pointer("/status/nodes").and_then(Value::as_object).context("no nodes")?;
    let pods = nodes.values().filter(|node| node["type"] == "Pod" && node["phase"] == "Succeeded").count();
    ensure!(pods >= pods_min, "{name}: {pods} pods succeeded");
    Ok(())
}

async fn examples_run() -> Result<ExitCode> {
    let Some(binary) = find()? else {
        println!("skipped (no nats-server)");
        return Ok(ExitCode::SUCCESS);
    };
    let server = Server::start(&binary)?;
    // The second system finds the streams, leases and left-overs of the first.
    for _ in 0..2 {
        let system = start(&server.url).await?;
        let resource = ApiResource {
            group: "argoproj.io".into(),
            version: "v1alpha1".into(),
            api_version: "argoproj.io/v1alpha1".into(),
            kind: "Workflow".into(),
            plural: "workflows".into(),
        };
        let api = Api::namespaced_with(system.client("argo"), "argo", &resource);
        let all: Result<Vec<()>> = tokio::time::timeout(Duration::from_secs(120), async {
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
    Ok(ExitCode::SUCCESS)
}

fn main() -> Result<ExitCode> {
    if let Some(code) = argosy_cluster::node::dispatch() {
        return Ok(code);
    }
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(examples_run())
}
