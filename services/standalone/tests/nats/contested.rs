//! A replica that freezes for longer than its leases: another takes its shards, and then there are two that believe to own
//! them.

use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use argosy_actor::{Failure, Host};
use argosy_bus::{Stream, subject};
use argosy_engine::Config;
use argosy_standalone::{Options, ServiceOptions, Standalone, run_all};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DynamicObject, ListParams, PostParams};
use kube::runtime::wait::await_condition;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::{Server, answers, slow, workflows};

const SHARDS: u16 = 4;
const LEASE_SECS: u64 = 2;
const WORKFLOWS: usize = 8;

/// A replica of each service on a thread of its own, so that it can be frozen.
struct Replica {
    stop: CancellationToken,
    runtime: Handle,
    thread: JoinHandle<Result<(), Failure>>,
}

fn options() -> ServiceOptions {
    let mut options = ServiceOptions::default();
    options.scheduler.scheduler_lease_secs = LEASE_SECS;
    options.pod_runner.pod_runner_lease_secs = LEASE_SECS;
    options.status.status_lease_secs = LEASE_SECS;
    options
}

impl Replica {
    fn start(url: String, client: kube::Client, name: &'static str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, handle) = (CancellationToken::new(), runtime.handle().clone());
        let ending = stop.clone();
        let work = async move {
            let bus = argosy_bus::open(&url, argosy_bus::nats::Options::default()).await?;
            run_all(&Host::new(bus, name, SHARDS), &client, Config::default(), options(), ending).await
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(work))?;
        Ok(Self { stop, runtime: handle, thread })
    }

    /// Nothing of it does anything, without its knowledge, until what this gives is dropped.
    async fn freeze(&self) -> Result<SyncSender<()>> {
        let (thaw, thawed) = sync_channel::<()>(0);
        let (tell, frozen) = oneshot::channel();
        self.runtime.spawn(async move {
            // Whoever asked listens. What ends the wait is that the other side is gone.
            _ = tell.send(());
            _ = thawed.recv();
        });
        frozen.await?;
        Ok(thaw)
    }

    async fn end(self) -> Result<()> {
        self.stop.cancel();
        let ended = tokio::task::spawn_blocking(|| self.thread.join()).await?;
        ended.ok().context("a replica panicked")?.map_err(|error| anyhow::anyhow!(error))
    }
}

pub async fn what_a_frozen_replica_had_in_hand_is_not_done_twice(binary: &Path) -> Result<()> {
    let server = Server::start(binary)?;
    answers(&server.url()).await;
    let mut options = Options::new(std::env::current_exe()?);
    options.without_services = true;
    let system = Standalone::start(options).await?;
    let api = workflows(system.client("argo"));
    let one = Replica::start(server.url(), system.client("argo"), "one")?;
    let names: Vec<String> = (0..WORKFLOWS).map(|n| format!("contested-{n}")).collect();
    let phase = |object: &DynamicObject| object.data.pointer("/status/phase").cloned().unwrap_or_default();
    let begun = |object: Option<&DynamicObject>| object.is_some_and(|object| phase(object) == "Running");
    let ended = |object: Option<&DynamicObject>| object.is_some_and(|object| phase(object) != "Running");
    let long = Duration::from_secs(240);
    for name in &names {
        api.create(&PostParams::default(), &slow(name)?).await?;
        tokio::time::timeout(long, await_condition(api.clone(), name, begun)).await.context("not begun")??;
    }
    let bus = argosy_bus::open(&server.url(), argosy_bus::nats::Options::default()).await?;
    ensure!(claims(&*bus).await? == usize::from(SHARDS), "the only one owns all");
    let thaw = one.freeze().await?;
    let two = Replica::start(server.url(), system.client("argo"), "two")?;
    let taken = async {
        while claims(&*bus).await? < 2 * usize::from(SHARDS) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(long, taken).await.context("the shards of the frozen one are not taken")??;
    drop(thaw);
    let pods: Api<Pod> = Api::namespaced(system.client("argo"), "argo");
    for name in &names {
        let waited = tokio::time::timeout(long, await_condition(api.clone(), name, ended)).await;
        waited.with_context(|| format!("{name} did not end"))??;
        let object = api.get(name).await?;
        ensure!(phase(&object) == "Succeeded", "{name}: {}", object.data["status"]);
        let selector = format!("workflows.argoproj.io/workflow={name}");
        let count = pods.list(&ListParams::default().labels(&selector)).await?.items.len();
        ensure!(count == 3, "{name}: {count} pods");
    }
    one.end().await?;
    two.end().await?;
    system.shutdown().await?;
    println!("{WORKFLOWS} workflows had two owners who knew nothing of each other, and ran once");
    Ok(())
}

/// How often schedulers took a shard.
async fn claims(bus: &dyn argosy_bus::Bus) -> Result<usize> {
    let mut claims = 0;
    for shard in 0..SHARDS {
        claims += bus.read(Stream::Events, &subject::Event::claim(shard).to_string(), 0, 1000).await?.len();
    }
    Ok(claims)
}
