//! What runs within a Steps or DAG node.

use std::sync::Arc;

use super::Call;

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

/// Children of a Steps or DAG frame, in the order in which they began. As many are open as have begun and not settled.
#[derive(Debug, Default)]
pub(crate) struct Children {
    list: Vec<Child>,
    /// Begun and not settled.
    open: usize,
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

    /// Those of the group that runs.
    pub fn list(&self) -> &[Child] {
        &self.list
    }

    /// Children that have begun and not settled.
    pub fn open(&self) -> usize {
        self.open
    }

    /// A child has settled. False when none was open.
    pub fn count_off(&mut self) -> bool {
        let rest = self.open.checked_sub(1);
        self.open = rest.unwrap_or_default();
        rest.is_some()
    }

    /// Makes room for the next group.
    pub fn begin_group(&mut self) {
        *self = Self { first: self.next(), ..Self::default() };
    }
}
