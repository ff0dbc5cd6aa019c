//! The pure engine: only the time of this thread inside `step` counts.

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
use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{memory, shapes::Shape};

/// Events between two looks at the thread's clock, which cost more than a step.
const BATCH: usize = 64;

/// One run.
pub struct Figure {
    shape: Shape,
    pods: usize,
    /// Phases that nodes went into.
    transitions: u64,
    /// Time inside `step`.
    inside: Duration,
    longest: Duration,
    /// Growth of the process over the run, the object and the last commands included.
    bytes: Option<u64>,
}

impl Figure {
    fn nanos_per_node(&self) -> f64 {
        self.inside.as_nanos() as f64 / self.pods as f64
    }

    fn per_second(&self) -> f64 {
        self.transitions as f64 / self.inside.as_secs_f64()
    }

    /// For machines.
    pub fn json(&self) -> Value {
        json!({
            "shape": self.shape.name(),
            "pods": self.pods,
            "transitions": self.transitions,
            "transitions_per_second": self.per_second().round(),
            "nanoseconds_per_node": self.nanos_per_node().round(),
            "longest_step_microseconds": self.longest.as_micros() as u64,
            "bytes_per_node": self.bytes.map(|b| b / self.pods as u64),
        })
    }
}

/// Shapes at 1,000, 10,000 and 100,000 nodes, as far as `nodes_max` goes; all of them when none is named.
pub fn measure(nodes_max: usize, shapes: &[Shape]) -> Result<Vec<Figure>> {
    let mut found = Vec::new();
    for shape in Shape::value_variants().iter().filter(|s| shapes.is_empty() || shapes.contains(s)).copied() {
        for pods in [1_000, 10_000, 100_000] {
            if pods <= nodes_max {
                let runs: Result<Vec<Figure>> = (0..repeats(pods)).map(|_| run(shape, pods)).collect();
                found.extend(runs?.into_iter().min_by_key(|figure| figure.inside));
            }
        }
    }
    Ok(found)
}

/// The fastest run counts, as the others were disturbed.
fn repeats(pods: usize) -> usize {
    (30_000 / pods).clamp(3, 10)
}

/// As text. The ratio is the cost per node over that of the shape's smallest workflow.
pub fn table(figures: &[Figure]) -> String {
    let mut text = String::from(
        "pure engine: time inside `step`\nshape      nodes  transitions/s  ns/node  ratio  longest step  bytes/node\n",
    );
    let mut base: HashMap<&str, f64> = HashMap::new();
    for figure in figures {
        let cost = figure.nanos_per_node();
        let ratio = cost / *base.entry(figure.shape.name()).or_insert(cost);
        let bytes = figure.bytes.map_or_else(|| "-".to_owned(), |b| (b / figure.pods as u64).to_string());
        text.push_str(&format!(
            "{:<8} {:>7}  {:>13.0}  {:>7.0}  {:>5.2}  {:>9.1} ms  {:>10}\n",
            figure.shape.name(),
            figure.pods,
            figure.per_second(),
            cost,
            ratio,
            figure.longest.as_secs_f64() * 1e3,
            bytes
        ));
    }
    text
}

/// An event to come. It is made when its turn is there, as a scheduler reads a message just before it takes the step: the
/// wait for one that had been lying in memory for long would be counted as the engine's.
enum Due {
    Body(Observed),
    /// Of a node's pod, with its name.
    Running(ArcStr, ArcStr),
    Succeeded(ArcStr, ArcStr),
}

impl Due {
    fn body(self) -> Observed {
        match self {
            Self::Body(body) => body,
            Self::Running(node, name) => pod(&node, &name, "Running", None),
            Self::Succeeded(node, name) => pod(&node, &name, "Succeeded", Some(0)),
        }
    }
}

fn run(shape: Shape, pods: usize) -> Result<Figure> {
    let object: api::Workflow = api::from_value(shape.workflow(pods))?;
    let before = memory::resident_bytes();
    let start: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    let mut engine = Workflow::new(Arc::new(Config::default()), object.clone(), 0);
    let mut queue =
        VecDeque::from([Due::Body(Observed::WorkflowChanged { object: Box::new(object), status_edited: false })]);
    let mut phases: HashMap<ArcStr, NodePhase> = HashMap::with_capacity(pods + 16);
    let mut figure =
        Figure { shape, pods, transitions: 0, inside: Duration::ZERO, longest: Duration::ZERO, bytes: None };
    let mut sequence = 0;
    let mut commands = Vec::new();
    while !queue.is_empty() {
        let events: Vec<Event> = queue
            .drain(..queue.len().min(BATCH))
            .map(|due| {
                sequence += 1;
                Event { sequence, at: start + Duration::from_millis(sequence), body: due.body() }
            })
            .collect();
        let began = cpu_time()?;
        for event in events {
            let started = Instant::now();
            commands.push(engine.step(event));
            figure.longest = figure.longest.max(started.elapsed());
        }
        figure.inside += cpu_time()?.saturating_sub(began);
        for command in commands.drain(..).flatten() {
            match command {
                Command::Cluster { node_id, command: ClusterCommand::CreatePod { manifest } } => {
                    let name = ArcStr::from(manifest.pod_name());
                    queue.push_back(Due::Running(node_id.clone(), name.clone()));
                    queue.push_back(Due::Succeeded(node_id, name));
                }
                Command::Publish(changed) => {
                    for node in &changed.nodes {
                        if phases.get(&node.id) != Some(&node.phase) {
                            figure.transitions += 1;
                            phases.insert(node.id.clone(), node.phase);
                        }
                    }
                }
                Command::Lookup(key) => queue.push_front(Due::Body(Observed::LookedUp { key, object: None })),
                Command::Cluster { .. } | Command::ArmTimer { .. } => {}
            }
        }
    }
    let status = &engine.object().status;
    ensure!(
        status.phase == api::WorkflowPhase::Succeeded,
        "{} of {pods} ended {}: {}",
        shape.name(),
        status.phase,
        status.message
    );
    ensure!(status.nodes.len() > pods, "{} of {pods} has only {} nodes", shape.name(), status.nodes.len());
    figure.bytes = memory::resident_bytes().zip(before).map(|(now, before)| now.saturating_sub(before));
    Ok(figure)
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
        phase: phase.to_owned(),
        host_node_name: "node1".to_owned(),
        pod_ip: "10.0.0.1".to_owned(),
        containers: vec![container("main"), container("wait")],
        outputs: exit_code.map(|_| api::Outputs::default()),
        ..Default::default()
    };
    Observed::PodChanged { pod: Box::new(pod) }
}
