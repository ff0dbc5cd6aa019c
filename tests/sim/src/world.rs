//! One run of the world.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use argosy_actor::Clock;
use argosy_api::v1alpha1::WorkflowPhase;
use argosy_apiserver::{Options as ApiOptions, Server};
use argosy_bus::{Bus, Message, Stream, memory, subject};
use argosy_objects::api;
use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    api::{Api, DynamicObject},
    runtime::watcher::{self, Event},
};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    alone::{Alone, run_alone},
    check::{self, GRACE, Reference, Watch},
    corpus::{self, ARGO, Case},
    excuse::{self, Excused},
    faults::{ApiFaults, BusFaults, Faults},
    gate::{FREEZE_MAX, Plant},
    hand::{self, Hand},
    locks,
    node::{Generations, Node, Pods},
    plan::Plan,
    random::Random,
    services::{Replica, Role, Writes},
    setup,
    sick::{self, Carrier, Sick},
    strict::Counts,
};

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
    /// Pods that broke S1, and why that is excused.
    pub excused: Excused,
}

/// Runs of one process go one after another: what the services count (R1) is the process's.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Shards of the world.
pub const SHARDS: u16 = 3;
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
/// The longest that a pod waits which a quota refused.
const REFUSED_MAX: Duration = Duration::from_secs(30);
/// From when somebody waits for a lock whose holder is gone to when that is seen.
const LOOK_MAX: Duration = Duration::from_secs(45);
/// A sick workflow is put out of service after a few tries, each with a pause.
const SICK_MAX: Duration = Duration::from_secs(60);

/// When each workflow must have ended, in a plan.
struct Deadlines<'a> {
    plan: &'a Plan,
    started: Instant,
    alone: &'a BTreeMap<Case, Option<Alone>>,
}

impl Deadlines<'_> {
    /// From calm on a workflow may take as long as it takes by itself, or until somebody ends it or lets it go on, and
    /// [`MARGIN`]. A retry takes all that again. Under a quota each pod may have to wait for every other.
    fn of(&self, case: Case) -> Instant {
        let Self { plan, started, .. } = *self;
        let calm_at = plan.calm_at(started);
        if let Some(at) = plan.terminate {
            return calm_at.max(started + at) + GRACE + MARGIN;
        }
        let by_itself = self.by_itself(case) + self.crowd();
        let retried = if plan.retries() { hand::RETRY_AFTER + by_itself + MARGIN } else { Duration::ZERO };
        calm_at + by_itself + retried + MARGIN
    }

    fn by_itself(&self, case: Case) -> Duration {
        let resumed = if case.name == corpus::WAITING { hand::resumes_after(self.plan) } else { Duration::ZERO };
        resumed + self.alone.get(&case).and_then(Option::as_ref).map_or(Duration::ZERO, |alone| alone.took * SLOWEST)
    }

    fn crowd(&self) -> Duration {
        if self.plan.locked.is_some() {
            // Each may have to wait for all others, and for what the locks find out only by looking.
            return self.alone.keys().map(|case| self.by_itself(*case)).sum::<Duration>() + LOOK_MAX;
        }
        if self.plan.grown.as_ref().is_none_or(|grown| grown.quota.is_none()) {
            return Duration::ZERO;
        }
        let all = self.alone.iter().filter(|(case, _)| case.namespace == ARGO);
        all.map(|(case, alone)| self.by_itself(*case) + REFUSED_MAX * alone.as_ref().map_or(1, |alone| alone.pods))
            .sum()
    }

    fn sick(&self) -> Instant {
        self.plan.calm_at(self.started) + SICK_MAX + MARGIN
    }

    fn last(&self) -> Instant {
        let all = self.plan.workflows.iter().map(|case| self.of(*case)).chain([self.sick()]);
        all.max().unwrap_or(self.started)
    }
}

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
    outcome.broken.extend(Counts::now().grown(&before, !plan.sick().is_empty()));
    Ok(outcome)
}

async fn in_runtime(plan: &Plan) -> Result<Outcome> {
    let started = Instant::now();
    let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse::<Timestamp>().context("a constant")?);
    let faults = Faults::new(plan.seed, plan.faults, plan.grown.is_some(), plan.trace);
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
    let generations = Generations::default();
    let suspects = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = tokio::task::JoinSet::new();
    let node = Node {
        client: server.client("argo"),
        random: Arc::new(Random::new(plan.seed ^ 0x0de)),
        pods: Arc::clone(&pods),
        generations: Arc::clone(&generations),
        suspects: Arc::clone(&suspects),
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
    let client = server.client(ARGO);
    let alone: BTreeMap<Case, Option<Alone>> =
        plan.workflows.iter().map(|case| Ok((*case, run_alone(*case)?))).collect::<Result<_>>()?;
    let deadlines = Deadlines { plan, started, alone: &alone };
    setup::create(&server, plan).await?;
    let mut outside = tokio::task::JoinSet::new();
    let hand = Hand {
        plan: plan.clone(),
        server: server.clone(),
        faults: Arc::clone(&faults),
        generations,
        clock,
        broken: Arc::clone(&broken),
    };
    outside.spawn(hand.clone().lose());
    outside.spawn(hand.clone().terminate());
    outside.spawn(hand.clone().resume());
    for edit in plan.grown.iter().flat_map(|grown| &grown.edits) {
        outside.spawn(hand.clone().edit(*edit));
    }
    for case in plan.workflows.iter().filter(|_| plan.retries()) {
        outside.spawn(hand.clone().retry(*case));
    }
    if plan.locked.is_some() {
        outside.spawn(hand.clone().delete_doomed());
    }
    outside.spawn(hand.fidget());
    for sick in plan.sick() {
        let carrier =
            Carrier { sick: *sick, server: server.clone(), bus: Arc::clone(&bus), faults: Arc::clone(&faults) };
        carrier.create().await?;
        let broken = Arc::clone(&broken);
        outside.spawn(async move {
            if let Err(error) = carrier.later().await {
                broken.lock().push(format!("the world's own sickness failed: {error:#}"));
            }
        });
    }
    let mut seen = Seen::default();
    let is_late =
        tokio::time::timeout_at(deadlines.last(), watch(&client, plan, calm_at, &mut seen, &faults, &broken)).await;
    let took = started.elapsed();
    if let Ok(result) = is_late {
        result?;
    }
    for watch in seen.workflows.values_mut() {
        let last = watch.last.clone();
        broken.lock().extend(watch.silence(&last, calm_at));
    }
    for name in plan.sick().iter().filter_map(|sick| sick.workflow()) {
        match seen.sick.get(name) {
            None => broken.lock().push(format!("L1: workflow {name} has not ended")),
            Some(ended) if *ended > deadlines.sick() => {
                broken.lock().push(format!("L1: workflow {name} ended too late"));
            }
            Some(_) => {}
        }
    }
    tokio::time::sleep(AFTERMATH).await;
    let losses = faults.losses();
    let events = if losses.is_empty() { Some(all_events(&bus).await?) } else { None };
    let played: Vec<_> = pods.lock().values().cloned().collect();
    let mut forgotten = 0;
    for case in &plan.workflows {
        let watch = seen.workflows.get(&place(*case)).with_context(|| format!("workflow {case} was never seen"))?;
        broken.lock().extend(check::in_time(watch, deadlines.of(*case)));
        let alone = alone.get(case).and_then(Option::as_ref).map(|alone| &alone.object);
        let is_alone = plan.terminate.is_none() && watch.generation() == 0;
        let reference = match alone.filter(|_| is_alone) {
            None => Reference::None,
            Some(_) if excuse::forgotten(watch, &played, &losses) => {
                forgotten += 1;
                Reference::None
            }
            Some(alone) if case.is_timed() || plan.edits_spec_of(*case) => Reference::Phase(alone),
            // What was lost with the bus and done again finds in its cache what it left there.
            Some(alone) if case.memoizes() && !losses.is_empty() => Reference::Phase(alone),
            Some(alone) => Reference::All(alone),
        };
        // What was edited from outside is in the object and in no event.
        let is_edited = case.name == corpus::WAITING || watch.generation() > 0;
        let events = events.as_deref().filter(|_| !is_edited);
        broken.lock().extend(check::at_end(watch, &reference, &played, events, &losses));
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
        let ours = seen.workflows.values();
        let outlived = ours.flat_map(|watch| check::terminated(&watch.last, &played, deadline));
        broken.lock().extend(outlived);
    }
    let played: Vec<_> = pods.lock().values().cloned().collect();
    let mut guilty = std::mem::take(&mut *suspects.lock());
    let again = excuse::again(&mut guilty, &played, seen.workflows.values(), &losses);
    guilty.extend(seen.workflows.values().flat_map(|watch| check::after_end(watch, &played)));
    let (guilty, late) = excuse::late(&guilty, &faults.delayed(), &played, calm_at);
    broken.lock().extend(guilty);
    let doomed = seen.doomed.clone();
    let (shared, lent) = locks::shared(seen.workflows.values().chain(&doomed), &played, started, &losses);
    broken.lock().extend(shared);
    let excused = Excused { late, again, forgotten, lent };
    let mut uids = uids_of_workflows(&server, plan).await?;
    uids.extend(doomed.map(|watch| watch.last.metadata.uid));
    broken.lock().extend(check::owned(&played, &uids));
    if plan.sick().contains(&Sick::ForeignPod) {
        let touched = sick::left_alone(&server, faults.foreign()).await?;
        broken.lock().extend(touched);
    }
    for namespace in plan.namespaces() {
        let left = finalizers(&server.client(namespace), namespace).await?;
        broken.lock().extend(left);
    }
    shutdown.cancel();
    while tasks.join_next().await.is_some() {}
    outside.shutdown().await;
    faults.set_bus(None);
    let writes = std::mem::take(&mut *writes.lock());
    let to_api = writes.iter().map(|writes| writes.to_api).sum();
    let by_hand = u64::from(plan.crash.is_some()) + u64::from(plan.terminate.is_some());
    let mut mishaps = faults.happened() + by_hand + 10 * losses.len() as u64;
    if let Some(grown) = &plan.grown {
        // A refused pod is wished for again and again; an edit, a retry and a sick neighbour have work of their own.
        let crowded = if grown.quota.is_some() { 4 * played.len() } else { 0 };
        mishaps += (crowded + 2 * grown.edits.len() + 10 * grown.sick.len()) as u64;
        // A cache of memoized outputs is looked for, made and written, each of its own; a retry does all again.
        let caches = plan.workflows.iter().filter(|case| case.memoizes()).count();
        mishaps += (plan.workflows.len() + caches) as u64 * if grown.retries { 3 } else { 1 };
    }
    if plan.locked.is_some() {
        // That a node waits is told, that it waits no more, and that it has given back what it had.
        mishaps += 2 * (plan.workflows.len() + played.len()) as u64 + 5;
    }
    broken.lock().extend(check::budget(to_api, plan.workflows.len() as u64, played.len() as u64, mishaps));
    let broken = std::mem::take(&mut *broken.lock());
    Ok(Outcome { broken, faults: faults.happened(), writes, notes: faults.notes(), took, excused })
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

async fn finalizers(client: &kube::Client, namespace: &str) -> Result<Vec<String>> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pods = pods.list(&Default::default()).await.context("list the pods")?;
    let workflows = api::workflows(client, namespace).list(&Default::default()).await.context("list the workflows")?;
    let all = pods.iter().map(|pod| &pod.metadata).chain(workflows.iter().map(|workflow| &workflow.metadata));
    Ok(all.flat_map(check::finalizers).collect())
}

async fn uids_of_workflows(server: &Server, plan: &Plan) -> Result<BTreeSet<String>> {
    let mut uids = BTreeSet::new();
    for namespace in plan.namespaces() {
        let workflows = api::workflows(&server.client(namespace), namespace);
        let all = workflows.list_metadata(&Default::default()).await.context("list the workflows")?;
        uids.extend(all.into_iter().filter_map(|object| object.metadata.uid));
    }
    Ok(uids)
}

/// What was seen of all workflows.
#[derive(Default)]
struct Seen {
    /// By namespace and name.
    workflows: BTreeMap<(String, String), Watch>,
    /// When those that are sick had ended.
    sick: BTreeMap<String, Instant>,
    /// The one that holds a lock until it is deleted.
    doomed: Option<Watch>,
}

fn place(case: Case) -> (String, String) {
    (case.namespace.to_owned(), case.name.to_owned())
}

impl Seen {
    fn all_have_ended(&self, plan: &Plan) -> bool {
        let is_over = |watch: &Watch| {
            let is_final =
                !plan.retries() || watch.generation() > 0 || watch.last.status.phase == WorkflowPhase::Succeeded;
            watch.completed.is_some() && is_final
        };
        plan.workflows.iter().all(|case| self.workflows.get(&place(*case)).is_some_and(is_over))
            && plan.sick().iter().filter_map(|sick| sick.workflow()).all(|name| self.sick.contains_key(name))
    }
}

/// Watches until all workflows have ended.
async fn watch(
    client: &kube::Client,
    plan: &Plan,
    calm_at: Instant,
    seen: &mut Seen,
    faults: &Faults,
    broken: &Mutex<Vec<String>>,
) -> Result<()> {
    let all: Api<DynamicObject> = Api::all_with(client.clone(), &api::argo_kind("Workflow"));
    let mut events = std::pin::pin!(kube::runtime::watcher(all, watcher::Config::default()));
    loop {
        match events.next().await.context("the watch ended")? {
            Ok(Event::Apply(object) | Event::InitApply(object)) if sick::is_sick(&object) => {
                if sick::has_ended(&object) {
                    seen.sick.entry(object.metadata.name.unwrap_or_default()).or_insert_with(Instant::now);
                }
            }
            Ok(Event::Apply(object) | Event::InitApply(object)) if is_doomed(&object) => {
                let object = api::to_workflow(&object).context("read a workflow")?;
                let found = seen.doomed.get_or_insert_default().see(object, calm_at);
                broken.lock().extend(found.into_iter().filter(|text| !text.starts_with("L2")));
            }
            Ok(Event::Delete(object)) if is_doomed(&object) => {}
            Ok(Event::Apply(object) | Event::InitApply(object)) => {
                let object = api::to_workflow(&object).context("read a workflow")?;
                let place = (object.metadata.namespace.clone(), object.metadata.name.clone());
                let watch = seen.workflows.entry(place).or_default();
                let found = watch.see(object, calm_at);
                for text in &found {
                    faults.note(&format!("seen: {text}"));
                }
                broken.lock().extend(found);
            }
            Ok(Event::Delete(object)) => broken.lock().push(format!("workflow {:?} is gone", object.metadata.name)),
            Ok(Event::Init | Event::InitDone) => {}
            Err(error) => broken.lock().push(format!("the checker's own watch failed: {error}")),
        }
        if seen.all_have_ended(plan) {
            return Ok(());
        }
    }
}

fn is_doomed(object: &DynamicObject) -> bool {
    object.metadata.name.as_deref() == Some(corpus::DOOMED)
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
