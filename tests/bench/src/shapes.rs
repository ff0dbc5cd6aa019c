//! Workflows of any size.

use serde_json::{Value, json};

/// How the nodes of a workflow hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One task, then all others, then one that waits for all.
    Wide,
    /// Layers of 100 tasks; each waits for two of the layer before.
    Layered,
    /// Each task waits for the one before.
    Chain,
    /// One task with `withSequence`.
    Loop,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Wide, Self::Layered, Self::Chain, Self::Loop];

    /// The name in figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wide => "wide",
            Self::Layered => "layered",
            Self::Chain => "chain",
            Self::Loop => "loop",
        }
    }

    /// A Workflow with `pods` pods.
    pub fn workflow(self, pods: usize) -> Value {
        let tasks: Vec<Value> = match self {
            Self::Wide => (0..pods).map(|i| task(i, wide(i, pods))).collect(),
            Self::Layered => (0..pods).map(|i| task(i, layered(i))).collect(),
            Self::Chain => (0..pods).map(|i| task(i, i.checked_sub(1).into_iter().collect())).collect(),
            Self::Loop => vec![json!({"name": "t", "template": "work", "withSequence": {"count": pods.to_string()}})],
        };
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": {"name": self.name(), "namespace": "bench", "uid": "0d6f5c5e-6d3c-4a52-9bb1-7d1f4fd0a001"},
            "spec": {"entrypoint": "main", "templates": [
                {"name": "main", "dag": {"tasks": tasks}},
                {"name": "work", "container": {"image": "busybox", "command": ["true"]}},
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

fn layered(index: usize) -> Vec<usize> {
    let Some(above) = index.checked_sub(LAYER) else {
        return Vec::new();
    };
    let start = above / LAYER * LAYER;
    let other = start + (above - start + 1) % LAYER;
    vec![above.min(other), above.max(other)]
}
