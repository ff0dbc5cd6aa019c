//! What follows from all nodes together, kept as they change.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arcstr::ArcStr;
use argosy_api::v1alpha1::{NodePhase, NodeStatus, NodeType};
use foldhash::fast::RandomState;

use super::progress::{self, Progress, Resources};

/// What goes on inside a Steps or DAG node, for its limits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BoundaryCount {
    /// Pod, Steps and DAG nodes that are Pending or Running.
    pub active: i64,
    /// Pods among them.
    pub active_pods: i64,
    /// Nodes that ended Failed or Error.
    pub unsuccessful: i64,
}

/// Sums over the nodes that there are. Each node is counted as it is, and by the difference when it changes: a slot that it
/// takes is given back once, when it is active no more, and whoever has room again because of that is remembered.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// By the node id of the Steps or DAG node.
    boundaries: HashMap<ArcStr, BoundaryCount, RandomState>,
    /// Pods that are Pending or Running.
    active_pods: i64,
    /// Pods that are Running.
    running_pods: i64,
    progress: Progress,
    resources: Resources,
    /// Nodes that became daemons, by their boundary.
    daemons: HashMap<ArcStr, Vec<ArcStr>, RandomState>,
    /// Boundaries with a slot that came free; the empty id stands for the workflow.
    freed: BTreeSet<ArcStr>,
}

impl Counters {
    /// Counts a node that is new.
    pub fn count(&mut self, node: &NodeStatus) {
        self.recount(Tally::default(), Tally::of(node), &node.id, &node.boundary_id);
        self.resources.change(&BTreeMap::new(), &node.resources_duration);
    }

    /// Takes a node out of the counters: one that is no more.
    pub fn uncount(&mut self, node: &NodeStatus) {
        self.recount(Tally::of(node), Tally::default(), &node.id, &node.boundary_id);
        self.resources.change(&node.resources_duration, &BTreeMap::new());
    }

    /// Counts what a node became. What it has taken is told to the resources by itself.
    pub fn recount(&mut self, was: Tally, is: Tally, id: &ArcStr, boundary: &ArcStr) {
        if is.is_daemon && !was.is_daemon {
            self.daemons.entry(boundary.clone()).or_default().push(id.clone());
        }
        self.progress.change(was.progress, is.progress);
        if was.counts == is.counts {
            return;
        }
        let (was, is) = (was.counts, is.counts);
        self.active_pods += is.active_pods - was.active_pods;
        self.running_pods += is.running_pods - was.running_pods;
        if is.active_pods < was.active_pods {
            self.freed.insert(ArcStr::new());
        }
        if !boundary.is_empty() {
            let count = self.boundaries.entry(boundary.clone()).or_default();
            count.active += is.active - was.active;
            count.active_pods += is.active_pods - was.active_pods;
            count.unsuccessful += is.unsuccessful - was.unsuccessful;
            if is.active < was.active || is.unsuccessful > was.unsuccessful {
                self.freed.insert(boundary.clone());
            }
        }
    }

    /// What goes on inside a Steps or DAG node.
    pub fn of(&self, boundary: &str) -> BoundaryCount {
        self.boundaries.get(boundary).copied().unwrap_or_default()
    }

    pub fn active_pods(&self) -> i64 {
        self.active_pods
    }

    pub fn has_running_pods(&self) -> bool {
        self.running_pods > 0
    }

    /// The nodes of a boundary that became daemons, once.
    pub fn take_daemons(&mut self, boundary: &str) -> Vec<ArcStr> {
        self.daemons.remove(boundary).unwrap_or_default()
    }

    /// There may be room again in the boundary.
    pub fn free(&mut self, boundary: ArcStr) {
        self.freed.insert(boundary);
    }

    /// Where there may be room again since the last call.
    pub fn take_freed(&mut self) -> BTreeSet<ArcStr> {
        std::mem::take(&mut self.freed)
    }

    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// For [`Counters::recount`] of a node whose resources change with it.
    pub fn resources_mut(&mut self) -> &mut Resources {
        &mut self.resources
    }

    /// Nothing waits for what came free so far.
    pub fn forget_freed(&mut self) {
        self.freed.clear();
    }
}

/// What a node adds to the counters.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) struct Tally {
    counts: Counts,
    progress: (u64, u64),
    is_daemon: bool,
}

impl Tally {
    pub fn of(node: &NodeStatus) -> Self {
        // One that waits for a lock takes nobody's place.
        let waits = node.phase == NodePhase::Pending && node.synchronization_status.is_some();
        let live = matches!(node.phase, NodePhase::Pending | NodePhase::Running) && !waits;
        let pod = node.r#type == NodeType::Pod;
        let retried = node.node_flag.as_ref().is_some_and(|f| f.retried);
        let counts = Counts {
            active: i64::from(live && matches!(node.r#type, NodeType::Pod | NodeType::Steps | NodeType::Dag)),
            active_pods: i64::from(live && pod),
            running_pods: i64::from(pod && node.phase == NodePhase::Running),
            unsuccessful: i64::from(node.phase.is_failed_or_error() && !retried),
        };
        Self { counts, progress: progress::of_leaf(node), is_daemon: node.daemoned == Some(true) }
    }
}

#[derive(Clone, Copy, Default, PartialEq)]
struct Counts {
    active: i64,
    active_pods: i64,
    running_pods: i64,
    unsuccessful: i64,
}
