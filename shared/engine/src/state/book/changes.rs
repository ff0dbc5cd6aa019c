//! What a step changed.

use std::collections::{BTreeMap, BTreeSet};

use arcstr::ArcStr;
use argosy_api::{message::MetricSample, v1alpha1::Nodes};
use foldhash::fast::RandomState;
use indexmap::{IndexMap, IndexSet};

/// Members of `status` besides its nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Phase,
    StartedAt,
    FinishedAt,
    Message,
    Progress,
    Outputs,
    Conditions,
    StoredTemplates,
    StoredSpec,
    Claims,
    ResourcesDuration,
    Synchronization,
}

/// Members of the object that the step in hand has changed. Each change of the object is noted here, and is forgotten when it
/// is published.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// In the order of their first change.
    pub nodes: IndexSet<ArcStr, RandomState>,
    /// Places of nodes with new children, and how many they had before.
    pub parents: IndexMap<usize, usize, RandomState>,
    /// Nodes that ended with outbound nodes.
    pub outbound: BTreeSet<ArcStr>,
    pub fields: BTreeSet<Field>,
    pub labels: BTreeMap<String, Option<String>>,
    pub annotations: BTreeMap<String, Option<String>>,
    pub completed: bool,
    pub samples: Vec<MetricSample>,
}

impl Changes {
    pub fn node(&mut self, id: &ArcStr) {
        self.nodes.insert(id.clone());
    }

    /// The node at this place gets more children than the `before` that it has.
    pub fn children_of(&mut self, place: usize, before: usize) {
        self.parents.entry(place).or_insert(before);
    }

    pub fn outbound_of(&mut self, id: &ArcStr) {
        self.outbound.insert(id.clone());
    }

    pub fn field(&mut self, field: Field) {
        self.fields.insert(field);
    }

    pub fn label(&mut self, key: &str, value: &str) {
        self.labels.insert(key.to_owned(), Some(value.to_owned()));
    }

    pub fn annotation(&mut self, key: &str, value: &str) {
        self.annotations.insert(key.to_owned(), Some(value.to_owned()));
    }

    pub fn no_annotation(&mut self, key: &str) {
        self.annotations.insert(key.to_owned(), None);
    }

    /// The workflow has ended.
    pub fn completed(&mut self) {
        self.completed = true;
    }

    pub fn has_field(&self, field: Field) -> bool {
        self.fields.contains(&field)
    }

    /// Nothing is told of the member.
    pub fn drop_field(&mut self, field: Field) {
        self.fields.remove(&field);
    }

    /// Whether a node or a member of the status changed.
    pub fn is_of_status(&self) -> bool {
        !self.nodes.is_empty() || !self.fields.is_empty()
    }

    /// Nothing is told of new children. `undo` gets the place of each node with some, and how many it had before.
    pub fn drop_children(&mut self, mut undo: impl FnMut(usize, usize)) {
        std::mem::take(&mut self.parents).into_iter().for_each(|(place, before)| undo(place, before));
    }

    /// Takes over the room of lists that have been told of, for the next step: most steps change a few nodes.
    pub fn reuse(&mut self, told: &mut Self) {
        const ROOM: usize = 32;
        if told.nodes.capacity() <= ROOM {
            told.nodes.clear();
            self.nodes = std::mem::take(&mut told.nodes);
        }
        if told.parents.capacity() <= ROOM {
            told.parents.clear();
            self.parents = std::mem::take(&mut told.parents);
        }
    }

    /// Nothing is told of nodes that are no more.
    pub fn keep_nodes(&mut self, nodes: &Nodes) {
        self.nodes.retain(|id| nodes.contains_key(id));
        self.outbound.retain(|id| nodes.contains_key(id));
    }
}
