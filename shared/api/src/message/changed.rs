//! The nodes of a change.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{ArcStr, v1alpha1::NodeStatus};

/// Nodes, each once, in the order in which they came; in JSON an object by their ids.
///
/// A list, as it is only ever gone through: a step that begins 100,000 nodes need not sort them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChangedNodes(Vec<Arc<NodeStatus>>);

impl ChangedNodes {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Arc<NodeStatus>> {
        self.0.iter()
    }

    /// Adds a node that is not in yet.
    pub fn push(&mut self, node: Arc<NodeStatus>) {
        self.0.push(node);
    }
}

impl FromIterator<Arc<NodeStatus>> for ChangedNodes {
    fn from_iter<I: IntoIterator<Item = Arc<NodeStatus>>>(nodes: I) -> Self {
        Self(nodes.into_iter().collect())
    }
}

impl IntoIterator for ChangedNodes {
    type Item = Arc<NodeStatus>;
    type IntoIter = std::vec::IntoIter<Arc<NodeStatus>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a ChangedNodes {
    type Item = &'a Arc<NodeStatus>;
    type IntoIter = std::slice::Iter<'a, Arc<NodeStatus>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Serialize for ChangedNodes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|node| (&node.id, node)))
    }
}

impl<'de> Deserialize<'de> for ChangedNodes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Visitor)
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = ChangedNodes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nodes by their ids")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<ChangedNodes, A::Error> {
        let mut nodes = ChangedNodes(Vec::with_capacity(map.size_hint().unwrap_or_default()));
        while let Some((id, node)) = map.next_entry::<ArcStr, NodeStatus>()? {
            // The key is what counts, in case that a node has another id in it, or none.
            nodes.push(Arc::new(NodeStatus { id, ..node }));
        }
        Ok(nodes)
    }
}
