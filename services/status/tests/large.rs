//! Workflows that are too large for their object, on the memory bus and the in-process API, in virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use argosy_actor::Host;
use argosy_api::labels;
use argosy_api::message::{SCHEMA, StatusChanged, WorkflowDelta};
use argosy_api::v1alpha1::{NodePhase, NodeStatus, Workflow};
use argosy_apiserver::{Fault, Faults, Options, Server};
use argosy_bus::memory::{self, Chaos, Memory, PublishFault};
use argosy_bus::{Publish, Stream, subject};
use argosy_objects::{api, marks};
use argosy_status::Service;
use argosy_workflows::{HEADER_POSITION, HEADER_PREVIOUS, WorkflowKey, read};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What goes wrong, and when: a countdown of patches, and of messages with nodes.
struct Plan {
    patch: AtomicU32,
    patch_fault: Fault,
    nodes: AtomicU32,
    nodes_fault: PublishFault,
    /// Told when it went wrong.
    struck: Notify,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            patch: AtomicU32::new(0),
            patch_fault: Fault::None,
            nodes: AtomicU32::new(0),
            nodes_fault: PublishFault::None,
            struck: Notify::new(),
        }
    }
}

/// Counts down to the one that goes wrong; 0 never does.
fn strikes(count: &AtomicU32) -> bool {
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) == Ok(1)
}

impl Faults for Plan {
    fn on_request(&self, verb: &str, _path: &str) -> Fault {
        if verb != "patch" || !strikes(&self.patch) {
            return Fault::None;
        }
        self.struck.notify_one();
        self.patch_fault
    }
}

impl Chaos for Plan {
    fn on_publish(&self, message: &Publish) -> PublishFault {
        if message.stream != Stream::Nodes || !strikes(&self.nodes) {
            return PublishFault::None;
        }
        self.struck.notify_one();
        self.nodes_fault
    }
}

struct World {
    server: Server,
    host: Host,
    plan: Arc<Plan>,
    published: BTreeMap<String, u64>,
}

impl World {
    fn new(plan: Plan, object_bytes_max: Option<usize>, stream_bytes_max: u64) -> Self {
        let plan = Arc::new(plan);
        let mut options = Options { faults: Some(plan.clone()), ..Options::default() };
        options.object_bytes_max = object_bytes_max.or(options.object_bytes_max);
        let chaos: Arc<dyn Chaos> = plan.clone();
        let bus = Memory::with_options(memory::Options { chaos: Some(chaos), stream_bytes_max, ..Default::default() });
        let host = Host::new(Arc::new(bus), "t", 1);
        Self { server: Server::new(options), host, plan, published: BTreeMap::new() }
    }

    fn plain() -> Self {
        Self::new(Plan::default(), None, 1 << 30)
    }

    fn start(&self, holder: &str) -> (CancellationToken, JoinHandle<()>) {
        let host = Host { holder: holder.to_owned(), ..self.host.clone() };
        let service = Service::new(host, self.server.client("argo"), argosy_status::Options::default());
        let stop = CancellationToken::new();
        let shutdown = stop.clone();
        (stop, tokio::spawn(async move { service.run(shutdown).await.expect("it ends well") }))
    }

    fn workflows(&self) -> Api<DynamicObject> {
        api::workflows(&self.server.client("argo"), "argo")
    }

    async fn create(&self, name: &str, spec_bytes: usize) -> Result<WorkflowKey, kube::Error> {
        let object = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": name, "namespace": "argo"},
            "spec": {"entrypoint": "x".repeat(spec_bytes)},
        });
        let object = serde_json::from_value(object).expect("an object");
        let made = self.workflows().create(&PostParams::default(), &object).await?;
        let uid = made.metadata.uid.expect("objects have uids");
        Ok(WorkflowKey { uid, namespace: "argo".into(), name: name.into() })
    }

    /// Tells of nodes, as a scheduler does.
    async fn tell(&mut self, key: &WorkflowKey, nodes: Vec<NodeStatus>, status: Value) {
        let previous = self.published.entry(key.uid.clone()).or_default();
        let sequence = *previous + 1;
        let change = StatusChanged {
            schema: SCHEMA,
            namespace: key.namespace.clone(),
            workflow: key.name.clone(),
            workflow_uid: key.uid.clone(),
            observed_sequence: sequence,
            last: true,
            nodes: nodes.into_iter().map(Into::into).collect(),
            workflow_status: Some(WorkflowDelta { status, ..WorkflowDelta::default() }),
            ..StatusChanged::default()
        };
        let (shard, kind) = (0, "changed".to_owned());
        let subject = subject::Event { shard, namespace: "argo".into(), uid: key.uid.clone(), kind }.to_string();
        let payload = serde_json::to_vec(&change).expect("JSON");
        let publish = Publish::new(Stream::Events, subject, format!("{}:{sequence}", key.uid), payload)
            .header(HEADER_POSITION, sequence.to_string())
            .header(HEADER_PREVIOUS, previous.to_string());
        self.host.publish(vec![publish]).await.expect("published");
        self.published.insert(key.uid.clone(), sequence);
    }

    /// Waits until the object has what was told, and gives it.
    async fn settled(&self, key: &WorkflowKey) -> DynamicObject {
        let told = self.published.get(&key.uid).copied().unwrap_or(0);
        self.until(key, |object| marks::watermark(object).is_some_and(|mark| mark.sequence == told)).await
    }

    async fn until(&self, key: &WorkflowKey, is_right: impl Fn(&DynamicObject) -> bool) -> DynamicObject {
        for _ in 0..10_000 {
            let object = self.workflows().get(&key.name).await.expect("it exists");
            if is_right(&object) {
                return object;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let object = self.workflows().get(&key.name).await.expect("it exists");
        panic!("{:?} {:?}", object.metadata.annotations, object.data.pointer("/status/message"));
    }

    /// As every reader sees it; whoever finds an edit in our own writes would take them for others'.
    async fn read(&self, key: &WorkflowKey) -> Workflow {
        let object = self.workflows().get(&key.name).await.expect("it exists");
        assert!(!marks::is_foreign(&object), "{:?}", object.metadata.annotations);
        let whole = read::resolve(&self.host, &self.server.client("argo"), key, object).await;
        read::read_workflow(whole.expect("its nodes are there").expect("it exists")).await.expect("readable")
    }

    async fn versions(&self) -> Vec<String> {
        self.host.bus.subjects(Stream::Nodes, &subject::of_stream(Stream::Nodes)).await.expect("readable")
    }
}

/// Texts that gzip makes hardly smaller.
fn noise(bytes: usize, seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        format!("{state:016x}")
    };
    (0..bytes / 16).map(|_| next()).collect()
}

fn node(id: &str, message: String) -> NodeStatus {
    let message = message.into();
    NodeStatus { id: id.into(), name: id.into(), phase: NodePhase::Running, message, ..NodeStatus::default() }
}

fn nodes(count: u64, bytes: usize) -> Vec<NodeStatus> {
    (0..count).map(|n| node(&format!("n{n}"), noise(bytes, n + 1))).collect()
}

fn status(object: &DynamicObject) -> &Value {
    &object.data["status"]
}

fn running() -> Value {
    json!({"phase": "Running"})
}

/// A spec beside which compressed nodes of half a megabyte do not fit.
const LARGE_SPEC: usize = 1_300_000;

#[tokio::test(start_paused = true)]
async fn a_large_spec_leaves_less_room_for_nodes() {
    let mut world = World::plain();
    let (_stop, _task) = world.start("a");
    let key = world.create("wide", 835_000).await.expect("created");
    let many = (0..2000).map(|n| node(&format!("n{n}"), "x".repeat(400))).collect();
    world.tell(&key, many, running()).await;
    let object = world.settled(&key).await;
    assert!(status(&object)["compressedNodes"].is_string() && status(&object).get("nodes").is_none());
    assert_eq!(world.read(&key).await.status.nodes.len(), 2000);
    assert_eq!(status(&object)["phase"], "Running");
}

#[tokio::test(start_paused = true)]
async fn what_the_api_finds_too_large_is_written_smaller() {
    // An API server with less room than we count on: first plain, then compressed nodes are refused.
    for (bytes_max, member) in [(400_000, "compressedNodes"), (30_000, "offloadNodeStatusVersion")] {
        let mut world = World::new(Plan::default(), Some(bytes_max), 1 << 30);
        let (_stop, _task) = world.start("a");
        let key = world.create("w", 1000).await.expect("created");
        let many = (0..1000).map(|n| node(&format!("n{n}"), noise(64, n + 1) + &"x".repeat(448)));
        world.tell(&key, many.collect(), running()).await;
        let object = world.settled(&key).await;
        let sizes: Vec<_> =
            status(&object).as_object().into_iter().flatten().map(|(k, v)| (k, v.to_string().len())).collect();
        assert!(status(&object)[member].is_string(), "{member}: {sizes:?}");
        assert_eq!(world.read(&key).await.status.nodes.len(), 1000);
    }
}

#[tokio::test(start_paused = true)]
async fn nodes_beyond_the_object_are_kept_outside_and_found_by_the_next_process() {
    let mut world = World::plain();
    let (stop, task) = world.start("a");
    let key = world.create("w", LARGE_SPEC).await.expect("created");
    world.tell(&key, nodes(1000, 512), running()).await;
    let first = world.settled(&key).await;
    let version = api::offloaded_version(&first).expect("a version").to_owned();
    assert!(version.starts_with("fnv:"));
    assert!(status(&first).get("nodes").is_none() && status(&first).get("compressedNodes").is_none());
    stop.cancel();
    task.await.expect("joined");
    let (_stop, _task) = world.start("b");
    world.tell(&key, vec![node("n7", "seven".into())], json!({"message": "more"})).await;
    let second = world.settled(&key).await;
    assert_ne!(api::offloaded_version(&second), Some(version.as_str()));
    let workflow = world.read(&key).await;
    assert_eq!((workflow.status.nodes.len(), workflow.status.message.as_str()), (1000, "more"));
    assert_eq!(workflow.status.nodes["n7"].message.as_ref() as &str, "seven");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.versions().await.len(), 1, "what was replaced is gone");
    // Nothing about the nodes: they stay as they are.
    world.tell(&key, Vec::new(), json!({"message": "less"})).await;
    let third = world.settled(&key).await;
    assert_eq!(api::offloaded_version(&third), api::offloaded_version(&second));
    world.read(&key).await;
    world.workflows().delete("w", &kube::api::DeleteParams::default()).await.expect("deleted");
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    assert_eq!(world.versions().await, [""; 0], "they go with their workflow");
}

#[tokio::test(start_paused = true)]
async fn an_edit_of_offloaded_nodes_is_seen_and_kept() {
    let mut world = World::plain();
    let (_stop, _task) = world.start("a");
    let key = world.create("w", LARGE_SPEC).await.expect("created");
    world.tell(&key, nodes(1000, 512), running()).await;
    world.settled(&key).await;
    // A retry by somebody who has the nodes: they are few now, and the object's own again.
    let edit = json!({"status": {"offloadNodeStatusVersion": null, "phase": "",
        "nodes": {"n1": {"id": "n1", "name": "n1", "phase": "Failed"}}}});
    let edited = world.workflows().patch("w", &PatchParams::default(), &Patch::Merge(&edit)).await.expect("patched");
    assert!(marks::is_foreign(&edited));
    world.tell(&key, vec![node("new", "m".into())], json!({"phase": "Running"})).await;
    world.settled(&key).await;
    let workflow = world.read(&key).await;
    assert_eq!(workflow.status.nodes.keys().map(AsRef::as_ref).collect::<Vec<&str>>(), ["n1", "new"]);
}

#[tokio::test(start_paused = true)]
async fn no_failure_between_the_writes_loses_nodes() {
    let patches = [Fault::ConflictOnce, Fault::LostAnswer, Fault::Refuse503].map(|fault| (fault, PublishFault::None));
    let messages = [PublishFault::Refused, PublishFault::LostAnswer].map(|fault| (Fault::None, fault));
    for (patch_fault, nodes_fault) in patches.into_iter().chain(messages) {
        for at in 1..=5 {
            for dies in [false, true] {
                let count = |is_meant: bool| AtomicU32::new(if is_meant { at } else { 0 });
                let plan = Plan {
                    patch: count(patch_fault != Fault::None),
                    nodes: count(nodes_fault != PublishFault::None),
                    patch_fault,
                    nodes_fault,
                    struck: Notify::new(),
                };
                three_changes(World::new(plan, Some(20_000), 1 << 30), dies).await;
            }
        }
    }
}

/// Three changes while something goes wrong; with `dies`, the process ends right then and another takes over.
async fn three_changes(mut world: World, dies: bool) {
    let (_stop, task) = world.start("a");
    let key = world.create("w", 10_000).await.expect("created");
    let plan = Arc::clone(&world.plan);
    let (successor, host) = (world.start_later("b"), task.abort_handle());
    let killer = tokio::spawn(async move {
        plan.struck.notified().await;
        if dies {
            host.abort();
            successor.notify_one();
        }
    });
    for round in 0..3 {
        let mut changed = nodes(80, 256);
        changed.push(node("round", format!("{round}")));
        changed.push(node(&format!("new{round}"), String::new()));
        world.tell(&key, changed, running()).await;
        world.settled(&key).await;
        let workflow = world.read(&key).await;
        assert_eq!(workflow.status.nodes.len(), 82 + round);
        assert_eq!(workflow.status.nodes["round"].message.as_ref() as &str, round.to_string());
    }
    killer.abort();
    // What a crash left behind goes, what is named stays.
    for _ in 0..4 {
        if world.versions().await.len() > 1 {
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
    }
    assert_eq!(world.versions().await.len(), 1);
    world.read(&key).await;
}

impl World {
    /// Starts another process when told to.
    fn start_later(&self, holder: &'static str) -> Arc<Notify> {
        let (told, host, client) = (Arc::new(Notify::new()), self.host.clone(), self.server.client("argo"));
        let when = Arc::clone(&told);
        tokio::spawn(async move {
            when.notified().await;
            let service =
                Service::new(Host { holder: holder.into(), ..host }, client, argosy_status::Options::default());
            service.run(CancellationToken::new()).await.expect("it ends well");
        });
        told
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_that_nothing_can_hold_ends_its_workflow_and_no_other() {
    // The bus has no room for nodes.
    let mut world = World::new(Plan::default(), None, 300_000);
    let (_stop, _task) = world.start("a");
    let sick = world.create("sick", LARGE_SPEC).await.expect("created");
    let well = world.create("well", 10).await.expect("created");
    for part in nodes(1000, 512).chunks(100) {
        world.tell(&sick, part.to_vec(), running()).await;
        // Their events, in a stream as small, have to make room for the next.
        let told = world.published[&sick.uid];
        let has_it = |object: &DynamicObject| marks::watermark(object).is_some_and(|mark| mark.sequence == told);
        world.until(&sick, |object| is_ended(object) || has_it(object)).await;
        let events = subject::Event::of_shard(0);
        let newest = world.host.bus.last_sequence(Stream::Events, &events).await.expect("readable");
        world.host.bus.purge(Stream::Events, &events, newest - 1).await.expect("purged");
        if is_ended(&world.workflows().get("sick").await.expect("it exists")) {
            break;
        }
    }
    world.tell(&well, vec![node("a", "m".into())], json!({"phase": "Succeeded"})).await;
    world.settled(&well).await;
    assert_eq!(world.read(&well).await.status.nodes.len(), 1);
    let object = world.until(&sick, is_ended).await;
    let message = status(&object)["message"].as_str().expect("a message");
    for part in ["stream NODES is full", "1.5 MiB", "1300017 bytes of spec", "WorkflowTemplates"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(object.metadata.labels.expect("labels")[labels::QUARANTINED], "true");
}

fn is_ended(object: &DynamicObject) -> bool {
    object.data.pointer("/status/phase").is_some_and(|phase| phase == "Error")
}

/// Answers so many patches with 503.
struct Unavailable(AtomicU32);

impl Faults for Unavailable {
    fn on_request(&self, verb: &str, _path: &str) -> Fault {
        let is_left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        if verb == "patch" && is_left { Fault::Refuse503 } else { Fault::None }
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_that_does_not_answer_ends_no_workflow() {
    let mut world = World::plain();
    let faults = Arc::new(Unavailable(AtomicU32::new(20)));
    world.server = Server::new(Options { faults: Some(faults.clone()), ..Options::default() });
    let (_stop, _task) = world.start("a");
    let key = world.create("w", 10).await.expect("created");
    world.tell(&key, vec![node("a", "m".into())], running()).await;
    world.settled(&key).await;
    assert_eq!(world.read(&key).await.status.nodes.len(), 1);
    assert_eq!(faults.0.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn an_object_without_any_room_is_given_up_where_an_operator_finds_it() {
    let mut world = World::new(Plan::default(), Some(3000), 1 << 30);
    let (_stop, _task) = world.start("a");
    let mut spec_bytes = 3000;
    let key = loop {
        match world.create("w", spec_bytes).await {
            Ok(key) => break key,
            Err(error) => assert!(api::is_too_large(&error), "{error}"),
        }
        spec_bytes -= 10;
    };
    world.tell(&key, vec![node("a", "m".into())], running()).await;
    let entry = loop {
        let entries = world.host.bus.quarantine().list(Some(&key.uid)).await.expect("readable");
        if let Some(entry) = entries.into_iter().next() {
            break entry;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    assert_eq!(entry.name, "w");
    assert!(entry.reason.contains("bytes of spec"), "{}", entry.reason);
}
