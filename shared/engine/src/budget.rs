//! What a workflow may cost: nodes, nodes and work of one event. One that wants more ends with Error, and what it was about
//! to add is not published.

use std::{fmt, sync::OnceLock};

use argosy_api::v1alpha1::{NodeStatus, WorkflowPhase};
use argosy_template::limits::Allowance;

use crate::{Command, Workflow, size, workflow::Stage};

/// What the event in hand has cost.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// Nodes that there were before, those included that wait for their turn.
    nodes_before: usize,
    /// Nodes that were published before.
    published: usize,
    /// Pieces of work done.
    work: usize,
    /// The event only takes up again what was there before.
    takes_up: bool,
    /// The first limit that was exceeded. Noted by whoever looks, so that a look needs no more than a shared reference.
    exceeded: OnceLock<Exceeded>,
}

/// A limit, and what it is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exceeded {
    Nodes(usize),
    NodesPerEvent(usize),
    WorkPerEvent(usize),
    ExpressionStepsPerEvent(u64),
    ValuesBytes(usize),
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, limit, setting) = match *self {
            Self::Nodes(limit) => ("has more nodes than a workflow may have", limit, "--nodes-max"),
            Self::NodesPerEvent(limit) => ("adds more nodes at once than it may", limit, "--nodes-per-event-max"),
            Self::ExpressionStepsPerEvent(limit) => {
                let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                ("evaluates more in its expressions at once than it may", limit, "--expression-steps-per-event-max")
            }
            Self::WorkPerEvent(limit) => ("causes more work at once than it may", limit, "--work-per-event-max"),
            Self::ValuesBytes(limit) => {
                ("has more bytes of inputs and outputs than it may", limit, "--values-bytes-max")
            }
        };
        write!(
            f,
            "the workflow {what}: {limit}. Look for a template that calls itself without end, or a loop over too many items; \
             an operator can raise the limit with {setting}"
        )
    }
}

impl Workflow {
    /// A new event is taken in hand. `takes_up`: a workflow that was begun is taken up, which costs work for all its nodes.
    pub(crate) fn open_budget(&mut self, takes_up: bool) {
        self.budget = Budget {
            nodes_before: self.nodes_wanted(),
            published: self.object.status.nodes.len(),
            takes_up,
            ..Budget::default()
        };
        let steps = if takes_up { u64::MAX } else { self.config.expression_steps_per_event_max };
        self.globals.allowance = Allowance::new(steps);
    }

    /// Nodes that there are, and that were promised.
    fn nodes_wanted(&self) -> usize {
        self.object.status.nodes.len() + self.claimed.len()
    }

    /// Notes it when the workflow has more nodes than it may, `more` of which are yet to come.
    ///
    /// Errors: the limit that is exceeded, in words. The workflow ends before its next piece of work.
    pub(crate) fn check_nodes(&self, more: usize) -> Result<(), String> {
        let wanted = self.nodes_wanted().saturating_add(more);
        let exceeded = if wanted > self.config.nodes_max {
            Exceeded::Nodes(self.config.nodes_max)
        } else if wanted.saturating_sub(self.budget.nodes_before) > self.config.nodes_per_event_max {
            Exceeded::NodesPerEvent(self.config.nodes_per_event_max)
        } else {
            return Ok(());
        };
        let exceeded = *self.budget.exceeded.get_or_init(|| exceeded);
        Err(exceeded.to_string())
    }

    /// Counts bytes of inputs and outputs that a node is about to have.
    ///
    /// Errors: the limit that is exceeded, in words. The workflow ends before its next piece of work.
    pub(crate) fn count_values(&mut self, bytes: usize) -> Result<(), String> {
        self.values_bytes = self.values_bytes.saturating_add(bytes);
        if self.values_bytes <= self.config.values_bytes_max {
            return Ok(());
        }
        let exceeded = Exceeded::ValuesBytes(self.config.values_bytes_max);
        Err(self.budget.exceeded.get_or_init(|| exceeded).to_string())
    }

    /// Counts the values of a node that is there already.
    pub(crate) fn recount_values(&mut self, node: &NodeStatus) {
        let inputs = node.inputs.as_ref().map_or(0, |inputs| size::of_inputs(inputs));
        let outputs = node.outputs.as_ref().map_or(0, |outputs| size::of_outputs(outputs));
        self.values_bytes = self.values_bytes.saturating_add(inputs).saturating_add(outputs);
    }

    /// Counts a piece of work. False when the workflow has gone past one of its limits, and has ended.
    pub(crate) fn may_go_on(&mut self) -> bool {
        self.budget.work += 1;
        if self.budget.work > self.config.work_per_event_max && !self.budget.takes_up {
            self.budget.exceeded.get_or_init(|| Exceeded::WorkPerEvent(self.config.work_per_event_max));
        }
        if self.globals.allowance.is_exceeded() {
            let max = self.config.expression_steps_per_event_max;
            self.budget.exceeded.get_or_init(|| Exceeded::ExpressionStepsPerEvent(max));
        }
        let Some(exceeded) = self.budget.exceeded.get().copied() else { return true };
        self.refuse_growth(exceeded);
        false
    }

    /// Ends the workflow without the nodes that it was about to add.
    fn refuse_growth(&mut self, exceeded: Exceeded) {
        if self.stage == Stage::Done {
            return;
        }
        self.drop_new_nodes();
        self.complete(WorkflowPhase::Error, &exceeded.to_string());
    }

    /// Takes away the nodes that came with the event in hand, with all that speaks of them.
    pub(crate) fn drop_new_nodes(&mut self) {
        let kept = self.budget.published;
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
        self.commands.retain(|command| match command {
            Command::Cluster { node_id, .. } => nodes.contains_key(node_id) || node_id == workflow,
            Command::ArmTimer { .. } | Command::DisarmTimer { .. } | Command::Lookup(_) | Command::Publish(_) => true,
        });
        self.claimed.clear();
        self.untold.retain(|id| nodes.contains_key(id));
    }
}
