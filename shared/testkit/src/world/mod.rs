//! The engine alone, in virtual time: its commands are carried out by scripted pods, its timers fire when nothing else
//! is due, its lookups are answered from a list of documents.

mod fold;
mod recorded;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
    sync::Arc,
};

use argosy_api::{
    message::{ClusterCommand, LockOwner, LookupKey, LookupKind, Observed, PodPhase, PodSummary},
    v1alpha1::{NodePhase, NodeStatus, Workflow as Object},
};
use argosy_engine::{Command, Config, Event, Workflow};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

pub use fold::Folded;
pub use recorded::Recorded;

use crate::locks::AllLocks;

/// What a pod goes through if nobody stops it: states, each with its delay after the pod's creation.
pub type Script = Vec<(SignedDuration, PodSummary)>;

/// Decides what becomes of pods.
pub trait Oracle {
    /// The script of the pod `manifest` of `node`; every summary carries name and node id already set in `blank`.
    fn script(&self, node: &NodeStatus, manifest: &Value, blank: PodSummary) -> Script;

    /// What the API says of the pod of `node`, if it refuses it for good.
    fn refusal(&self, _node: &NodeStatus) -> Option<String> {
        None
    }
}

/// How a run is driven.
#[derive(Clone, Debug)]
pub struct Options {
    pub config: Arc<Config>,
    /// Objects that lookups find, by kind, namespace and name.
    pub documents: BTreeMap<LookupKey, Value>,
    pub started_at: Timestamp,
    /// After each event, drop the engine and rebuild it from the object, as after a crash.
    pub restart: bool,
    /// Also fold the published changes, to be compared with the object.
    pub fold: bool,
    /// Give up after so many events.
    pub events_max: u64,
}

/// What came of a run.
#[derive(Debug)]
pub struct Run {
    pub object: Object,
    pub end: End,
    pub events: u64,
    pub commands: u64,
    /// The status as a subscriber would have it; empty unless [`Options::fold`].
    pub folded: Folded,
    /// Broken rules that were seen on the way, in words.
    pub broken: Vec<String>,
}

/// Why a run came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Completed,
    /// Nothing was left to happen.
    Stuck,
    /// [`Options::events_max`].
    TooLong,
}

struct Pod {
    summary: PodSummary,
    ended: bool,
}

#[derive(Debug)]
enum Due {
    Fact(Observed),
    Pod(Box<PodSummary>),
    Timer(String),
}

struct Scheduled {
    due: Due,
}

struct World<'a> {
    options: &'a Options,
    oracle: &'a dyn Oracle,
    now: Timestamp,
    order: u64,
    queue: BinaryHeap<Reverse<(Timestamp, u64)>>,
    scheduled: HashMap<u64, Scheduled>,
    pods: BTreeMap<String, Pod>,
    timers: BTreeMap<String, Timestamp>,
    locks: AllLocks,
    /// The object as it was last published, and the sequence of the event that caused it.
    written: (Object, u64),
    /// The events since.
    log: Vec<Event>,
    folded: Folded,
    commands: u64,
    broken: Vec<String>,
}

/// Runs `object`, which nobody has begun yet, to its end.
pub fn run(object: Object, oracle: &dyn Oracle, options: &Options) -> Run {
    let mut world = World {
        options,
        oracle,
        now: options.started_at,
        order: 0,
        queue: BinaryHeap::new(),
        scheduled: HashMap::new(),
        pods: BTreeMap::new(),
        timers: BTreeMap::new(),
        locks: AllLocks::default(),
        written: (object.clone(), 0),
        log: Vec::new(),
        folded: Folded::default(),
        commands: 0,
        broken: Vec::new(),
    };
    let mut engine = Workflow::new(Arc::clone(&options.config), object.clone(), 0);
    world.schedule(
        SignedDuration::ZERO,
        Due::Fact(Observed::WorkflowChanged { object: Box::new(object), status_edited: false }),
    );
    let mut sequence = 0;
    let end = loop {
        let Some(body) = world.next() else {
            break if engine.is_completed() { End::Completed } else { End::Stuck };
        };
        if engine.is_completed() && matches!(body, Observed::TimerFired { .. }) {
            continue;
        }
        sequence += 1;
        if sequence > options.events_max {
            break End::TooLong;
        }
        let event = Event { sequence, at: world.now, body };
        let commands = engine.step(event.clone());
        let has_published = commands.iter().any(|c| matches!(c, Command::Publish(_)));
        world.carry_out(commands, engine.object());
        if options.restart {
            engine = world.rebuild(event, has_published, &engine);
        }
    };
    Run {
        object: engine.object().clone(),
        end,
        events: sequence,
        commands: world.commands,
        folded: world.folded,
        broken: world.broken,
    }
}

impl World<'_> {
    fn schedule(&mut self, after: SignedDuration, due: Due) {
        self.schedule_at(self.now + after, due);
    }

    fn schedule_at(&mut self, at: Timestamp, due: Due) {
        self.order += 1;
        self.queue.push(Reverse((at.max(self.now), self.order)));
        self.scheduled.insert(self.order, Scheduled { due });
    }

    /// The next thing that happens; moves the clock.
    fn next(&mut self) -> Option<Observed> {
        while let Some(Reverse((at, order))) = self.queue.pop() {
            let Some(Scheduled { due }) = self.scheduled.remove(&order) else {
                continue;
            };
            let body = match due {
                Due::Fact(body) => Some(body),
                Due::Timer(key) => (self.timers.get(&key) == Some(&at)).then(|| {
                    self.timers.remove(&key);
                    Observed::TimerFired { key }
                }),
                Due::Pod(summary) => self.pod_moves(*summary),
            };
            if let Some(body) = body {
                self.now = self.now.max(at);
                return Some(body);
            }
        }
        None
    }

    fn pod_moves(&mut self, summary: PodSummary) -> Option<Observed> {
        let pod = self.pods.get_mut(&summary.name)?;
        let has_end = summary.has_ended() || summary.deleted;
        if pod.ended && (pod.summary.deleted || !summary.deleted) {
            return None;
        }
        pod.ended = has_end;
        pod.summary = summary.clone();
        Some(Observed::PodChanged { pod: Box::new(summary) })
    }

    fn carry_out(&mut self, commands: Vec<Command>, object: &Object) {
        for command in commands {
            self.commands += 1;
            match command {
                Command::Cluster { node_id, command } => self.cluster(&node_id, command, object),
                Command::ArmTimer { key, due } => {
                    let due = due.max(self.now);
                    self.timers.insert(key.clone(), due);
                    self.schedule_at(due, Due::Timer(key));
                }
                Command::DisarmTimer { key } => {
                    self.timers.remove(&key);
                }
                Command::Lookup(key) => {
                    let whole = LookupKey { data_key: None, ..key.clone() };
                    let object = self.options.documents.get(&whole).cloned();
                    self.schedule(
                        SignedDuration::ZERO,
                        Due::Fact(Observed::LookedUp { key, object, refused: String::new() }),
                    );
                }
                Command::WantLocks { .. } | Command::ReleaseLocks { .. } => self.tell_locks(&command, object),
                Command::Publish(changed) => {
                    if self.options.fold {
                        self.folded.apply(&changed);
                    }
                }
            }
        }
    }

    fn tell_locks(&mut self, command: &Command, object: &Object) {
        let meta = &object.metadata;
        let (uid, namespace, name) = (meta.uid.clone(), meta.namespace.clone(), meta.name.clone());
        let documents = &self.options.documents;
        let limit = |namespace: &str, name: &str, key: &str| {
            let (namespace, name) = (namespace.to_owned(), name.to_owned());
            let map = LookupKey { kind: LookupKind::ConfigMap, namespace, name, data_key: None };
            Some(documents.get(&map)?["data"][key].as_str()?.to_owned())
        };
        let told = self.locks.obey(LockOwner { uid, namespace, name }, command, self.now, &limit);
        for (_, fact) in told {
            self.schedule(SignedDuration::ZERO, Due::Fact(fact));
        }
    }

    fn cluster(&mut self, node_id: &str, command: ClusterCommand, object: &Object) {
        match command {
            ClusterCommand::CreatePod { manifest, .. } => self.create_pod(node_id, &manifest.to_value(), object),
            ClusterCommand::StopPod { name } => self.stop_pod(&name),
            ClusterCommand::DeletePod { name } => {
                if let Some(pod) = self.pods.get(&name) {
                    let summary = PodSummary { deleted: true, ..pod.summary.clone() };
                    self.schedule(SignedDuration::from_millis(10), Due::Pod(Box::new(summary)));
                }
            }
            // Pods here tell by themselves.
            ClusterCommand::ConfirmPod { .. }
            | ClusterCommand::LabelPodCompleted { .. }
            | ClusterCommand::CollectPod { .. }
            | ClusterCommand::CollectPods { .. }
            | ClusterCommand::CreateObject { .. }
            | ClusterCommand::SaveCacheEntry { .. }
            | ClusterCommand::DeleteObject { .. } => {}
        }
    }

    fn create_pod(&mut self, node_id: &str, manifest: &Value, object: &Object) {
        let name = manifest["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if self.pods.contains_key(&name) {
            return;
        }
        if object.status.phase.is_completed() {
            self.broken.push(format!("S1: pod {name} created after the end"));
        }
        let Some(node) = object.status.nodes.get(node_id) else {
            self.broken.push(format!("pod {name} for node {node_id}, which does not exist"));
            return;
        };
        if node.phase.is_fulfilled() {
            self.broken.push(format!("S1: pod {name} for node {}, which is {}", node.name, node.phase));
        }
        if let Some(message) = self.oracle.refusal(node) {
            let fact = Observed::PodRejected { node_id: node_id.to_owned(), message };
            return self.schedule(SignedDuration::from_millis(10), Due::Fact(fact));
        }
        let blank = PodSummary {
            node_id: node_id.to_owned(),
            name: name.clone(),
            uid: format!("uid-{name}"),
            ..Default::default()
        };
        let script = self.oracle.script(node, manifest, blank.clone());
        self.pods.insert(name, Pod { summary: blank, ended: false });
        for (after, summary) in script {
            self.schedule(after, Due::Pod(Box::new(summary)));
        }
    }

    /// SIGTERM: what runs ends with code 143, what has not begun is deleted.
    fn stop_pod(&mut self, name: &str) {
        let Some(pod) = self.pods.get(name).filter(|p| !p.ended) else {
            return;
        };
        let mut summary = pod.summary.clone();
        if summary.phase == PodPhase::Running {
            summary.phase = PodPhase::Failed;
            summary.ready = false;
            for container in summary.containers.iter_mut().filter(|c| c.phase == NodePhase::Running) {
                container.phase = if container.name == "wait" { NodePhase::Succeeded } else { NodePhase::Failed };
                container.exit_code = Some(if container.name == "wait" { 0 } else { 143 });
                container.reason = if container.name == "wait" { "Completed" } else { "Error" }.to_owned();
                container.ready = false;
            }
        } else {
            summary.deleted = true;
        }
        self.schedule(SignedDuration::from_millis(50), Due::Pod(Box::new(summary)));
    }

    /// A new engine from what survives a crash: the object as it was last published (through its JSON form), and the log
    /// behind that. Timers and lookups under way are lost with the process.
    fn rebuild(&mut self, event: Event, has_published: bool, engine: &Workflow) -> Workflow {
        if has_published {
            match serde_json::to_value(engine.object()).and_then(serde_json::from_value::<Object>) {
                Ok(object) if object == *engine.object() => self.written = (object, event.sequence),
                Ok(_) => self.broken.push("the object is not the same after a trip through JSON".to_owned()),
                Err(e) => self.broken.push(format!("the object does not survive its JSON form: {e}")),
            }
            self.log.clear();
        } else {
            self.log.push(event);
        }
        self.timers.clear();
        self.scheduled.retain(|_, scheduled| !matches!(scheduled.due, Due::Fact(Observed::LookedUp { .. })));
        let (object, watermark) = self.written.clone();
        let mut rebuilt = Workflow::new(Arc::clone(&self.options.config), object, watermark);
        if watermark > 0 {
            let commands = rebuilt.resume(self.now);
            self.carry_out(commands, rebuilt.object());
        }
        for event in self.log.clone() {
            // What the log has answered already is not asked for again.
            match &event.body {
                Observed::TimerFired { key } => _ = self.timers.remove(key),
                Observed::LookedUp { key: answered, .. } => self.scheduled.retain(|_, scheduled| {
                    !matches!(&scheduled.due, Due::Fact(Observed::LookedUp { key, .. }) if key == answered)
                }),
                _ => {}
            }
            let commands = rebuilt.step(event);
            self.carry_out(commands, rebuilt.object());
        }
        rebuilt
    }
}
