//! Frames: what the engine knows about a live node besides its status.

use std::sync::Arc;

use argosy_api::v1alpha1::Template;

use crate::{call::Call, dag::Dag, steps::Steps};

/// Index of a frame in the workflow.
pub(crate) type FrameId = u32;

/// The frames of nodes, by the places of the nodes in the status: nodes are never taken from it while the workflow runs.
#[derive(Debug, Default)]
pub(crate) struct Live(Vec<Option<FrameId>>);

impl Live {
    pub fn get(&self, place: usize) -> Option<FrameId> {
        self.0.get(place).copied().flatten()
    }

    pub fn set(&mut self, place: usize, frame: Option<FrameId>) {
        if self.0.len() <= place {
            self.0.resize(place + 1, None);
        }
        self.0[place] = frame;
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// A live node.
#[derive(Debug)]
pub(crate) struct Frame {
    /// How it was called, with the node's name and id; a retry calls it again.
    pub call: Arc<Call>,
    /// The template with its inputs put in.
    pub template: Arc<Template>,
    /// Of a pod: a report has told of it.
    pub is_seen: bool,
    pub body: Body,
}

/// What kind of node it is.
#[derive(Debug)]
pub(crate) enum Body {
    /// One pod, or a suspend.
    Leaf,
    Steps(Box<Steps>),
    Dag(Box<Dag>),
    Retry(Retry),
}

/// Attempts of a template with a retry strategy.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    /// Attempts begun.
    pub attempts: usize,
}

/// Who waits for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parent {
    /// The workflow itself: the entry node.
    Entry,
    /// The workflow's exit handler.
    OnExit,
    /// A hook of the workflow, by its key.
    WorkflowHook(String),
    /// The child at this index of a Steps or DAG frame.
    Child { frame: FrameId, child: usize },
    /// A hook of that child.
    ChildHook { frame: FrameId, child: usize },
    /// An attempt.
    Attempt { frame: FrameId },
}

/// A step, or a task, or one item of its loop, in its boundary.
#[derive(Debug)]
pub(crate) struct Child {
    /// The step, and the name and id of the node. None once a task's child has settled for good: there may be very many.
    pub call: Option<Arc<Call>>,
    /// The task of a DAG that it belongs to; 0 in steps.
    pub task: usize,
    /// The node itself is fulfilled.
    pub fulfilled: bool,
    /// Fulfilled, with all its hooks: counted off.
    pub settled: bool,
    /// None until the first begins.
    pub hooks: Option<Box<Hooks>>,
}

/// Hooks of a child.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    /// Begun, by key.
    pub begun: Vec<String>,
    /// Begun and not ended.
    pub open: usize,
}

impl Child {
    pub fn new(call: Arc<Call>, task: usize) -> Self {
        Self { call: Some(call), task, fulfilled: false, settled: false, hooks: None }
    }
}

/// Children of a Steps or DAG frame.
#[derive(Debug, Default)]
pub(crate) struct Children {
    pub list: Vec<Child>,
    /// Begun and not settled.
    pub open: usize,
    /// How many there were in the groups of steps before: children are numbered through, so that a daemon that ends late is
    /// not taken for a step of the group that runs by then.
    first: usize,
}

impl Children {
    /// The number that the next one gets.
    pub fn next(&self) -> usize {
        self.first + self.list.len()
    }

    /// The child by its number; none when it is of an earlier group.
    pub fn get(&self, child: usize) -> Option<&Child> {
        self.list.get(child.checked_sub(self.first)?)
    }

    /// As [`Children::get`].
    pub fn get_mut(&mut self, child: usize) -> Option<&mut Child> {
        self.list.get_mut(child.checked_sub(self.first)?)
    }

    pub fn push(&mut self, child: Child) {
        self.list.push(child);
        self.open += 1;
    }

    /// Makes room for the next group.
    pub fn begin_group(&mut self) {
        *self = Self { first: self.next(), ..Self::default() };
    }
}
