//! One run of the world.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use argosy_actor::{Clock, api};
use argosy_api::v1alpha1::{self as v1, Time};
use argosy_bus::{Bus, Message, Stream, memory, subject};
use argosy_cluster::api::{Options as ApiOptions, Server};
use argosy_testkit::world::{self as alone};
use futures::StreamExt as _;
use jiff::Timestamp;
use kube::{
    api::{Api, DynamicObject, PostParams},
    runtime::watcher::{self, Event},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    check::{self, Watch},
    corpus,
    faults::{ApiFaults, BusFaults, Faults},
    gate::{Crash, Plant},
    node::{Node, Pods, Scripted},
    random::Random,
    services::{Replica, Role},
};

/// What is run, and under which faults.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    /// Names of the corpus.
    pub workflows: Vec<&'static str>,
    /// Replicas of each service.
    pub replicas: usize,
    /// For how long faults happen; none without.
    pub faults: Option<Duration>,
    /// The one crash of a run without other faults.
    pub crash: Option<(Role, Crash)>,
    pub plant: Option<Plant>,
    /// Tell of every write and fault on standard error.
    pub trace: bool,
}

impl Plan {
    /// One workflow, one replica, nothing goes wrong.
    pub fn calm(workflow: &'static str) -> Self {
        Self { seed: 1, workflows: vec![workflow], replicas: 1, faults: None, crash: None, plant: None, trace: false }
    }

    /// What `seed` stands for: up to three workflows, two replicas of each service, all faults for up to two minutes.
    pub fn of_seed(seed: u64) -> Self {
        let random = Random::new(seed ^ 0x5eed);
        let names = corpus::names();
        let first = random.below(names.len() as u64) as usize;
        let count = 1 + random.below(3) as usize;
        let workflows = (0..count).map(|i| names[(first + i * 3) % names.len()]).collect();
        let faults = Some(random.millis(10_000, 120_000));
        Self { seed, workflows, replicas: 2, faults, crash: None, plant: None, trace: false }
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Broken invariants, in words; empty when all hold.
    pub broken: Vec<String>,
    /// Faults that happened.
    pub faults: u64,
    /// Writes of each service, over all its incarnations.
    pub writes: Vec<(Role, u64)>,
    /// The faults, the last of them.
    pub notes: Vec<String>,
    /// Virtual time from start to the last workflow's end.
    pub took: Duration,
}

const SHARDS: u16 = 2;
/// In which all must end, once nothing goes wrong any more.
const LIMIT: Duration = Duration::from_secs(30 * 60);
/// In which what should not happen any more may still happen.
const AFTERMATH: Duration = Duration::from_secs(5);

/// Runs the plan in a runtime of its own, in virtual time.
///
/// Errors: the world cannot be built. What goes wrong in it is in the outcome.
pub fn run(plan: &Plan) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .context("build a runtime")?;
    runtime.block_on(Box::pin(in_runtime(plan)))
}

async fn in_runtime(plan: &Plan) -> Result<Outcome> {
    let started = Instant::now();
    let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse::<Timestamp>().context("a constant")?);
    let faults = Faults::new(plan.seed, plan.faults, plan.trace);
    let chaos = memory::Options { chaos: Some(Arc::new(BusFaults(Arc::clone(&faults)))), ..Default::default() };
    let bus: Arc<dyn Bus> = Arc::new(memory::Memory::with_options(chaos));
    let uids = AtomicU64::new(plan.seed << 20);
    let server = Server::new(ApiOptions {
        clock: Arc::new(move || clock.now()),
        uids: Arc::new(move || Uuid::from_u64_pair(0x4000_8000, uids.fetch_add(1, Ordering::Relaxed))),
        faults: Some(Arc::new(ApiFaults(Arc::clone(&faults)))),
        ..Default::default()
    });
    let shutdown = CancellationToken::new();
    let broken = Arc::new(Mutex::new(Vec::new()));
    let writes = Arc::new(Mutex::new(Vec::new()));
    let pods = Pods::default();
    let mut tasks = tokio::task::JoinSet::new();
    let node = Node {
        client: server.client("argo"),
        random: Arc::new(Random::new(plan.seed ^ 0x0de)),
        pods: Arc::clone(&pods),
        broken: Arc::clone(&broken),
    };
    tasks.spawn(node.run(shutdown.clone()));
    for role in Role::ALL {
        for number in 0..plan.replicas {
            let replica = Replica {
                role,
                number,
                bus: Arc::clone(&bus),
                server: server.clone(),
                clock,
                shards: SHARDS,
                faults: Arc::clone(&faults),
                crash: plan.crash.filter(|(r, _)| *r == role && number == 0).map(|(_, crash)| crash),
                plant: plan.plant,
                writes: Arc::clone(&writes),
                broken: Arc::clone(&broken),
            };
            tasks.spawn(replica.run(shutdown.clone()));
        }
    }
    let client = server.client("argo");
    create(&client, plan).await?;
    let watches = tokio::time::timeout(LIMIT, watch(&client, plan, &broken)).await;
    let took = started.elapsed();
    let watches = match watches {
        Ok(result) => result?,
        Err(_) => look_once(&client).await?,
    };
    tokio::time::sleep(AFTERMATH).await;
    let events = all_events(&bus).await?;
    let references =
        plan.workflows.iter().map(|name| Ok((*name, reference(name)?))).collect::<Result<BTreeMap<_, _>>>()?;
    let played: Vec<_> = pods.lock().values().cloned().collect();
    for (name, reference) in &references {
        let watch = watches.get(*name).with_context(|| format!("workflow {name} was never seen"))?;
        broken.lock().extend(check::at_end(watch, reference, &played, &events));
    }
    shutdown.cancel();
    while tasks.join_next().await.is_some() {}
    let broken = std::mem::take(&mut *broken.lock());
    let writes = std::mem::take(&mut *writes.lock());
    Ok(Outcome { broken, faults: faults.happened(), writes, notes: faults.notes(), took })
}

async fn create(client: &kube::Client, plan: &Plan) -> Result<()> {
    let workflows = api::workflows(client, "argo");
    for name in &plan.workflows {
        let object: DynamicObject = serde_json::from_value(corpus::workflow(name)?).context("a workflow")?;
        workflows.create(&PostParams::default(), &object).await.with_context(|| format!("create {name}"))?;
    }
    Ok(())
}

/// Watches until all workflows have ended.
async fn watch(client: &kube::Client, plan: &Plan, broken: &Mutex<Vec<String>>) -> Result<BTreeMap<String, Watch>> {
    let all: Api<DynamicObject> = api::workflows(client, "argo");
    let mut events = std::pin::pin!(kube::runtime::watcher(all, watcher::Config::default()));
    let mut watches: BTreeMap<String, Watch> = BTreeMap::new();
    loop {
        match events.next().await.context("the watch ended")? {
            Ok(Event::Apply(object) | Event::InitApply(object)) => {
                let object = api::to_workflow(&object).context("read a workflow")?;
                let watch = watches.entry(object.metadata.name.clone()).or_default();
                broken.lock().extend(watch.see(object));
            }
            Ok(Event::Delete(object)) => broken.lock().push(format!("workflow {:?} is gone", object.metadata.name)),
            Ok(Event::Init | Event::InitDone) => {}
            Err(error) => broken.lock().push(format!("the checker's own watch failed: {error}")),
        }
        if plan.workflows.iter().all(|name| watches.get(*name).is_some_and(|w| w.completed.is_some())) {
            return Ok(watches);
        }
    }
}

async fn look_once(client: &kube::Client) -> Result<BTreeMap<String, Watch>> {
    let list = api::workflows(client, "argo").list(&Default::default()).await.context("list the workflows")?;
    let mut watches = BTreeMap::new();
    for object in list {
        let object = api::to_workflow(&object).context("read a workflow")?;
        let watch: &mut Watch = watches.entry(object.metadata.name.clone()).or_default();
        watch.see(object);
    }
    Ok(watches)
}

async fn all_events(bus: &Arc<dyn Bus>) -> Result<Vec<Message>> {
    let mut all: Vec<Message> = Vec::new();
    loop {
        let after = all.last().map_or(0, |m| m.sequence);
        let page = bus
            .read(Stream::Events, &subject::of_stream(Stream::Events), after, 1000)
            .await
            .context("read the events")?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// What the engine alone makes of a workflow.
fn reference(name: &str) -> Result<Value> {
    let mut object: v1::Workflow = v1::from_value(corpus::workflow(name)?).context("a workflow")?;
    let started_at: Timestamp = "2026-01-01T00:00:00Z".parse().context("a constant")?;
    object.metadata.uid = "reference".to_owned();
    object.metadata.creation_timestamp = Some(Time::new(started_at));
    let options = alone::Options {
        config: Arc::default(),
        documents: BTreeMap::new(),
        started_at,
        restart: false,
        fold: false,
        events_max: 10_000,
    };
    let run = alone::run(object, &Scripted, &options);
    anyhow::ensure!(run.end == alone::End::Completed, "the engine alone does not end {name}: {:?}", run.end);
    anyhow::ensure!(run.broken.is_empty(), "the engine alone breaks rules in {name}: {:?}", run.broken);
    Ok(json!(run.object))
}
