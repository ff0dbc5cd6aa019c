//! One workflow that runs in the pure engine: its pods do what is asked of them at once.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use argosy_api::{
    ArcStr,
    message::{ClusterCommand, ContainerSummary, Observed, PodSummary},
    v1alpha1::{self as api, NodePhase},
};
use argosy_engine::{Command, Config, Event, Workflow};
use jiff::Timestamp;

use crate::shapes::Shape;

/// Events between two looks at the thread's clock, which cost more than a step.
const BATCH: usize = 64;

/// A workflow and what is under way.
pub struct Driver {
    pods: usize,
    engine: Workflow,
    start: Timestamp,
    sequence: u64,
    due: VecDeque<Due>,
    phases: HashMap<ArcStr, NodePhase>,
    /// Phases that nodes went into.
    pub transitions: u64,
    /// Time inside `step`.
    pub inside: Duration,
    pub longest: Duration,
}

impl Driver {
    pub fn new(shape: Shape, pods: usize) -> Result<Self> {
        let object: api::Workflow = api::from_value(shape.workflow(pods))?;
        let engine = Workflow::new(Arc::new(Config::default()), object.clone(), 0);
        let body = Observed::WorkflowChanged { object: Box::new(object), status_edited: false };
        Ok(Self {
            pods,
            engine,
            start: "2026-01-01T00:00:00Z".parse()?,
            sequence: 0,
            due: VecDeque::from([Due::Body(body)]),
            phases: HashMap::with_capacity(pods + 16),
            transitions: 0,
            inside: Duration::ZERO,
            longest: Duration::ZERO,
        })
    }

    /// Takes some steps; false when there are none left.
    pub fn advance(&mut self) -> Result<bool> {
        let count = self.due.len().min(BATCH);
        let due: Vec<Due> = self.due.drain(..count).collect();
        let events: Vec<Event> = due.into_iter().map(|due| self.event(due)).collect();
        let mut commands = Vec::with_capacity(events.len());
        let began = cpu_time()?;
        for event in events {
            let started = Instant::now();
            commands.push(self.engine.step(event));
            self.longest = self.longest.max(started.elapsed());
        }
        self.inside += cpu_time()?.saturating_sub(began);
        commands.into_iter().flatten().for_each(|command| self.obey(command));
        Ok(!self.due.is_empty())
    }

    /// Errors: the workflow has not ended as it should.
    pub fn check(&self) -> Result<()> {
        let (name, status) = (&self.engine.object().metadata.name, &self.engine.object().status);
        let is_over = status.phase == api::WorkflowPhase::Succeeded;
        ensure!(is_over, "{name} of {} ended {}: {}", self.pods, status.phase, status.message);
        ensure!(status.nodes.len() > self.pods, "{name} of {} has only {} nodes", self.pods, status.nodes.len());
        Ok(())
    }

    fn event(&mut self, due: Due) -> Event {
        self.sequence += 1;
        let body = match due {
            Due::Body(body) => body,
            Due::Running(node, name) => pod(&node, &name, "Running", None),
            Due::Succeeded(node, name) => pod(&node, &name, "Succeeded", Some(0)),
        };
        Event { sequence: self.sequence, at: self.start + Duration::from_millis(self.sequence), body }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Cluster { node_id, command: ClusterCommand::CreatePod { manifest, .. } } => {
                let name = ArcStr::from(manifest.pod_name());
                self.due.push_back(Due::Running(node_id.clone(), name.clone()));
                self.due.push_back(Due::Succeeded(node_id, name));
            }
            Command::Publish(changed) => {
                for node in &changed.nodes {
                    if self.phases.get(&node.id) != Some(&node.phase) {
                        self.transitions += 1;
                        self.phases.insert(node.id.clone(), node.phase);
                    }
                }
            }
            Command::Lookup(key) => {
                self.due.push_front(Due::Body(Observed::LookedUp { key, object: None, refused: String::new() }))
            }
            Command::Cluster { .. }
            | Command::ArmTimer { .. }
            | Command::DisarmTimer { .. }
            | Command::WantLocks { .. }
            | Command::ReleaseLocks { .. } => {}
        }
    }
}

/// An event to come. It is made when its turn is there, as a scheduler reads a message just before it takes the step: the
/// wait for one that had been lying in memory for long would be counted as the engine's.
enum Due {
    Body(Observed),
    /// Of a node's pod, with its name.
    Running(ArcStr, ArcStr),
    Succeeded(ArcStr, ArcStr),
}

/// Time that this thread has had a core: what else the machine does is not in it.
fn cpu_time() -> Result<Duration> {
    let time = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID.now().context("read the thread's clock")?;
    Ok(time.into())
}

fn pod(node_id: &str, name: &str, phase: &str, exit_code: Option<i32>) -> Observed {
    let container = |container: &str| ContainerSummary {
        name: container.to_owned(),
        phase: if exit_code.is_some() { NodePhase::Succeeded } else { NodePhase::Running },
        exit_code,
        reason: if exit_code.is_some() { "Completed".to_owned() } else { String::new() },
        ready: exit_code.is_none(),
        ..Default::default()
    };
    let pod = PodSummary {
        node_id: node_id.to_owned(),
        name: name.to_owned(),
        uid: format!("uid-{name}"),
        phase: phase.into(),
        host_node_name: "node1".to_owned(),
        pod_ip: "10.0.0.1".to_owned(),
        containers: vec![container("main"), container("wait")],
        outputs: exit_code.map(|_| api::Outputs::default()),
        ..Default::default()
    };
    Observed::PodChanged { pod: Box::new(pod) }
}
