//! A workflow, and a world around it in which anything that may happen next is chosen by the caller.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use argosy_api::{
    message::{ClusterCommand, ContainerSummary, LookupKey, Observed, PodSummary, StatusChanged},
    v1alpha1::{self as api, NodePhase, NodeStatus},
};
use argosy_engine::{Command, Config, Event, Workflow};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// What the world may do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// The pod by this name moves on.
    Pod(String),
    Timer(String),
    Lookup,
}

pub struct Play {
    pub engine: Workflow,
    pub config: Arc<Config>,
    pub sequence: u64,
    pub now: Timestamp,
    /// Pods by name: their node, and the phase they are in.
    pub pods: BTreeMap<String, (String, &'static str)>,
    pub timers: BTreeMap<String, Timestamp>,
    pub lookups: VecDeque<LookupKey>,
    /// All commands of the last step.
    pub last: Vec<Command>,
    pub events: Vec<StatusChanged>,
}

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + seconds).expect("a moment")
}

/// A workflow named `wf` with this spec.
pub fn object(spec: Value) -> api::Workflow {
    let object = json!({"metadata": {"name": "wf", "namespace": "ns", "uid": "u"}, "spec": spec});
    api::from_value(object).expect("the test's workflow fits")
}

pub fn changed(object: api::Workflow, status_edited: bool) -> Observed {
    Observed::WorkflowChanged { object: Box::new(object), status_edited }
}

/// The report of a pod in this phase, with the exit code of its main container once it has ended.
pub fn pod(node_id: &str, name: &str, phase: &str) -> PodSummary {
    let code = match phase {
        "Succeeded" => Some(0),
        "Failed" => Some(1),
        _ => None,
    };
    let state = match phase {
        "Running" => NodePhase::Running,
        "Succeeded" => NodePhase::Succeeded,
        "Failed" => NodePhase::Failed,
        _ => NodePhase::Pending,
    };
    let main = ContainerSummary { name: "main".into(), phase: state, exit_code: code, ..Default::default() };
    PodSummary {
        node_id: node_id.into(),
        name: name.into(),
        uid: format!("uid-{name}"),
        phase: phase.into(),
        ready: phase == "Running",
        containers: vec![main],
        ..Default::default()
    }
}

impl Play {
    pub fn new(object: api::Workflow, config: Config) -> Self {
        let config = Arc::new(config);
        let engine = Workflow::new(config.clone(), object.clone(), 0);
        let mut play = Self {
            engine,
            config,
            sequence: 0,
            now: at(0),
            pods: BTreeMap::new(),
            timers: BTreeMap::new(),
            lookups: VecDeque::new(),
            last: Vec::new(),
            events: Vec::new(),
        };
        play.feed(changed(object, false));
        play
    }

    pub fn of(spec: Value) -> Self {
        Self::new(object(spec), Config::default())
    }

    /// Steps an event, and carries out what comes of it.
    pub fn feed(&mut self, body: Observed) {
        self.sequence += 1;
        if let Observed::TimerFired { key } = &body {
            self.timers.remove(key);
        }
        let event = Event { sequence: self.sequence, at: self.now, body };
        let commands = self.engine.step(event);
        self.carry_out(commands);
    }

    pub fn carry_out(&mut self, commands: Vec<Command>) {
        for command in &commands {
            match command {
                Command::Cluster { node_id, command } => self.cluster(node_id, command),
                Command::ArmTimer { key, due } => _ = self.timers.insert(key.clone(), *due),
                Command::DisarmTimer { key } => _ = self.timers.remove(key),
                Command::Lookup(key) => self.lookups.push_back(key.clone()),
                // Who tests locks answers himself.
                Command::WantLocks { .. } | Command::ReleaseLocks { .. } => {}
                Command::Publish(changed) => self.events.push(StatusChanged::clone(changed)),
            }
        }
        self.last = commands;
        if self.engine.is_completed() {
            self.timers.clear();
        }
        let (bugs, more) = self.engine.take_bugs();
        assert!(bugs.is_empty() && more == 0, "{bugs:?}");
    }

    fn cluster(&mut self, node_id: &str, command: &ClusterCommand) {
        match command {
            ClusterCommand::CreatePod { manifest, .. } => {
                assert!(!self.engine.is_completed(), "a pod for {node_id} after the end");
                self.pods.entry(manifest.pod_name().to_owned()).or_insert((node_id.to_owned(), "Pending"));
            }
            ClusterCommand::StopPod { name } | ClusterCommand::DeletePod { name } => {
                if let Some((_, phase)) = self.pods.get_mut(name)
                    && matches!(*phase, "Pending" | "Running")
                {
                    *phase = "Stopping";
                }
            }
            ClusterCommand::ConfirmPod { .. }
            | ClusterCommand::LabelPodCompleted { .. }
            | ClusterCommand::CollectPod { .. }
            | ClusterCommand::CollectPods { .. }
            | ClusterCommand::CreateObject { .. }
            | ClusterCommand::SaveCacheEntry { .. }
            | ClusterCommand::DeleteObject { .. } => {}
        }
    }

    /// A new owner goes on from the object, as it is written in the API.
    pub fn restart(&mut self) {
        let text = serde_json::to_string(self.engine.object()).expect("the object has a JSON form");
        self.take_up(serde_json::from_str(&text).expect("the object reads"));
    }

    /// A new owner goes on from the object as somebody has edited it; the edit is still ahead in the log.
    pub fn take_up(&mut self, object: api::Workflow) {
        self.engine = Workflow::new(self.config.clone(), object, self.sequence);
        self.timers.clear();
        self.lookups.clear();
        let commands = self.engine.resume(self.now);
        self.carry_out(commands);
    }

    /// All that may happen next.
    pub fn possible(&self) -> Vec<Next> {
        let lookup = (!self.lookups.is_empty()).then_some(Next::Lookup);
        let live = self.pods.iter().filter(|(_, (_, phase))| matches!(*phase, "Pending" | "Running" | "Stopping"));
        let pods = live.map(|(name, _)| Next::Pod(name.clone()));
        lookup.into_iter().chain(pods).chain(self.timers.keys().cloned().map(Next::Timer)).collect()
    }

    /// Lets it happen. `fails`: a pod that ends ends badly. `answer`: what a lookup finds.
    pub fn happen(&mut self, next: Next, fails: bool, answer: impl Fn(&LookupKey) -> Option<Value>) {
        self.now = self.now.checked_add(SignedDuration::from_millis(700)).expect("a moment");
        match next {
            Next::Lookup => {
                let Some(key) = self.lookups.pop_front() else { return };
                let object = answer(&key);
                self.feed(Observed::LookedUp { key, object, refused: String::new() });
            }
            Next::Timer(key) => {
                let Some(due) = self.timers.remove(&key) else { return };
                self.now = self.now.max(due);
                self.feed(Observed::TimerFired { key });
            }
            Next::Pod(name) => {
                let Some((node, phase)) = self.pods.get(&name).cloned() else { return };
                let after = match phase {
                    "Pending" => "Running",
                    "Running" if !fails => "Succeeded",
                    _ => "Failed",
                };
                self.pods.insert(name.clone(), (node.clone(), after));
                self.feed(Observed::PodChanged { pod: Box::new(pod(&node, &name, after)) });
            }
        }
    }

    /// Lets the first that may happen, until nothing may.
    pub fn run(&mut self) {
        while let Some(next) = self.possible().into_iter().next() {
            self.happen(next, false, |_| None);
        }
    }

    pub fn node(&self, name: &str) -> Option<&NodeStatus> {
        self.engine.object().status.nodes.unordered().find(|node| node.name == name)
    }

    pub fn phase(&self) -> String {
        self.engine.object().status.phase.to_string()
    }

    pub fn message(&self) -> &str {
        &self.engine.object().status.message
    }

    /// The end of the pod of a node.
    pub fn end_pod(&mut self, node: &str, phase: &'static str) {
        let id = self.node(node).unwrap_or_else(|| panic!("no node {node}")).id.to_string();
        let name = self.pods.iter().find(|(_, (of, _))| *of == id).map(|(name, _)| name.clone());
        let name = name.unwrap_or_else(|| panic!("no pod of {node}"));
        self.pods.insert(name.clone(), (id.clone(), phase));
        self.feed(Observed::PodChanged { pod: Box::new(pod(&id, &name, phase)) });
    }
}
