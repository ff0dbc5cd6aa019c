//! What a workflow may cost: nodes, nodes and work of one event. One that wants more ends with Error, and what it was about
//! to add is not published.

use std::{fmt, sync::OnceLock};

use argosy_api::v1alpha1::NodeStatus;

use crate::{Config, size};

/// What the event in hand has cost, and about the bytes of the inputs and outputs of all nodes. The first limit that is
/// exceeded is remembered until the next event is taken in hand; whoever works looks at it before the next piece of work.
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
    /// About the bytes of the inputs and outputs of all nodes. What events cost is forgotten with them; this is not.
    values_bytes: usize,
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

impl Budget {
    /// A new event is taken in hand. `nodes`: there are so many, those included that wait for their turn, `published` of which
    /// are in the status. `takes_up`: a workflow that was begun is taken up, which costs work for all its nodes.
    pub fn open(&mut self, nodes: usize, published: usize, takes_up: bool) {
        *self = Self { nodes_before: nodes, published, takes_up, values_bytes: self.values_bytes, ..Self::default() };
    }

    /// Nodes that were in the status before the event.
    pub fn published(&self) -> usize {
        self.published
    }

    /// Notes it when the workflow has more nodes than it may: `wanted` are those that there are, that were promised, and that
    /// are about to come.
    ///
    /// Errors: the limit that is exceeded, in words.
    pub fn check_nodes(&self, wanted: usize, config: &Config) -> Result<(), String> {
        let exceeded = if wanted > config.nodes_max {
            Exceeded::Nodes(config.nodes_max)
        } else if wanted.saturating_sub(self.nodes_before) > config.nodes_per_event_max {
            Exceeded::NodesPerEvent(config.nodes_per_event_max)
        } else {
            return Ok(());
        };
        Err(self.exceeded.get_or_init(|| exceeded).to_string())
    }

    /// Counts bytes of inputs and outputs that a node is about to have.
    ///
    /// Errors: the limit that is exceeded, in words.
    pub fn count_values(&mut self, bytes: usize, config: &Config) -> Result<(), String> {
        self.values_bytes = self.values_bytes.saturating_add(bytes);
        if self.values_bytes <= config.values_bytes_max {
            return Ok(());
        }
        let exceeded = Exceeded::ValuesBytes(config.values_bytes_max);
        Err(self.exceeded.get_or_init(|| exceeded).to_string())
    }

    /// Counts the values of a node that is there already.
    pub fn recount_values(&mut self, node: &NodeStatus) {
        let inputs = node.inputs.as_ref().map_or(0, |inputs| size::of_inputs(inputs));
        let outputs = node.outputs.as_ref().map_or(0, |outputs| size::of_outputs(outputs));
        self.values_bytes = self.values_bytes.saturating_add(inputs).saturating_add(outputs);
    }

    /// Counts a piece of work. `is_used_up`: the expressions of the event have taken more than they may. Answers the limit that
    /// was exceeded, if any was.
    pub fn count_work(&mut self, is_used_up: bool, config: &Config) -> Option<Exceeded> {
        self.work += 1;
        if self.work > config.work_per_event_max && !self.takes_up {
            self.exceeded.get_or_init(|| Exceeded::WorkPerEvent(config.work_per_event_max));
        }
        if is_used_up {
            self.exceeded.get_or_init(|| Exceeded::ExpressionStepsPerEvent(config.expression_steps_per_event_max));
        }
        self.exceeded.get().copied()
    }
}
