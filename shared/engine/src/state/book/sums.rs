//! What follows from all nodes together.

use std::collections::BTreeSet;

use arcstr::ArcStr;
use argosy_api::v1alpha1::NodePhase;

use super::{
    Book,
    below::Below,
    changes::Field,
    counters::BoundaryCount,
    nodes::{set, set_text},
    progress::of_leaf,
};

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

    /// A person has set the node.
    pub fn set_by_hand(&mut self, id: &ArcStr) {
        self.by_hand.insert(id.clone());
    }

    /// Whether the step in hand only takes over what people have set. In Argo nothing is summed up then: nodes that were resumed
    /// count as done with the next thing that happens.
    pub(super) fn is_by_hand(&self) -> bool {
        self.changes.fields.iter().all(|field| *field == Field::Outputs)
            && self.changes.nodes.iter().all(|id| self.by_hand.contains(id))
    }

    /// The progress of nodes that only hold others, while the workflow runs. It is summed up anew at each step: only of workflows
    /// that are small. Those of larger ones are told at the end.
    pub(super) fn follow_progress(&mut self) {
        const NODES_MAX: usize = 100;
        if self.object.status.nodes.len() <= NODES_MAX {
            self.settle_progress();
        }
    }

    /// Sets the progress of every node that only holds others: the sum over all that execute below it. "Below" follows the
    /// children, hence also what comes after a group, as in Argo.
    pub(super) fn settle_progress(&mut self) {
        for id in std::mem::take(&mut self.by_hand) {
            if self.phase_of(&id) == NodePhase::Succeeded {
                self.update_node(&id, |n| set_text(&mut n.progress, "1/1"));
            }
        }
        let sums = Below::new(&self.object.status.nodes, of_leaf, |node| !node.r#type.executes()).sums();
        for (id, (done, total)) in sums {
            if total > 0 {
                self.update_node(&id, |n| set(&mut n.progress, arcstr::format!("{done}/{total}")));
            }
        }
    }
}
