//! What happens to nodes, at the moment of the event in hand.

use arcstr::ArcStr;
use argosy_api::v1alpha1::{NodePhase, Time};

use crate::{
    Workflow,
    state::{NewNode, TemplateScope},
};

impl Workflow {
    /// The moment of the event in hand, as it stands in nodes.
    pub(crate) fn time(&self) -> Time {
        Time::new(self.clock.now())
    }

    /// Creates a node, which must not exist yet.
    pub(crate) fn create_node(&mut self, new: NewNode<'_>) {
        let now = self.time();
        self.book.create_node(new, now);
        // What is over the limit is seen before the next piece of work.
        _ = self.check_nodes(0);
    }

    /// Sets phase and message of a node; an end gets its moment. A fulfilled node keeps its phase (S2).
    pub(crate) fn mark(&mut self, id: &str, phase: NodePhase, message: Option<&str>) {
        let now = self.time();
        self.book.mark(id, phase, message, now);
    }

    /// Where a template's name was looked up, as it stands in nodes.
    pub(crate) fn scope_label(&mut self, scope: &TemplateScope) -> ArcStr {
        let label = scope.label(self.book.local_name());
        self.book.shared_text(&label)
    }
}
