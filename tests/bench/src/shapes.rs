//! Workflows of any size.

use clap::ValueEnum;
use serde_json::{Value, json};

/// How the nodes of a workflow hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// One task, then all others, then one that waits for all.
    Wide,
    /// Layers of 100 tasks; each waits for two of the layer before.
    Layered,
    /// Each task waits for the one before.
    Chain,
    /// One task with `withSequence`.
    Loop,
    /// One task with `withItems`, whose template has a parameter in its command.
    Items,
    /// Groups of ten steps, one after another.
    Steps,
    /// A loop of which ten run at a time.
    Limited,
}

impl Shape {
    /// The name in figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wide => "wide",
            Self::Layered => "layered",
            Self::Chain => "chain",
            Self::Loop => "loop",
            Self::Items => "items",
            Self::Steps => "steps",
            Self::Limited => "limited",
        }
    }

    /// A Workflow with `pods` pods.
    pub fn workflow(self, pods: usize) -> Value {
        let dag = |tasks: Vec<Value>| json!({"name": "main", "dag": {"tasks": tasks}});
        let all =
            |dependencies: &dyn Fn(usize) -> Vec<usize>| dag((0..pods).map(|i| task(i, dependencies(i))).collect());
        let sequence = json!({"name": "t", "template": "work", "withSequence": {"count": pods.to_string()}});
        let main = match self {
            Self::Wide => all(&|i| wide(i, pods)),
            Self::Layered => all(&layered),
            Self::Chain => all(&|i| i.checked_sub(1).into_iter().collect()),
            Self::Loop => dag(vec![sequence]),
            Self::Items => dag(vec![json!({
                "name": "t", "template": "echo", "withItems": (0..pods).collect::<Vec<_>>(),
                "arguments": {"parameters": [{"name": "text", "value": "item {{item}} of {{workflow.name}}"}]},
            })]),
            Self::Steps => {
                let step = |group: usize, i: usize| json!({"name": format!("s{group}-{i}"), "template": "work"});
                let groups: Vec<Value> =
                    (0..pods / GROUP).map(|group| (0..GROUP).map(|i| step(group, i)).collect()).collect();
                json!({"name": "main", "steps": groups})
            }
            Self::Limited => {
                let mut main = dag(vec![sequence]);
                main["parallelism"] = json!(GROUP);
                main
            }
        };
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": {"name": self.name(), "namespace": "bench", "uid": "0d6f5c5e-6d3c-4a52-9bb1-7d1f4fd0a001"},
            "spec": {"entrypoint": "main", "templates": [
                main,
                {"name": "work", "container": {"image": "busybox", "command": ["true"]}},
                {
                    "name": "echo", "inputs": {"parameters": [{"name": "text"}]},
                    "container": {"image": "busybox", "command": ["echo"], "args": ["{{inputs.parameters.text}}"]},
                },
            ]},
        })
    }
}

fn task(index: usize, dependencies: Vec<usize>) -> Value {
    let dependencies: Vec<String> = dependencies.into_iter().map(|d| format!("t{d}")).collect();
    json!({"name": format!("t{index}"), "template": "work", "dependencies": dependencies})
}

fn wide(index: usize, pods: usize) -> Vec<usize> {
    match index {
        0 => Vec::new(),
        i if i + 1 == pods => (1..i).collect(),
        _ => vec![0],
    }
}

const LAYER: usize = 100;
const GROUP: usize = 10;

fn layered(index: usize) -> Vec<usize> {
    let Some(above) = index.checked_sub(LAYER) else {
        return Vec::new();
    };
    let start = above / LAYER * LAYER;
    let other = start + (above - start + 1) % LAYER;
    vec![above.min(other), above.max(other)]
}
