//! Node ids. A node's id holds 32 bits of a hash of its name, so that two nodes of a large workflow may well hash alike:
//! among 100,000 it is more likely than not. The one that comes second gets a number behind its id, and its pod behind
//! its name.

use std::collections::HashMap;

use arcstr::ArcStr;
use argosy_api::{
    names,
    v1alpha1::{NodeStatus, Nodes},
};
use foldhash::fast::RandomState;

/// Ids that are not to be told from the nodes that there are: those that were promised, and those that have a number. The
/// same name always gets the same id, and no two names do.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// Ids of nodes that are going to be, with their names.
    claimed: HashMap<ArcStr, ArcStr, RandomState>,
    /// Ids that do not follow from the node's name alone, by name.
    renumbered: HashMap<ArcStr, ArcStr, RandomState>,
}

impl Ids {
    /// The id of a node by that name: of the one there is, or of one that is about to be.
    pub fn of(&self, node_name: &str, workflow: &str, nodes: &Nodes) -> ArcStr {
        if let Some(id) = self.renumbered.get(node_name) {
            return id.clone();
        }
        let is_free = |id: &str| {
            let holder = nodes.get(id).map(|node| &node.name).or_else(|| self.claimed.get(id));
            holder.is_none_or(|holder| holder == node_name)
        };
        let first = ArcStr::from(names::node_id(workflow, node_name));
        if is_free(&first) {
            return first;
        }
        let mut others = (1u32..).map(|number| ArcStr::from(names::numbered_id(&first, number)));
        others.find(|id| is_free(id)).unwrap_or_else(|| first.clone())
    }

    /// A node that is going to be created gets that id, and no other.
    pub fn claim(&mut self, node_name: &ArcStr, id: &ArcStr, workflow: &str) {
        self.note(node_name, id, workflow);
        self.claimed.insert(id.clone(), node_name.clone());
    }

    /// A node of that id is there now.
    pub fn created(&mut self, node: &NodeStatus, workflow: &str) {
        if self.claimed.remove(&node.id).is_none() {
            self.note(&node.name, &node.id, workflow);
        }
    }

    /// Remembers an id that does not follow from the name alone.
    pub fn note(&mut self, node_name: &ArcStr, id: &ArcStr, workflow: &str) {
        if !names::is_node_id(id, workflow, node_name) {
            self.renumbered.insert(node_name.clone(), id.clone());
        }
    }

    /// Nodes that are going to be.
    pub fn claims(&self) -> usize {
        self.claimed.len()
    }

    /// Nothing that was promised comes about any more.
    pub fn drop_claims(&mut self) {
        self.claimed.clear();
    }
}
