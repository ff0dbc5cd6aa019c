//! What follows from all nodes together.

use std::collections::BTreeSet;

use arcstr::ArcStr;

use super::{Book, below::Below, counters::BoundaryCount, nodes::set, progress::of_leaf};

impl Book {
    /// What goes on inside a Steps or DAG node.
    pub fn counts_of(&self, boundary: &str) -> BoundaryCount {
        self.counters.of(boundary)
    }

    /// Pods that are Pending or Running.
    pub fn active_pods(&self) -> i64 {
        self.counters.active_pods()
    }

    /// Whether any pod is Running.
    pub fn has_running_pods(&self) -> bool {
        self.counters.has_running_pods()
    }

    /// The nodes of a boundary that became daemons. Asked for once, when they end.
    pub fn take_daemons(&mut self, boundary: &str) -> Vec<ArcStr> {
        self.counters.take_daemons(boundary)
    }

    /// There may be room again: in the boundary of this node id, or in the workflow where that is empty.
    pub fn look_for_room(&mut self, boundary: ArcStr) {
        self.counters.free(boundary);
    }

    /// Where there may be room again since the last call, in the order of ids; the empty one stands for the workflow.
    pub fn take_freed(&mut self) -> BTreeSet<ArcStr> {
        self.counters.take_freed()
    }

    /// Sets the progress of every node that only holds others, once it is final: the sum over all that execute
    /// below it. "Below" follows the children, hence also what comes after a group, as in Argo.
    pub(super) fn settle_progress(&mut self) {
        let sums = Below::new(&self.object.status.nodes, of_leaf, |node| !node.r#type.executes()).sums();
        for (id, (done, total)) in sums {
            if total > 0 {
                self.update_node(&id, |n| set(&mut n.progress, arcstr::format!("{done}/{total}")));
            }
        }
    }
}
