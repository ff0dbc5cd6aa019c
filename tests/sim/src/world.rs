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
use k8s_openapi::api::core::v1::Pod;
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
    gate::{Crash, FREEZE_MAX, Plant},
    hand::{self, Hand},
    node::{Node, Pods, Scripted},
    random::Random,
    services::{Replica, Role, Writes},
    strict::Counts,
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
    /// When the bus is lost.
    pub losses: Vec<Duration>,
    /// Whether replicas leave in order and come back, besides crashing.
    pub comes_and_goes: bool,
    /// When somebody terminates all workflows.
    pub terminate: Option<Duration>,
    /// Tell of every write and fault on standard error.
    pub trace: bool,
}

impl Plan {
    /// One workflow, one replica, nothing goes wrong.
    pub fn calm(workflow: &'static str) -> Self {
        Self {
            seed: 1,
            workflows: vec![workflow],
            replicas: 1,
            faults: None,
            crash: None,
            plant: None,
            losses: Vec::new(),
            comes_and_goes: false,
            terminate: None,
            trace: false,
        }
    }

    /// What `seed` stands for: up to three workflows, and perhaps one that needs a hand, two or three replicas of each
    /// service, which may come and go, all faults for up to two minutes, in one of four the loss of the bus.
    pub fn of_seed(seed: u64) -> Self {
        let random = Random::new(seed ^ 0x5eed);
        let names = corpus::names();
        let first = random.below(names.len() as u64) as usize;
        let count = 1 + random.below(3) as usize;
        let mut workflows: Vec<&'static str> = (0..count).map(|i| names[(first + i * 3) % names.len()]).collect();
        let faults = random.millis(10_000, 120_000);
        let replicas = 2 + random.below(2) as usize;
        let losses = if random.chance(250) { 1 + random.below(2) } else { 0 };
        let losses = (0..losses).map(|_| random.millis(200, 40_000)).collect();
        let terminate = random.chance(150).then(|| random.millis(200, 20_000));
        if terminate.is_some() {
            workflows.push(corpus::ENDLESS);
        } else if random.chance(200) {
            workflows.push(corpus::WAITING);
        }
        Self {
            seed,
            workflows,
            replicas,
            faults: Some(faults),
            losses,
            comes_and_goes: random.chance(500),
            terminate,
            ..Self::calm("")
        }
    }

    /// From here on nothing goes wrong by itself: faults have ended, and what they froze or cut off goes on.
    fn calm_at(&self, started: Instant) -> Instant {
        let last = self.losses.iter().copied().chain(self.faults).max();
        started + last.map_or(Duration::ZERO, |last| last + FREEZE_MAX + Duration::from_secs(10))
    }

    /// When the workflow must have ended: from calm on it may take as long as it takes by itself, or until somebody ends it or
    /// lets it go on, and [`MARGIN`].
    fn must_end_at(&self, name: &str, alone: Option<&Alone>, started: Instant) -> Instant {
        let calm_at = self.calm_at(started);
        let by_itself = alone.map_or(Duration::ZERO, |alone| alone.took * SLOWEST);
        let until = match (self.terminate, name) {
            (Some(at), _) => calm_at.max(started + at) + GRACE,
            (None, corpus::WAITING) => calm_at + hand::resumes_after(self) + by_itself,
            (None, _) => calm_at + by_itself,
        };
        until + MARGIN
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
    pub writes: Vec<Writes>,
    /// The faults, the last of them.
    pub notes: Vec<String>,
    /// Virtual time from start to the last workflow's end.
    pub took: Duration,
}

/// Runs of one process go one after another: what the services count (R1) is the process's.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const SHARDS: u16 = 3;
/// In which a workflow must end once nothing goes wrong any more, besides the time that it takes by itself: longer than a
/// lease, a delivery that nobody answers, and a pause between tries, one after another; shorter than any reminder or full
/// list, so that what only those would find is found to be late.
const MARGIN: Duration = Duration::from_secs(90);
/// A pod of this world runs up to half as long again as the same for the engine alone.
const SLOWEST: u32 = 2;
/// In which what should not happen any more may still happen.
const AFTERMATH: Duration = Duration::from_secs(5);

/// For so long nothing may be written after the end: longer than any pause between full lists and reminders.
const QUIET: Duration = Duration::from_secs(11 * 60);
/// In which a pod must end that was asked to, and how much longer it may take with us between.
const GRACE: Duration = Duration::from_secs(30 + 30);

/// Runs the plan in a runtime of its own, in virtual time.
///
/// Errors: the world cannot be built. What goes wrong in it is in the outcome.
pub fn run(plan: &Plan) -> Result<Outcome> {
    let _turn = ONE_AT_A_TIME.lock();
    let before = Counts::now();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .context("build a runtime")?;
    let mut outcome = runtime.block_on(Box::pin(in_runtime(plan)))?;
    outcome.broken.extend(Counts::now().grown(&before, false));
    Ok(outcome)
}

async fn in_runtime(plan: &Plan) -> Result<Outcome> {
    let started = Instant::now();
    let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse::<Timestamp>().context("a constant")?);
    let faults = Faults::new(plan.seed, plan.faults, plan.trace);
    let chaos = memory::Options { chaos: Some(Arc::new(BusFaults(Arc::clone(&faults)))), ..Default::default() };
    let memory = memory::Memory::with_options(chaos);
    faults.set_bus(Some(memory.clone()));
    let bus: Arc<dyn Bus> = Arc::new(memory);
    let calm_at = plan.calm_at(started);
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
        is_idle: plan.plant == Some(Plant::IdleNode),
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
                comes_and_goes: plan
                    .comes_and_goes
                    .then(|| Random::new(plan.seed ^ ((role as u64) << 40) ^ ((number as u64) << 32))),
            };
            tasks.spawn(replica.run(shutdown.clone()));
        }
    }
    let client = server.client("argo");
    create(&client, plan).await?;
    let mut outside = tokio::task::JoinSet::new();
    let hand =
        Hand { plan: plan.clone(), server: server.clone(), faults: Arc::clone(&faults), broken: Arc::clone(&broken) };
    outside.spawn(hand.clone().lose());
    outside.spawn(hand.clone().terminate());
    outside.spawn(hand.clone().resume());
    outside.spawn(hand.fidget());
    let mut watches = BTreeMap::new();
    let mut ends = BTreeMap::new();
    for name in &plan.workflows {
        let reference = reference(name)?;
        let until = plan.must_end_at(name, reference.as_ref(), started);
        ends.insert(*name, (reference, until));
    }
    let last = ends.values().map(|(_, until)| *until).max().unwrap_or(calm_at);
    let is_late = tokio::time::timeout_at(last, watch(&client, plan, calm_at, &mut watches, &broken)).await;
    let took = started.elapsed();
    if let Ok(result) = is_late {
        result?;
    }
    for watch in watches.values_mut() {
        let last = watch.last.clone();
        broken.lock().extend(watch.silence(&last, calm_at));
    }
    tokio::time::sleep(AFTERMATH).await;
    let events = if faults.lost() == 0 { Some(all_events(&bus).await?) } else { None };
    let played: Vec<_> = pods.lock().values().cloned().collect();
    let late = plan.terminate.map_or(Duration::ZERO, |_| FREEZE_MAX + Duration::from_secs(15));
    for (name, (reference, until)) in &ends {
        let watch = watches.get(*name).with_context(|| format!("workflow {name} was never seen"))?;
        let reference = reference.as_ref().filter(|_| plan.terminate.is_none()).map(|alone| &alone.object);
        broken.lock().extend(check::in_time(watch, *until));
        // What was edited from outside is in the object and in no event.
        let events = events.as_deref().filter(|_| **name != *corpus::WAITING);
        broken.lock().extend(check::at_end(watch, reference, &played, events, late));
    }
    // Of the thousands of runs with one crash each, none is long enough for this; the seeds have crashes enough.
    if plan.crash.is_none() {
        let written = quiet(&server, &faults).await;
        broken.lock().extend(written);
    }
    if let Some(at) = plan.terminate {
        let deadline = calm_at.max(started + at) + GRACE;
        tokio::time::sleep_until(deadline).await;
        let played: Vec<_> = pods.lock().values().cloned().collect();
        let outlived = plan.workflows.iter().flat_map(|name| check::terminated(name, &played, deadline));
        broken.lock().extend(outlived);
    }
    let left = finalizers(&client).await?;
    broken.lock().extend(left);
    shutdown.cancel();
    while tasks.join_next().await.is_some() {}
    outside.shutdown().await;
    faults.set_bus(None);
    let writes = std::mem::take(&mut *writes.lock());
    let to_api = writes.iter().map(|writes| writes.to_api).sum();
    let mishaps = faults.happened() + u64::from(plan.crash.is_some()) + 10 * faults.lost();
    broken.lock().extend(check::budget(to_api, plan.workflows.len() as u64, played.len() as u64, mishaps));
    let broken = std::mem::take(&mut *broken.lock());
    Ok(Outcome { broken, faults: faults.happened(), writes, notes: faults.notes(), took })
}

/// L4: once all has ended, nothing is written. A fault is allowed to leave something to mend, so this waits for calm first.
async fn quiet(server: &Server, faults: &Faults) -> Vec<String> {
    while faults.are_on() {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    tokio::time::sleep(FREEZE_MAX + Duration::from_secs(60)).await;
    let before = server.revision();
    tokio::time::sleep(QUIET).await;
    let written = server.revision() - before;
    if written == 0 { Vec::new() } else { vec![format!("L4: {written} writes after everything had ended")] }
}

async fn finalizers(client: &kube::Client) -> Result<Vec<String>> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), "argo");
    let pods = pods.list(&Default::default()).await.context("list the pods")?;
    let workflows = api::workflows(client, "argo").list(&Default::default()).await.context("list the workflows")?;
    let all = pods.iter().map(|pod| &pod.metadata).chain(workflows.iter().map(|workflow| &workflow.metadata));
    Ok(all.flat_map(check::finalizers).collect())
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
async fn watch(
    client: &kube::Client,
    plan: &Plan,
    calm_at: Instant,
    watches: &mut BTreeMap<String, Watch>,
    broken: &Mutex<Vec<String>>,
) -> Result<()> {
    let all: Api<DynamicObject> = api::workflows(client, "argo");
    let mut events = std::pin::pin!(kube::runtime::watcher(all, watcher::Config::default()));
    loop {
        match events.next().await.context("the watch ended")? {
            Ok(Event::Apply(object) | Event::InitApply(object)) => {
                let object = api::to_workflow(&object).context("read a workflow")?;
                let watch = watches.entry(object.metadata.name.clone()).or_default();
                broken.lock().extend(watch.see(object, calm_at));
            }
            Ok(Event::Delete(object)) => broken.lock().push(format!("workflow {:?} is gone", object.metadata.name)),
            Ok(Event::Init | Event::InitDone) => {}
            Err(error) => broken.lock().push(format!("the checker's own watch failed: {error}")),
        }
        if plan.workflows.iter().all(|name| watches.get(*name).is_some_and(|w| w.completed.is_some())) {
            return Ok(());
        }
    }
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
struct Alone {
    object: Value,
    /// From its start to its end: its pods, and whatever it waits for.
    took: Duration,
}

/// Nothing of a workflow that needs a hand.
fn reference(name: &str) -> Result<Option<Alone>> {
    if [corpus::ENDLESS, corpus::WAITING].contains(&name) {
        return Ok(None);
    }
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
    let ended_at = run.object.status.finished_at.as_ref().map_or(started_at, |time| time.0);
    let took = Duration::try_from(ended_at.duration_since(started_at)).unwrap_or_default();
    Ok(Some(Alone { object: json!(run.object), took }))
}
