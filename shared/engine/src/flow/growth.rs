//! A workflow that wants more than it may ends with Error, and what it was about to add is not published.

use argosy_api::v1alpha1::WorkflowPhase;

use crate::{Workflow, size, state::Exceeded};

impl Workflow {
    /// A new event is taken in hand. `takes_up`: a workflow that was begun is taken up, which costs work for all its nodes.
    pub(crate) fn open_budget(&mut self, takes_up: bool) {
        self.budget.open(self.book.nodes_wanted(), self.book.nodes().len(), takes_up);
        self.globals.allow(if takes_up { u64::MAX } else { self.plan.config().expression_steps_per_event_max });
    }

    /// Notes it when the workflow has more nodes than it may, `more` of which are yet to come.
    ///
    /// Errors: the limit that is exceeded, in words. The workflow ends before its next piece of work.
    pub(crate) fn check_nodes(&self, more: usize) -> Result<(), String> {
        self.budget.check_nodes(self.book.nodes_wanted().saturating_add(more), self.plan.config())
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
    fn drop_new_nodes(&mut self) {
        self.book.drop_new_nodes(self.budget.published());
        let (nodes, workflow) = (self.book.nodes(), self.book.name());
        self.agenda.drop_wishes_of(|node_id| !nodes.contains_key(node_id) && node_id != workflow);
    }

    /// Ends the workflow when what the step put into its status outside the nodes does not fit into a message.
    pub(crate) fn check_fields(&mut self) {
        let limit = self.plan.config().message_bytes_max;
        let Some(bytes) = self.book.drop_large_fields(limit) else { return };
        let message = format!(
            "global outputs and templates in the status take {bytes} bytes, of {limit} at most. {}",
            size::ADVICE
        );
        self.drop_new_nodes();
        self.complete(WorkflowPhase::Error, &message);
    }
}
