//! The workflow's object and its status.

mod below;
mod changes;
mod counters;
mod edits;
mod fields;
mod followed;
mod graph;
mod ids;
mod names;
mod nodes;
pub(crate) mod progress;
mod publish;
mod sums;

use std::collections::{BTreeSet, HashSet};

use arcstr::ArcStr;
use argosy_api::v1alpha1 as api;
use foldhash::fast::RandomState;

pub(crate) use self::nodes::{NewNode, enter, set, set_text};
use self::{changes::Changes, counters::Counters, ids::Ids};
use super::{Bugs, Texts};

/// The object that everyone sees, as it is after the events up to the watermark; it is written here and nowhere else. So
/// whatever changes is recorded, to be published with the step; the counters are those of the nodes that there are; and no
/// two nodes have the same id.
#[derive(Debug)]
pub(crate) struct Book {
    object: api::Workflow,
    /// The last OBSERVED sequence that is in the state.
    watermark: u64,
    /// What the step in hand has changed.
    changes: Changes,
    /// Nodes that there were before this state was built: they have children that it has not published.
    untold: HashSet<ArcStr, RandomState>,
    /// Nodes that a person has set since the engine last changed something itself.
    by_hand: BTreeSet<ArcStr>,
    ids: Ids,
    counters: Counters,
    texts: Texts,
    bugs: Bugs,
}

impl Book {
    /// `object` as the API has it, up to and with OBSERVED sequence `watermark`. Its nodes are counted when they are taken up,
    /// by [`Book::recount`].
    pub fn new(object: api::Workflow, watermark: u64, bugs: Bugs) -> Self {
        Self {
            object,
            watermark,
            changes: Changes::default(),
            untold: HashSet::default(),
            by_hand: BTreeSet::new(),
            ids: Ids::default(),
            counters: Counters::default(),
            texts: Texts::default(),
            bugs,
        }
    }

    pub fn object(&self) -> &api::Workflow {
        &self.object
    }

    pub fn meta(&self) -> &api::ObjectMeta {
        &self.object.metadata
    }

    pub fn status(&self) -> &api::WorkflowStatus {
        &self.object.status
    }

    /// The spec as the object has it. What the workflow runs by is its plan.
    pub fn spec(&self) -> &api::WorkflowSpec {
        &self.object.spec
    }

    /// Name of the workflow.
    pub fn name(&self) -> &str {
        &self.object.metadata.name
    }

    pub fn namespace(&self) -> &str {
        &self.object.metadata.namespace
    }

    /// The last OBSERVED sequence that is in the state.
    pub fn watermark(&self) -> u64 {
        self.watermark
    }

    /// The event of that sequence is taken in hand.
    pub fn set_watermark(&mut self, sequence: u64) {
        self.watermark = sequence;
    }

    /// The name in `templateScope` of the workflow's own templates: none when all of them come from a template.
    pub fn local_name(&self) -> &str {
        if self.object.spec.workflow_template_ref.is_some() { "" } else { self.name() }
    }

    /// Nodes that the step in hand has changed.
    pub fn changed_nodes(&self) -> impl Iterator<Item = &ArcStr> {
        self.changes.nodes.iter()
    }

    /// The text, as all nodes have it that have the same.
    pub fn shared_text(&mut self, text: &str) -> ArcStr {
        self.texts.shared(text)
    }
}
