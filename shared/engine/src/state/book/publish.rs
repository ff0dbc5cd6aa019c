//! What a step changed, for EVENTS.

use std::sync::Arc;

use argosy_api::{
    message::{ChangedNodes, Growth, NodeList, SCHEMA, StatusChanged, WorkflowDelta},
    v1alpha1::NodeStatus,
};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    Book,
    changes::{Changes, Field},
};

impl Book {
    /// What follows from the nodes: progress.
    fn finish_status(&mut self) {
        if !self.changes.is_of_status() || self.is_by_hand() {
            return;
        }
        self.follow_progress();
        let progress = self.counters.progress().text();
        if self.object.status.progress != progress {
            self.object.status.progress = progress;
            self.changes.field(Field::Progress);
        }
    }

    /// What changed since the last call; none when nothing did. `now`: the moment of the event in hand.
    pub fn take_changes(&mut self, now: Timestamp) -> Option<StatusChanged> {
        self.finish_status();
        let mut changes = std::mem::take(&mut self.changes);
        let grown = self.growth(&changes);
        let nodes: ChangedNodes = changes.nodes.iter().filter_map(|id| self.without_lists(id)).collect();
        let mut status = Map::new();
        status.extend(changes.fields.iter().map(|field| self.field(*field)));
        self.changes.reuse(&mut changes);
        let whole = !status.is_empty() || !changes.labels.is_empty() || !changes.annotations.is_empty();
        if nodes.is_empty() && grown.is_empty() && !whole && changes.samples.is_empty() {
            return None;
        }
        let meta = &self.object.metadata;
        Some(StatusChanged {
            schema: SCHEMA,
            at: now,
            namespace: meta.namespace.clone(),
            workflow: meta.name.clone(),
            workflow_uid: meta.uid.clone(),
            observed_sequence: self.watermark,
            last: true,
            nodes,
            grown,
            removed_nodes: Vec::new(),
            metrics: changes.samples,
            workflow_status: whole.then(|| WorkflowDelta {
                status: if status.is_empty() { Value::Null } else { Value::Object(status) },
                labels: changes.labels,
                annotations: changes.annotations,
                spec: Value::Null,
                completed: changes.completed,
            }),
        })
    }

    /// The node as it is published: lists that may be long go by their growth.
    fn without_lists(&mut self, id: &str) -> Option<Arc<NodeStatus>> {
        let nodes = &mut self.object.status.nodes;
        let node = nodes.snapshot(id)?;
        if node.children.is_empty() && node.outbound_nodes.is_empty() {
            return Some(node);
        }
        drop(node);
        let node = nodes.get_mut(id)?;
        let lists = (std::mem::take(&mut node.children), std::mem::take(&mut node.outbound_nodes));
        let published = node.clone();
        (node.children, node.outbound_nodes) = lists;
        Some(Arc::new(published))
    }

    fn growth(&mut self, changes: &Changes) -> Vec<Growth> {
        let mut grown = Vec::with_capacity(changes.parents.len() + changes.outbound.len());
        for (place, before) in &changes.parents {
            let Some(node) = self.object.status.nodes.at(*place) else { continue };
            // What others made of a list of before is not known: the first time it is told whole.
            let is_untold = !self.untold.is_empty() && self.untold.remove(&node.id);
            let from = if is_untold { 0 } else { *before };
            let ids = node.children.get(from..).unwrap_or_default().to_vec();
            grown.push(Growth { node: node.id.clone(), list: NodeList::Children, from, ids });
        }
        for id in &changes.outbound {
            let ids = self.node(id).map(|n| n.outbound_nodes.clone()).unwrap_or_default();
            grown.push(Growth { node: id.clone(), list: NodeList::OutboundNodes, from: 0, ids });
        }
        grown
    }
}
