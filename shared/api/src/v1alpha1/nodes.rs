//! The nodes of a workflow by id.

use std::{ops::Index, sync::Arc};

use arcstr::ArcStr;
use foldhash::fast::RandomState;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize, Serializer};

use super::NodeStatus;

/// `status.nodes`: found by id in constant time, as a workflow may have 100,000 of them; listed and written in the order
/// of their ids. Kept in the order in which they came, which is about that in which they lie in memory.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Nodes(IndexMap<ArcStr, Arc<NodeStatus>, RandomState>);

impl Nodes {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, id: &str) -> Option<&NodeStatus> {
        self.0.get(id).map(Arc::as_ref)
    }

    /// The node as it is now, kept as such: later changes are made to a copy.
    pub fn snapshot(&self, id: &str) -> Option<Arc<NodeStatus>> {
        self.0.get(id).cloned()
    }

    /// The node at a place, as [`Nodes::place_of`] has it.
    pub fn at(&self, place: usize) -> Option<&NodeStatus> {
        self.0.get_index(place).map(|(_, node)| node.as_ref())
    }

    /// As [`Nodes::at`].
    pub fn at_mut(&mut self, place: usize) -> Option<&mut NodeStatus> {
        self.0.get_index_mut(place).map(|(_, node)| Arc::make_mut(node))
    }

    pub fn get_mut(&mut self, id: &str) -> Option<&mut NodeStatus> {
        self.0.get_mut(id).map(Arc::make_mut)
    }

    pub fn contains_key(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    pub fn insert(&mut self, id: ArcStr, node: NodeStatus) {
        self.0.insert(id, Arc::new(node));
    }

    pub fn remove(&mut self, id: &str) -> Option<NodeStatus> {
        self.0.swap_remove(id).map(Arc::unwrap_or_clone)
    }

    /// Takes away the nodes that came after the first `kept`, and returns them in the order in which they came.
    pub fn split_off(&mut self, kept: usize) -> Vec<NodeStatus> {
        let taken = if kept < self.0.len() { self.0.split_off(kept) } else { IndexMap::default() };
        taken.into_values().map(Arc::unwrap_or_clone).collect()
    }

    /// In the order of the ids. Costs a sort: not for what happens at every event.
    pub fn iter(&self) -> std::vec::IntoIter<(&ArcStr, &NodeStatus)> {
        let mut sorted: Vec<_> = self.0.iter().map(|(id, node)| (id, node.as_ref())).collect();
        sorted.sort_unstable_by(|a, b| a.0.cmp(b.0));
        sorted.into_iter()
    }

    /// In the order of the ids.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &ArcStr> + ExactSizeIterator {
        self.iter().map(|(id, _)| id)
    }

    /// In the order of the ids.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &NodeStatus> + ExactSizeIterator {
        self.iter().map(|(_, node)| node)
    }

    /// The place of a node in [`Nodes::unordered`], until one is removed.
    pub fn place_of(&self, id: &str) -> Option<usize> {
        self.0.get_index_of(id)
    }

    /// In the order in which they came, at no cost.
    pub fn unordered(&self) -> impl Iterator<Item = &NodeStatus> {
        self.0.values().map(Arc::as_ref)
    }

    /// In the order in which they came. Ids must stay as they are.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut NodeStatus> {
        self.0.values_mut().map(Arc::make_mut)
    }
}

impl Index<&str> for Nodes {
    type Output = NodeStatus;

    /// Panics when there is no such node.
    fn index(&self, id: &str) -> &NodeStatus {
        &self.0[id]
    }
}

impl<K: Into<ArcStr>> FromIterator<(K, NodeStatus)> for Nodes {
    fn from_iter<I: IntoIterator<Item = (K, NodeStatus)>>(nodes: I) -> Self {
        Self(nodes.into_iter().map(|(id, node)| (id.into(), Arc::new(node))).collect())
    }
}

impl<'a> IntoIterator for &'a Nodes {
    type Item = (&'a ArcStr, &'a NodeStatus);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    /// In the order of the ids.
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Nodes {
    type Item = (ArcStr, NodeStatus);
    type IntoIter = std::iter::Map<
        indexmap::map::IntoIter<ArcStr, Arc<NodeStatus>>,
        fn((ArcStr, Arc<NodeStatus>)) -> (ArcStr, NodeStatus),
    >;

    /// In the order in which they came.
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|(id, node)| (id, Arc::unwrap_or_clone(node)))
    }
}

impl Serialize for Nodes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}
