//! Nodes by their names.

use arcstr::ArcStr;

use super::Book;

impl Book {
    /// Whether there is a node of this name.
    pub fn has_node(&self, node_name: &str) -> bool {
        self.node(&self.id_of(node_name)).is_some_and(|node| node.name == node_name)
    }

    /// The id of the node by that name: of the one there is, or of one that is about to be.
    pub fn id_of(&self, node_name: &str) -> ArcStr {
        self.ids.of(node_name, &self.object.metadata.name, &self.object.status.nodes)
    }

    /// The same, for a node that is going to be created: from now on no other name gets that id.
    pub fn claim_id(&mut self, node_name: &ArcStr) -> ArcStr {
        let id = self.id_of(node_name);
        if self.node(&id).is_none() {
            self.ids.claim(node_name, &id, &self.object.metadata.name);
        }
        id
    }

    /// Nodes that there are, and that were promised.
    pub fn nodes_wanted(&self) -> usize {
        self.object.status.nodes.len() + self.ids.claims()
    }
}
