//! Which nodes follow which.

use std::collections::BTreeSet;

use arcstr::ArcStr;
use argosy_api::v1alpha1::{NodeStatus, NodeType};

use super::Book;
use crate::state::bug;

/// Nodes below each other that are looked through for those at which a node ends.
const OUTBOUND_DEPTH_MAX: usize = 256;

impl Book {
    /// Where a node is in the status. It stays there as long as the workflow runs.
    pub fn place_of(&self, id: &str) -> Option<usize> {
        self.object.status.nodes.place_of(id)
    }

    pub fn places_of<'i>(&self, ids: impl IntoIterator<Item = &'i ArcStr>) -> impl Iterator<Item = usize> {
        ids.into_iter().filter_map(|id| self.place_of(id))
    }

    pub fn ids_at(&self, places: &[usize]) -> Vec<ArcStr> {
        let nodes = &self.object.status.nodes;
        places.iter().filter_map(|place| nodes.at(*place)).map(|node| node.id.clone()).collect()
    }

    /// Makes `child` a child of `parent`, once. To be called when the child has been created, and for one child at a time.
    pub fn link(&mut self, parent: usize, child: &ArcStr) {
        if let Some(node) = self.object.status.nodes.at_mut(parent)
            && node.children.last() != Some(child)
        {
            self.changes.children_of(parent, node.children.len());
            node.children.push(child.clone());
        }
    }

    /// Sets the nodes at which a Steps or DAG node ends.
    pub fn set_outbound(&mut self, id: &ArcStr, outbound: Vec<ArcStr>) {
        if let Some(node) = self.object.status.nodes.get_mut(id)
            && super::set(&mut node.outbound_nodes, outbound)
        {
            self.changes.outbound_of(id);
        }
    }

    /// The nodes at which these end: those that get the next group or task as a child.
    /// Source: Argo `getOutboundNodes`.
    pub fn outbound(&self, places: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut ends = Vec::new();
        places.into_iter().for_each(|place| self.add_outbound(place, 0, &mut ends));
        ends
    }

    fn add_outbound(&self, place: usize, depth: usize, ends: &mut Vec<usize>) {
        let Some(node) = self.object.status.nodes.at(place) else {
            return bug!(self, "", "there is no node at place {place} of the status");
        };
        // A group, its retries, their pods and the containers of those are far fewer. A status that somebody has edited may
        // have a circle.
        if depth > OUTBOUND_DEPTH_MAX {
            return;
        }
        let inner: &[ArcStr] = match node.r#type {
            NodeType::Skipped | NodeType::Suspend | NodeType::Http | NodeType::Plugin | NodeType::Unknown => &[],
            NodeType::Pod => {
                let containers = self.terminal_containers(node);
                if containers.is_empty() {
                    ends.push(place);
                }
                return ends.extend(self.places_of(&containers));
            }
            NodeType::Container | NodeType::TaskGroup => &node.children,
            // Its last attempt, whatever is inside that.
            NodeType::Retry if !node.children.is_empty() => {
                return ends.extend(self.places_of(node.children.last()));
            }
            NodeType::Retry => &[],
            NodeType::Steps | NodeType::Dag if node.memoization_status.as_ref().is_some_and(|m| m.hit) => &[],
            NodeType::Steps | NodeType::Dag | NodeType::StepGroup => {
                return ends.extend(self.places_of(&node.outbound_nodes));
            }
        };
        if inner.is_empty() {
            ends.push(place);
        }
        self.places_of(inner).for_each(|place| self.add_outbound(place, depth + 1, ends));
    }

    /// As [`Book::outbound`], of a task that others wait for. The exit hook of a loop as a whole begins when these do.
    pub fn outbound_of_task(&self, place: usize) -> Vec<usize> {
        let node = self.object.status.nodes.at(place).filter(|node| node.r#type == NodeType::TaskGroup);
        let Some(group) = node else { return self.outbound([place]) };
        let exit = format!("{}.onExit", group.name);
        let is_item = |place: &usize| self.object.status.nodes.at(*place).is_some_and(|node| node.name != exit);
        let items: Vec<usize> = self.places_of(&group.children).filter(is_item).collect();
        if items.is_empty() { vec![place] } else { self.outbound(items) }
    }

    /// The containers of a containerSet that no other depends on. They are the pod's first children, so that a pod
    /// with many dependents need not be searched.
    fn terminal_containers(&self, pod: &NodeStatus) -> Vec<ArcStr> {
        let container =
            |id: &ArcStr| self.node(id).filter(|n| n.r#type == NodeType::Container && n.boundary_id == pod.id);
        let mut seen = BTreeSet::new();
        let mut stack: Vec<&NodeStatus> = pod.children.iter().map_while(container).collect();
        let mut ends = Vec::new();
        while let Some(node) = stack.pop() {
            if !seen.insert(&node.id) {
                continue;
            }
            let inner: Vec<&NodeStatus> = node.children.iter().map_while(container).collect();
            if inner.is_empty() {
                ends.push(node.id.clone());
            }
            stack.extend(inner);
        }
        ends.sort();
        ends
    }
}
