//! A workflow that wants more than it may ends with Error, and what it was about to add is not published.

use argosy_api::v1alpha1::WorkflowPhase;

use crate::{Workflow, state::Exceeded};

impl Workflow {
    /// A new event is taken in hand. `takes_up`: a workflow that was begun is taken up, which costs work for all its nodes.
    pub(crate) fn open_budget(&mut self, takes_up: bool) {
        self.budget.open(self.nodes_wanted(), self.object.status.nodes.len(), takes_up);
        self.globals.allow(if takes_up { u64::MAX } else { self.plan.config().expression_steps_per_event_max });
    }

    /// Nodes that there are, and that were promised.
    fn nodes_wanted(&self) -> usize {
        self.object.status.nodes.len() + self.claimed.len()
    }

    /// Notes it when the workflow has more nodes than it may, `more` of which are yet to come.
    ///
    /// Errors: the limit that is exceeded, in words. The workflow ends before its next piece of work.
    pub(crate) fn check_nodes(&self, more: usize) -> Result<(), String> {
        self.budget.check_nodes(self.nodes_wanted().saturating_add(more), self.plan.config())
    }

    /// Counts bytes of inputs and outputs that a node is about to have.
    ///
    /// Errors: the limit that is exceeded, in words. The workflow ends before its next piece of work.
    pub(crate) fn count_values(&mut self, bytes: usize) -> Result<(), String> {
        self.budget.count_values(bytes, self.plan.config())
    }

    /// Counts a piece of work. False when the workflow has gone past one of its limits, and has ended.
    pub(crate) fn may_go_on(&mut self) -> bool {
        let Some(exceeded) = self.budget.count_work(self.globals.is_used_up(), self.plan.config()) else { return true };
        self.refuse_growth(exceeded);
        false
    }

    /// Ends the workflow without the nodes that it was about to add.
    fn refuse_growth(&mut self, exceeded: Exceeded) {
        if self.life.is_done() {
            return;
        }
        self.drop_new_nodes();
        self.complete(WorkflowPhase::Error, &exceeded.to_string());
    }

    /// Takes away the nodes that came with the event in hand, with all that speaks of them.
    pub(crate) fn drop_new_nodes(&mut self) {
        let kept = self.budget.published();
        for node in self.object.status.nodes.split_off(kept) {
            self.uncount(&node);
        }
        for (parent, children) in std::mem::take(&mut self.delta.parents) {
            if let Some(node) = self.object.status.nodes.at_mut(parent) {
                node.children.truncate(children);
            }
        }
        let nodes = &self.object.status.nodes;
        self.delta.nodes.retain(|id| nodes.contains_key(id));
        self.delta.outbound.retain(|id| nodes.contains_key(id));
        let workflow = &self.object.metadata.name;
        self.agenda.drop_wishes_of(|node_id| !nodes.contains_key(node_id) && node_id != workflow);
        self.claimed.clear();
        self.untold.retain(|id| nodes.contains_key(id));
    }
}
